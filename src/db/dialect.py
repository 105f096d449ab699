"""The SQLAlchemy dialect over db.protocol: `postgresql+slotwise`. It asks the server nothing that it has said already.

What the stock dialect asks at the first connect is in the session's ParameterStatus; isolation levels travel in BEGIN.
"""

import re
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGInspector
from sqlalchemy.dialects.postgresql.pg8000 import PGDialect_pg8000
from sqlalchemy.engine.interfaces import DBAPIConnection, IsolationLevel

from db.deadline import UNBOUNDED, Deadline
from db.protocol.connection import Connection as DriverConnection
from db.protocol.connection import ConnectOptions, connect
from db.protocol.dial import Address
from db.protocol.server_errors import is_broken, sqlstate_of
from db.tls import is_loopback, system_context

READ_ONLY = "25006"


class Inspector(PGInspector):
    """Reflection: the one place that needs the default schema's name, and so the one that asks for it."""

    def _init_connection(self, connection: Connection) -> None:
        super()._init_connection(connection)
        _learn_default_schema(connection)

    def _init_engine(self, engine: Engine) -> None:
        super()._init_engine(engine)
        with engine.connect() as connection:
            _learn_default_schema(connection)


def _learn_default_schema(connection: Connection) -> None:
    dialect = connection.dialect
    if isinstance(dialect, SlotwiseDialect) and not dialect.knows_default_schema:
        dialect.default_schema_name = connection.exec_driver_sql("select current_schema()").scalar()
        dialect.knows_default_schema = True


