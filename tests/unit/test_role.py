"""Which statements make a role what it should be: decided from facts, without a server."""

from dataclasses import replace

import pytest

from provision.errors import RoleRefusedError
from provision.facts import Facts, RoleFacts, SchemaFacts, ServerFacts
from provision.role import Application, login_steps, require_no_owner, require_suitable, schema_steps, session_settings
from provision.sql import identifier, literal

SERVER = ServerFacts(
    version=170004,
    database="d",
    user="master",
    is_superuser=False,
    creates_roles=True,
    pid=1,
    now=0.0,
    in_recovery=False,
    read_only=False,
    max_connections=100,
    usable=97,
    used=1,
    database_limit=None,
    has_rds_iam=True,
    predefined={"pg_monitor": True, "pg_signal_backend": True, "pg_use_reserved_connections": True},
    settings={},
)
WANTED = Application(role="app", schema="public", limit=10, settings={"statement_timeout": "60000"})
AS_WANTED = RoleFacts(name="app", limit=10, settings={"statement_timeout": "60000"})
VERIFIER = "SCRAM-SHA-256$4096:c2FsdA==$a:b"


def facts(role: RoleFacts | None, schema: SchemaFacts | None = None) -> Facts:
    return Facts(server=SERVER, role=role, schema=schema)


@pytest.mark.parametrize(
    ("role", "verifier", "statements"),
    [
        (AS_WANTED, None, []),
        (AS_WANTED, VERIFIER, [f"alter role \"app\" password '{VERIFIER}'"]),
        (replace(AS_WANTED, limit=-1), None, ['alter role "app" connection limit 10']),
        (replace(AS_WANTED, login=False), None, ['alter role "app" login']),
        (replace(AS_WANTED, member_of=frozenset({"rds_iam"})), None, ['revoke rds_iam from "app"']),
        (
            replace(AS_WANTED, settings={"statement_timeout": "1"}),
            None,
            ['alter role "app" in database "d" set statement_timeout = \'60000\''],
        ),
    ],
)
def test_only_what_differs_is_changed(role: RoleFacts, verifier: str | None, statements: list[str]) -> None:
    """Each difference has its one statement, and what is right has none."""
    assert [step.sql for step in login_steps(SERVER, role, WANTED, verifier)] == statements


def test_a_role_that_is_missing_is_created_at_once() -> None:
    """Login, limit and verifier in one statement: nobody ever sees it half made."""
    first, *rest = login_steps(SERVER, None, WANTED, VERIFIER)
    assert first.sql == f"create role \"app\" login connection limit 10 password '{VERIFIER}'"
    assert [step.name for step in rest] == ["set statement_timeout"]


def test_a_step_shows_no_statement() -> None:
    """A verifier is not for logs."""
    assert VERIFIER not in repr(list(login_steps(SERVER, None, WANTED, VERIFIER)))


def test_iam_where_the_server_has_none_is_refused() -> None:
    """The role rds_iam is there only on RDS with IAM authentication."""
    without = replace(SERVER, has_rds_iam=False)
    with pytest.raises(RoleRefusedError, match="rds_iam"):
        list(login_steps(without, AS_WANTED, replace(WANTED, by_iam=True), None))


@pytest.mark.parametrize("power", ["superuser", "createrole", "createdb", "replication", "bypassrls"])
def test_a_role_with_powers_is_refused(power: str) -> None:
    """What only an administrator may, no application may."""
    with pytest.raises(RoleRefusedError, match=power):
        require_suitable(SERVER, replace(AS_WANTED, **{power: True}), "app")  # type: ignore[arg-type]  # by name


def test_a_role_that_owns_tables_is_refused() -> None:
    """Who owns a table can drop it."""
    schema = SchemaFacts(name="public", owns=frozenset({"records"}))
    with pytest.raises(RoleRefusedError, match="owns records"):
        require_no_owner(schema, "app")


def test_a_schema_that_is_there_is_not_made() -> None:
    """Work begins in it either way."""
    there = SchemaFacts(name="public")
    assert [step.name for step in schema_steps(facts(None, there), WANTED)] == ["work in the schema"]
    assert [step.name for step in schema_steps(facts(None), WANTED)] == ["create the schema", "work in the schema"]


def test_an_old_server_gets_no_setting_that_it_does_not_know() -> None:
    """idle_session_timeout came with PostgreSQL 14."""
    old = replace(SERVER, version=130010)
    assert "idle_session_timeout" not in session_settings(old, schema="s", statement_s=1, in_transaction_s=1, idle_s=1)
    assert "idle_session_timeout" in session_settings(SERVER, schema="s", statement_s=1, in_transaction_s=1, idle_s=1)


@pytest.mark.parametrize(
    ("text", "as_identifier", "as_literal"),
    [
        ("app", '"app"', "'app'"),
        ('a"b', '"a""b"', "'a\"b'"),
        ("a'b", '"a\'b"', "'a''b'"),
        ("100%s :name", '"100%s :name"', "'100%s :name'"),
    ],
)
def test_names_and_texts_are_quoted(text: str, as_identifier: str, as_literal: str) -> None:
    """Whatever they hold; a percent sign stays one."""
    assert (identifier(text), literal(text)) == (as_identifier, as_literal)
