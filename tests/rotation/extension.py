"""The AWS Parameters and Secrets Lambda Extension, as a function sees it: HTTP on this machine, and a cache behind it.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from local.serving import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from types_boto3_secretsmanager import SecretsManagerClient


class Extension(Server):
    """Answers for `client`, to who shows `token`; what it has fetched it keeps for longer than a test takes."""

    def __init__(self, client: "SecretsManagerClient", token: str) -> None:
        super().__init__(self._answer)
        self._client = client
        self._token = token
        self._kept: dict[tuple[str, str], str] = {}
        self.is_ready = True
        self.asked: list[str] = []
        """The stages that were asked for."""

    def variables(self) -> dict[str, str]:
        """Return what a function's environment has."""
        port = self.url.rpartition(":")[2]
        return {
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_SESSION_TOKEN": self._token,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": port,
        }

    def _answer(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        status, body = self._get(environ)
        start_response(status, [("Content-Length", str(len(body))), ("Content-Type", "application/json")])
        return [body.encode()]

    def _get(self, environ: "WSGIEnvironment") -> tuple[str, str]:
        if not self.is_ready:
            return "400 Bad Request", "not ready to serve traffic, please wait"
        if environ.get("HTTP_X_AWS_PARAMETERS_SECRETS_TOKEN") != self._token:
            return "401 Unauthorized", "the token is missing or wrong"
        if environ["REQUEST_METHOD"] != "GET" or environ["PATH_INFO"] != "/secretsmanager/get":
            return "404 Not Found", "no such path"
        query = parse_qs(environ["QUERY_STRING"])
        return "200 OK", self._secret(query["secretId"][0], query["versionStage"][0])

    def _secret(self, secret_id: str, stage: str) -> str:
        self.asked.append(stage)
        if (secret_id, stage) not in self._kept:
            answer = self._client.get_secret_value(SecretId=secret_id, VersionStage=stage)
            content = {name: answer[name] for name in ("ARN", "Name", "VersionId", "SecretString", "VersionStages")}
            content["CreatedDate"] = answer["CreatedDate"].isoformat().replace("+00:00", "Z")
            self._kept[secret_id, stage] = json.dumps(content)
        return self._kept[secret_id, stage]
