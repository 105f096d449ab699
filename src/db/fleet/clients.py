"""Which of the server's processes hold a slot of max_connections, as a condition on pg_stat_activity.

Its own do not, though they work in a database too: autovacuum has no user, and parallel workers say what they are.
Members of pg_monitor and of the worker's role see that; to others, whatever they cannot see is a client.
"""

HOLDS_SLOT = (
    "(datid is not null and usesysid is not null and coalesce(backend_type, 'client backend') = 'client backend')"
)
