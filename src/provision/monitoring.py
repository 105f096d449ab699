"""What makes a role the monitor's: it sees everybody's sessions, ends those left behind, and reads no table. Pure.

https://www.postgresql.org/docs/current/predefined-roles.html
"""

from collections.abc import Iterator
from types import MappingProxyType

from provision.errors import RoleRefusedError
from provision.facts import RoleFacts, ServerFacts
from provision.role import LoginRole, Step, session_settings
from provision.sql import identifier

FROM_RESERVED_SLOTS = "pg_use_reserved_connections"
"""From PostgreSQL 16 on. Before, slots are reserved for superusers only, and the monitor is no superuser: what it has
is the headroom, which the application's CONNECTION LIMIT leaves to others.
"""
RIGHTS = MappingProxyType(
    {
        "pg_monitor": "see what others do",
        "pg_signal_backend": "end what is left behind",
        FROM_RESERVED_SLOTS: "log in to a full server",
    }
)
CONNECTION_LIMIT = 3
"""The function's one, two for who rotates its secret."""
STATEMENT_S, IDLE_S = 15.0, 60.0


def require_another(monitor: str, application: str) -> None:
    """Raise RoleRefusedError where both are the same role: it would have rights that no application may."""
    if monitor == application:
        raise RoleRefusedError(f"{monitor} is the application: give the monitor a role of its own")


def wanted(server: ServerFacts, name: str, *, by_iam: bool) -> LoginRole:
    """Return the monitor's role as it should be."""
    settings = session_settings(
        server, schema="pg_catalog", statement_s=STATEMENT_S, in_transaction_s=STATEMENT_S, idle_s=IDLE_S
    )
    return LoginRole(role=name, limit=CONNECTION_LIMIT, settings=settings, by_iam=by_iam)


def missing(server: ServerFacts, role: RoleFacts | None) -> list[str]:
    """Return the rights that this server knows and the role has not."""
    has = role.member_of if role else frozenset()
    return [right for right in RIGHTS if right in server.predefined and right not in has]


def right_steps(server: ServerFacts, role: RoleFacts | None, name: str) -> Iterator[Step]:
    """Yield what gives the role the rights that it lacks and that who provisions may grant."""
    for right in missing(server, role):
        if server.predefined[right]:
            yield Step(f"let the role {RIGHTS[right]}", f"grant {right} to {identifier(name)}")


def refusals(server: ServerFacts, role: RoleFacts | None, name: str) -> list[str]:
    """Return what the monitor will not be able to do, and who can change that."""
    return [
        f"the monitor cannot {RIGHTS[right]}: let who has ADMIN OPTION on it grant {right} to {name}"
        for right in missing(server, role)
        if not server.predefined[right]
    ]
