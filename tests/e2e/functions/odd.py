"""A function behind a gateway that does what the request's body says."""

import json
from typing import Any

import tiny  # type: ignore[import-not-found]  # beside this file, as in Lambda


def handler(event: dict[str, Any], context: Any) -> Any:  # noqa: ANN401 - the runtime's
    does = json.loads(event["body"])
    tiny.handler(does, context)
    return "x" * does["long"] if "long" in does else does.get("answer")
