"""What a first answer needs: a server with TLS and a record, Secrets Manager, and its extension."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import migrations
from db import Database, DatabaseSettings, Tls
from local.postgres import PostgresServer
from local.secrets_manager import SecretsManager
from local.serving import Server
from records import Draft, create
from tests.faults.proxy import Proxy
from tests.faults.tls import Authority

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

EVENTS = Path(__file__).parents[2] / "events"
EVENT = (EVENTS / "records" / "get.json").read_text()
SECRET_ID = "bench"


class Stage:
    """Everything around the function, on this machine."""

    def __init__(self, folder: Path, password: str) -> None:
        """Prepare certificates and a server that has them."""
        self._authority = Authority(folder)
        certificate = self._authority.certificate("localhost")
        self._server = PostgresServer(folder / "data", password, certificate=certificate)
        self._secrets_manager = SecretsManager()
        self._extension = Server(self._serve_extension)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start it all, with one record in the table."""
        for part in (self._server, self._secrets_manager, self._extension):
            self._stack.enter_context(part)
        database = Database(DatabaseSettings(url=self._server.url(), tls=Tls.INSECURE_LOCAL_ONLY))
        migrations.upgrade(database.engine)
        with database.transaction() as connection:
            create(connection, Draft(name="first", payload={"colour": "red"}))
        database.close()
        self._point_to(self._server.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it all."""
        self._stack.close()

    def _point_to(self, port: int) -> None:
        """Let the secret name this port."""
        self._secret = json.dumps(
            {
                "username": "postgres",
                "password": self._server.password,
                "host": "localhost",
                "port": port,
                "dbname": "postgres",
            }
        )
        self._secrets_manager.put(SECRET_ID, self._secret)

    def _serve_extension(self, _environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"SecretString": self._secret, "VersionId": "one"}).encode()]

    def variables(self) -> dict[str, str]:
        """Return the function's variables: Lambda's, the template's, and where everything is."""
        return {
            **self._secrets_manager.variables(),
            "LANG": "en_US.UTF-8",
            "AWS_LAMBDA_FUNCTION_NAME": "records",
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
            "LAMBDA_TASK_ROOT": "/var/task",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "1",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
            "DB_SECRET_ID": SECRET_ID,
            "DB_TLS_CA": str(self._authority.file),
        }

    def extension(self) -> dict[str, str]:
        """Return the variables of a function beside which the extension runs."""
        return {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self._extension.port)}

    @contextmanager
    def counted(self) -> Iterator[Callable[[], int]]:
        """Put a proxy before the server for a while; yield what tells the flights so far."""
        with Proxy(self._server.port) as proxy:
            self._point_to(proxy.port)
            yield lambda: proxy.traffic().flights
            self._point_to(self._server.port)
