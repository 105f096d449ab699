"""Whether the server counts its statements, of which the monitor names the slow ones; and what makes it do so. Pure.

Its library is loaded when the server starts; its views are an extension of each database.
https://www.postgresql.org/docs/current/pgstatstatements.html
"""

from provision.facts import ServerFacts
from provision.findings import Finding, ok, warning
from provision.role import Step

COUNTED, NOT_INSTALLED, NOT_LOADED = "counted", "not installed", "not loaded"
"""What ServerFacts.statements says; else the server comes without it."""
CREATE = "create extension if not exists pg_stat_statements schema public"
INSTALL = Step("install pg_stat_statements", CREATE)
"""What makes a server that has loaded it count."""
REFUSED = f"statements are not counted: let a superuser, or on RDS a member of rds_superuser, {CREATE}"


def of_statements(server: ServerFacts) -> Finding:
    """Say whether slow statements can be named."""
    if server.statements == COUNTED:
        return ok("statements", "counted by pg_stat_statements")
    if server.statements == NOT_INSTALLED:
        says = f"pg_stat_statements is loaded, and not installed in {server.database}"
        return warning("statements", says, f"provision the database; or, as a superuser (rds_superuser): {CREATE}")
    if server.statements == NOT_LOADED:
        says = "not counted: the monitor cannot name slow ones"
        return warning("statements", says, "add pg_stat_statements to shared_preload_libraries, and restart the server")
    return ok("statements", "not counted: this server comes without pg_stat_statements")
