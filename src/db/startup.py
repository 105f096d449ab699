"""What a session is told in its StartupMessage, or behind a pooler in each BEGIN, at no flight; not how it is sent."""

from collections.abc import Mapping

from db.settings import DatabaseSettings, Mode

CLIENT_CHECK = "1s"
"""How often the server looks, while it works for us, whether we are still there (PostgreSQL 14 and later)."""


def required_parameters(application_name: str, database: str) -> dict[str, str]:
    """Return what every server and pooler takes."""
    return {"database": database, "application_name": application_name}


def optional_parameters(settings: DatabaseSettings, others: Mapping[str, str]) -> dict[str, str]:
    """Return what a server takes and a pooler does not; `others` are those that no setting says."""
    if settings.mode is Mode.POOLER:
        return {}
    path = {"search_path": settings.search_path} if settings.search_path else {}
    return {
        "client_connection_check_interval": CLIENT_CHECK,
        "idle_in_transaction_session_timeout": f"{settings.idle_in_transaction_s * 1000:.0f}",
        "tcp_user_timeout": f"{settings.idle_in_transaction_s * 1000:.0f}",  # it waits with rows for who is frozen
        **path,
        **others,
    }


def with_begin(settings: DatabaseSettings) -> tuple[str, ...]:
    """Return what goes with each BEGIN where the session belongs to a pooler: it ends with the transaction."""
    if settings.mode is Mode.DIRECT:
        return ()
    return (f"set local idle_in_transaction_session_timeout = {settings.idle_in_transaction_s * 1000:.0f}",)


def queue_s(settings: DatabaseSettings) -> float:
    """Return for how long one may wait in a pooler's queue, which gives no sign of life meanwhile."""
    return 0.0 if settings.mode is Mode.DIRECT else settings.slot_wait_s
