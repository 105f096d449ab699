"""The OpenAPI document describes what API Gateway lets through: each route of the template, and none besides."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.contract.stack import ROOT, routes, template

DOCUMENT = """
import json
from types import SimpleNamespace
from handlers.records import handler
path = "/openapi.json"
context = SimpleNamespace(
    aws_request_id="1", function_name="f", memory_limit_in_mb=1, invoked_function_arn="arn",
    get_remaining_time_in_millis=lambda: 10_000)
http = {"http": {"method": "GET", "path": path}, "stage": "$default"}
answer = handler({"version": "2.0", "rawPath": path, "headers": {}, "requestContext": http}, context)
print("document:" + json.dumps(json.loads(answer["body"])))
"""
"""In a process of its own, since handlers/environment.py reads the variables when it is imported."""


def _document() -> dict[str, Any]:
    local = {"PYTHONPATH": "src", "DATABASE_URL": "postgres://nobody@localhost/none", "AWS_SAM_LOCAL": "true"}
    command = [sys.executable, "-c", DOCUMENT]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **local})
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("document:"))
    document: dict[str, Any] = json.loads(line.removeprefix("document:"))
    return document


def test_every_route_is_described_with_its_answers() -> None:
    """Of every function; and so each is tried by `make fuzz`."""
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in _document()["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == set(routes())
    for operation in operations.values():
        assert operation["summary"]
        served, *refusals = sorted(operation["responses"])
        assert served.startswith("2")
        assert "503" in refusals


def test_a_page_may_send_every_header_that_the_api_reads() -> None:
    """A browser asks first, and sends nothing that API Gateway has not named."""
    operations = [operation for methods in _document()["paths"].values() for operation in methods.values()]
    read = {
        each["name"].lower() for operation in operations for each in operation.get("parameters", ())
        if each["in"] == "header"
    }  # fmt: skip
    assert {"if-match", "idempotency-key"} <= read
    _, cors, _ = template()["Resources"]["Api"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-cors"]["Fn::If"]
    assert read | {"authorization", "content-type"} <= set(cors["allowHeaders"])
