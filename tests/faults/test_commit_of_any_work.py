"""Row 21: a lost COMMIT is resolved whatever has written: COPY, the ORM, NOTIFY, a held cursor, savepoints."""

from contextlib import nullcontext, suppress
from io import BytesIO

import pytest
from sqlalchemy import text

from db import CommitUnknownError, ConnectionLostError, Database
from local.postgres import PostgresServer
from tests.canary import VALUE
from tests.faults.lost_commits import COMMIT, INSERT, LostCommit, applied
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import admin, run

pytestmark = pytest.mark.usefixtures("lost_commits")


def test_what_copy_wrote_is_resolved_too(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 21: COPY carries no rider, so its transaction's id is asked for before COMMIT."""
    with proxied.transaction() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("copy lost_commits (n) from stdin", stream=BytesIO(b"1\n2\n"))  # type: ignore[call-arg]  # pg8000's
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
    assert applied(postgres) == 2


def test_an_orm_session_is_resolved_too(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 21: the ORM's flush and COMMIT go the same way."""
    with proxied.session() as session:
        session.add(LostCommit(n=1))
        session.flush()
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
    assert applied(postgres) == 1


def test_many_rows_in_autocommit_are_resolved_too(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 21: several flights are made one transaction, whose COMMIT is resolved like any other."""
    with proxied.autocommit() as connection:
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
        rows = [{"n": n, "filler": VALUE * 30} for n in range(2000)]
        connection.execute(text("insert into lost_commits (n) select :n where :filler <> ''"), rows)
    assert proxy.strikes() == 1
    assert applied(postgres) == 2000


@pytest.mark.parametrize("notify", ["notify news, 'x'", "select pg_notify('news', 'x')"])
def test_what_only_notifies_is_resolved_too(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, notify: str
) -> None:
    """Row 21: PostgreSQL gives such a transaction an id no sooner than in COMMIT; here it has one to ask about."""
    with admin(postgres) as listener:
        listener.execute("listen news")
        with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
            connection.execute(text(notify))
            proxy.inject(Fault(Action.RESET, Direction.TO_SERVER))
        with proxied.transaction() as connection:
            connection.execute(text(notify))
            proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
        assert [told.payload for told in listener.notifies(timeout=2, stop_after=1)] == ["x"]


LOSING = (
    "create or replace function lose() returns int language sql as 'insert into lost_commits values (1) returning n'"
)
HELD = "declare held cursor with hold for select lose()"


@pytest.mark.parametrize(("direction", "expected"), [(Direction.TO_CLIENT, 1), (Direction.TO_SERVER, 0)])
def test_what_a_held_cursor_writes_is_resolved_too(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, direction: Direction, expected: int
) -> None:
    """Row 21: its query is run in COMMIT, before which the transaction has written nothing."""
    run(postgres, LOSING)
    with nullcontext() if expected else pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.exec_driver_sql(HELD)
        proxy.inject(Fault(Action.RESET, direction, once_sent=COMMIT if expected else b""))
    assert applied(postgres) == expected


def test_a_held_cursor_in_autocommit_is_never_opened_twice(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: its query may write, and is run at once."""
    run(postgres, LOSING)
    with pytest.raises(CommitUnknownError), proxied.autocommit() as connection:
        connection.execute(text("select 1"))
        proxy.inject(Fault(Action.RESET, once_sent=b"with hold"))
        connection.exec_driver_sql(HELD)
    assert applied(postgres) == 1


@pytest.mark.parametrize(("direction", "expected"), [(Direction.TO_CLIENT, 2), (Direction.TO_SERVER, 0)])
def test_savepoints_do_not_hide_what_became_of_a_commit(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, direction: Direction, expected: int
) -> None:
    """Row 21: one that was released and one that was rolled back; the transaction's own id is asked about."""
    with nullcontext() if expected else pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        with connection.begin_nested():
            connection.execute(INSERT)
        with suppress(ZeroDivisionError), connection.begin_nested():
            connection.execute(INSERT)
            raise ZeroDivisionError
        connection.execute(INSERT)
        proxy.inject(Fault(Action.RESET, direction, once_sent=COMMIT if expected else b""))
    assert applied(postgres) == expected
