"""What the server says without being asked."""

import time

from db.deadline import Deadline
from local.postgres import PostgresServer
from tests.integration.wire import connected, value


def test_notices_and_notifications_arrive(server_itself: PostgresServer) -> None:
    """Also while nothing is asked, and in any language."""
    with connected(server_itself, autocommit=True) as connection:
        connection.cursor().execute("listen news; do $$begin raise notice 'note'; end$$")
        assert any(notice[b"M"] == b"note" for notice in connection.notices)
        with connected(server_itself, autocommit=True) as other:
            value(other, "select pg_notify('news', %s)", ("größer",))
        give_up = Deadline.after(10)
        while not connection.notifications and give_up.remaining_s():
            assert connection.is_alive()
            time.sleep(0.01)
        assert [notification[1:] for notification in connection.notifications] == [("news", "größer")]
