"""AWS Secrets Manager on this machine: moto's, on a socket, with every call counted. Knows nothing of databases.

https://docs.getmoto.org/en/latest/docs/server_mode.html
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from local.serving import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from types_boto3_secretsmanager import SecretsManagerClient

REGION = "eu-central-1"
NOBODYS_KEYS = MappingProxyType(
    {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "local"}
)
"""Credentials that are valid nowhere: whatever happens, no call of ours reaches an account."""


class Counting:
    """A WSGI application that counts the operations that another one serves."""

    def __init__(self, application: "WSGIApplication") -> None:
        self.application = application
        """May be replaced by one that is in trouble."""
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Count, and hand on."""
        operation = str(environ.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2]
        with self._lock:
            self.calls[operation] += 1
        return self.application(environ, start_response)


class SecretsManager(Server):
    """The emulator, on a free port, served from a thread of this process."""

    def __init__(self) -> None:
        """Load moto, which takes a second or two."""
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - slow; not wanted with every import of this
            DomainDispatcherApplication,
            create_backend_app,
        )

        self._counting = Counting(DomainDispatcherApplication(create_backend_app))
        super().__init__(self._counting)

    @contextmanager
    def instead(self, application: "WSGIApplication") -> Iterator[None]:
        """Let `application` answer for a while, as a service in trouble does; its calls are counted too."""
        healthy = self._counting.application
        self._counting.application = application
        try:
            yield
        finally:
            self._counting.application = healthy

    @property
    def application(self) -> "WSGIApplication":
        """What answers now, uncounted."""
        return self._counting.application

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was called, by name: `GetSecretValue`."""
        return self._counting.calls

    def variables(self) -> dict[str, str]:
        """Return the environment variables with which boto3 comes here and nowhere else."""
        return {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            **NOBODYS_KEYS,
        }

    @cached_property
    def client(self) -> "SecretsManagerClient":
        """A client for whoever administers the secrets."""
        import boto3  # noqa: PLC0415 - slow; moto has loaded it by now

        keys: dict[str, Any] = {name.lower(): value for name, value in NOBODYS_KEYS.items()}
        return boto3.Session(region_name=REGION, **keys).client("secretsmanager", endpoint_url=self.url)

    def put(self, name: str, text: str) -> str:
        """Create the secret, or give it a new current version; return its ARN."""
        try:
            return self.client.create_secret(Name=name, SecretString=text)["ARN"]
        except self.client.exceptions.ResourceExistsException:
            return self.client.put_secret_value(SecretId=name, SecretString=text)["ARN"]

    def delete(self, name: str) -> None:
        """Delete the secret at once."""
        self.client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
