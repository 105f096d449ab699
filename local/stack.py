"""The whole thing, started in order and ended in reverse: database, secrets, functions, gateway."""

import secrets
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local.application import (
    ADMINISTRATORS_SECRET,
    APPLICATIONS_SECRET,
    MONITORS_SECRET,
    Application,
    Certificates,
)
from local.binaries import counts_statements, knows
from local.cloudformation import create
from local.environment import Configuration, Invocation
from local.function import LambdaFunction
from local.gateway import Gateway
from local.guardian import Guardian
from local.postgres import PostgresServer
from local.rie import rie_program
from local.samples import samples
from local.secrets_manager import SecretsManager
from local.serving import Server, require_free
from local.template import Route, Template

LOCAL_ROUTES = (Route("GET", "/docs", "RecordsFunction"), Route("GET", "/openapi.json", "RecordsFunction"))
"""What the function serves on a developer's machine only, and the template therefore does not know."""

LOGINS = {
    "MonitorFunction": {"DB_SECRET_ID": MONITORS_SECRET},
    "ProvisionFunction": {"DB_SECRET_ID": ADMINISTRATORS_SECRET},
}
"""The variables of those that do not log in as the application."""

RESERVED = {"reserved_connections": "2"}
"""Slots for the monitor, where PostgreSQL can reserve some: from 16 on."""
COUNTED = {"shared_preload_libraries": "pg_stat_statements"}
"""So that the monitor can name slow statements."""

Step = Callable[[str], AbstractContextManager[object]]
"""Told what is about to be done; its block is left when that is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What is running."""

    server: PostgresServer
    application: Application
    secrets_manager: SecretsManager
    functions: dict[str, LambdaFunction] = field(repr=False)
    """By their logical names in the template."""
    gateway: Server
    variables: dict[str, str] = field(repr=False)
    """What the functions' environments have besides the template's variables."""
    guardian: Guardian = field(repr=False)

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return self.gateway.url

    def function_of(self, module: str) -> LambdaFunction:
        """Return the function that `handlers/MODULE.py` serves."""
        (found,) = (f for f in self.functions.values() if f.configuration.handler == f"handlers.{module}.handler")
        return found


@contextmanager
def running(
    port: int = 0,
    step: Step = nullcontext,
    on_invocation: Callable[[str, Invocation], None] = lambda _name, _invocation: None,
) -> Iterator[Stack]:
    """Start everything, the gateway on `port` of 127.0.0.1; end everything, and leave nothing behind."""
    require_free(port)
    with ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        loading = threads.submit(SecretsManager)
        with step("Lambda's Runtime Interface Emulator"):
            rie_program()
        guardian = stack.enter_context(Guardian())
        folder = Path(tempfile.mkdtemp(prefix="slotwise-"))
        guardian.folder(folder)
        with step("PostgreSQL"):
            application = stack.enter_context(_database(folder, guardian))
        with step("Secrets Manager"):
            manager = stack.enter_context(loading.result())
            for secret_id, text in application.logins().items():
                manager.put(secret_id, text)
        variables = variables_for(application, manager)
        functions = _functions(variables, folder, guardian, on_invocation)
        for function in functions.values():
            stack.enter_context(function)
        with step("roles, rights and schema"):
            create(functions["ProvisionFunction"], "Schema", {"Plan": plan()})
        gateway = stack.enter_context(closing(Gateway([*Template().routes(), *LOCAL_ROUTES], functions)))
        yield Stack(
            server=application.server,
            application=application,
            secrets_manager=manager,
            functions=functions,
            gateway=stack.enter_context(Server(gateway, port)),
            variables=variables,
            guardian=guardian,
        )


@contextmanager
def _database(folder: Path, guardian: Guardian) -> Iterator[Application]:
    server = PostgresServer(folder / "postgres", secrets.token_urlsafe())
    server.settings = RESERVED if knows(server.binaries, *RESERVED) else {}
    server.settings |= COUNTED if counts_statements(server.binaries) else {}
    certificates = Certificates.issue(folder) if server.has_tls else None
    server.certificate = certificates.server if certificates else None
    guardian.cluster(server.directory)
    with server:
        application = Application(server, certificates)
        application.create()
        yield application


def plan() -> dict[str, Any]:
    """Return what is wanted of the database: the sample event's plan."""
    (found,) = (sample.event["Plan"] for sample in samples() if sample.name == "provision/by-hand")
    return dict(found)


def variables_for(application: Application, manager: SecretsManager) -> dict[str, str]:
    """Return what the functions must be told; over TLS also the marks that only Lambda sets."""
    marks = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}
    return {
        "DB_SECRET_ID": APPLICATIONS_SECRET,
        **application.tls_variables,
        **manager.variables(),
        **(marks if application.certificates else {}),
    }


def _functions(
    variables: dict[str, str], folder: Path, guardian: Guardian, on_invocation: Callable[[str, Invocation], None]
) -> dict[str, LambdaFunction]:
    return {
        name: LambdaFunction(
            with_variables(configuration, variables | LOGINS.get(name, {})), folder, guardian, on_invocation
        )
        for name, configuration in Template().functions().items()
    }


def with_variables(configuration: Configuration, variables: dict[str, str]) -> Configuration:
    """Return the configuration with more environment variables, which go before its own."""
    return replace(configuration, variables={**configuration.variables, **variables})