class SlotwiseDialect(PGDialect_pg8000):
    """PostgreSQL through our pg8000 connection."""

    supports_statement_cache = True
    inspector = Inspector

    def __init__(self, ask_defaults: bool = True, **options: Any) -> None:  # noqa: ANN401, FBT001, FBT002 - create_engine looks for positional names
        """With `ask_defaults=False` the first connect asks nothing; reflection asks for the default schema's name."""
        super().__init__(**options)
        self.knows_default_schema = self._asks_isolation_level = ask_defaults

    # --- the first connect ---

    def connect(self, *_arguments: Any, **options: Any) -> DBAPIConnection:  # noqa: ANN401 - a URL's and connect_args' options
        """Connect by URL and `connect_args`, for tools; an engine of db.engine connects by itself.

        Takes pg8000's user, password, host, port, database, application_name, startup_params, timeout and ssl_context:
        a context, or False for plaintext, or True: then the system's authorities verify the server, as they do without
        it unless the server is on this machine, which is asked in clear. Raises TypeError for any other option.

        `timeout` is in seconds and bounds the connect and the login; pg8000's bounds each wait of each statement, too.
        That is the server's business here: `startup_params={"statement_timeout": "1s"}`.
        """
        given = {name: value for name, value in options.items() if value is not None}
        timeout_s = given.pop("timeout", None)
        return connect(options_from(**given), deadline=Deadline.after(float(timeout_s)) if timeout_s else UNBOUNDED)

    def _get_server_version_info(self, connection: Connection) -> tuple[int, ...]:
        said = _session(connection.connection.dbapi_connection).parameter_statuses.get("server_version", "")
        numbers = re.match(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", said)
        if numbers is None:
            asked: tuple[int, ...] = super()._get_server_version_info(connection)
            return asked
        return tuple(int(number) for number in numbers.groups() if number is not None)

    def _set_backslash_escapes(self, connection: Connection) -> None:
        said = _session(connection.connection.dbapi_connection).parameter_statuses.get("standard_conforming_strings")
        if said is None:
            super()._set_backslash_escapes(connection)
        else:
            self._backslash_escapes = said == "off"

    def _get_default_schema_name(self, connection: Connection) -> str:
        if not self.knows_default_schema:
            return "public"  # where PostgreSQL begins; an Inspector will ask
        name: str = super()._get_default_schema_name(connection)
        return name

    def get_default_isolation_level(self, dbapi_conn: DBAPIConnection) -> IsolationLevel:
        """Return the role's or database's default; where that must not cost a flight, PostgreSQL's own.

        What is said here changes nothing: where no level is asked for, the server's default applies, whichever it is.
        """
        return self.get_isolation_level(dbapi_conn) if self._asks_isolation_level else "READ COMMITTED"

    # --- transaction modes: said in BEGIN, so that setting them costs no flight ---

    def set_isolation_level(self, dbapi_connection: DBAPIConnection, level: IsolationLevel) -> None:
        """Take note of the level."""
        _session(dbapi_connection).autocommit = level == "AUTOCOMMIT"
        _session(dbapi_connection).modes.isolation_level = (
            None if _session(dbapi_connection).autocommit else level.replace("_", " ")
        )

    def reset_isolation_level(self, dbapi_connection: DBAPIConnection) -> None:
        """Go back to the engine's level, or the server's default."""
        if self._on_connect_isolation_level is not None:
            self.set_isolation_level(dbapi_connection, self._on_connect_isolation_level)
        else:
            _session(dbapi_connection).autocommit = False
            _session(dbapi_connection).modes.isolation_level = None

    def get_isolation_level(self, dbapi_connection: DBAPIConnection) -> IsolationLevel:
        """Return the level that was set; ask the server where none was."""
        if _session(dbapi_connection).autocommit:
            return "AUTOCOMMIT"
        level = _session(dbapi_connection).modes.isolation_level or super().get_isolation_level(dbapi_connection)
        return cast("IsolationLevel", level)

    def set_readonly(self, connection: DBAPIConnection, value: bool) -> None:  # noqa: FBT001 - SQLAlchemy's signature
        """Take note of it; False after True takes it back, as at a borrow's end: a standby refuses READ WRITE."""
        modes = _session(connection).modes
        modes.read_only = None if modes.read_only and not value else value

    def get_readonly(self, connection: DBAPIConnection) -> bool:
        """Return what was set; ask the server where nothing was."""
        value: bool | None = _session(connection).modes.read_only
        return bool(super().get_readonly(connection)) if value is None else value

    def set_deferrable(self, connection: DBAPIConnection, value: bool) -> None:  # noqa: FBT001 - SQLAlchemy's signature
        """Take note of it."""
        _session(connection).modes.deferrable = value

    def get_deferrable(self, connection: DBAPIConnection) -> bool:
        """Return what was set; ask the server where nothing was."""
        value: bool | None = _session(connection).modes.deferrable
        return bool(super().get_deferrable(connection)) if value is None else value

    # --- life and death ---

    def do_ping(self, dbapi_connection: DBAPIConnection) -> bool:
        """Say, without a flight, whether the connection still serves."""
        return _session(dbapi_connection).is_alive()

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        """Say whether the connection must not be used again: it is gone, or its server takes no writes any more."""
        return is_broken(e) or (sqlstate_of(e) == READ_ONLY and not _asked_for_read_only(connection))


def options_from(
    *,
    user: str,
    password: str = "",
    host: str = "localhost",
    port: int | str = 5432,
    database: str = "",
    application_name: str = "",
    startup_params: Mapping[str, str] = MappingProxyType({}),
    ssl_context: ssl.SSLContext | bool | None = None,
) -> ConnectOptions:
    """Return whom to log in where, from what pg8000's `connect` takes."""
    return ConnectOptions(
        address=_address(host, int(port), asked=ssl_context),
        user=user,
        password=password,
        required={"database": database or user, "application_name": application_name, **startup_params},
    )


def _address(host: str, port: int, *, asked: ssl.SSLContext | bool | None) -> Address:
    if isinstance(asked, ssl.SSLContext):
        return Address(host, port, asked)
    if asked is False or (asked is None and is_loopback(host)):
        return Address(host, port)
    return Address(host, port, system_context(), any_curve=lambda: system_context(any_curve=True))


def _asked_for_read_only(connection: Any) -> bool:  # noqa: ANN401 - SQLAlchemy's several kinds of connection
    session = getattr(connection, "dbapi_connection", connection)
    return isinstance(session, DriverConnection) and bool(session.modes.read_only)


def _session(connection: object) -> DriverConnection:
    if not isinstance(connection, DriverConnection):
        raise TypeError(f"postgresql+slotwise needs db.protocol.connection.Connection, not {type(connection).__name__}")
    return connection


registry.register("postgresql.slotwise", __name__, SlotwiseDialect.__name__)
