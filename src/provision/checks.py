"""What the doctor thinks of what was seen. Pure: facts in, a line out."""

from socket import gaierror
from ssl import SSLCertVerificationError, SSLError

from db import (
    ConfigurationError,
    LoginRefusedError,
    SaturatedError,
    SecretError,
    SlotwiseError,
)
from db.clock import DAY_S
from db.errors import causes
from db.failures import NOT_LET_IN
from db.protocol.peer import Peer
from db.protocol.server_errors import DisconnectedError, sqlstate_behind
from db.settings import Mode
from db.tcp import is_unanswered
from provision import monitoring
from provision.budget import Budget
from provision.facts import Facts, RoleFacts, SchemaFacts, ServerFacts
from provision.findings import Finding, failure, ok, warning
from provision.role import IDLE_SESSION_TIMEOUT_SINCE, TOO_MUCH

EXPIRES_SOON_S, EXPIRES_NOW_S = 30 * DAY_S, 3 * DAY_S
SKEW_WARNING_S, SKEW_FAILURE_S = 10.0, 240.0
"""A signature is refused when its date is five minutes off."""
MOST_SLOTS_USED = 0.8
PROVISION = "provision the database: deploy, or invoke the provision function by hand"


# --- what keeps us out ---


def of_refusal(error: SlotwiseError) -> Finding:
    """Say why there is no connection."""
    says = f"{error}".split("\n", maxsplit=1)[0]
    if isinstance(error, ConfigurationError):
        return failure("settings", says, "correct the variable that is named")
    if isinstance(error, SecretError):
        return failure("secret", says, "look at the secret's text, the role's policy, and the way to Secrets Manager")
    if isinstance(error, LoginRefusedError):
        return failure("login", says, _of_login(error))
    if isinstance(error, SaturatedError):
        return failure("slots", says, "no slot is left: lower the concurrency, or raise max_connections or the limit")
    return _of_way(error, says)


def _of_login(error: LoginRefusedError) -> str:
    """Say what to do about a refused login."""
    if sqlstate_behind(error) in NOT_LET_IN:
        return "grant CONNECT on the database to the role; alter database ... allow_connections true"
    return "compare secret and role; by IAM the role needs rds_iam and the policy rds-db:connect"


def _of_way(error: SlotwiseError, says: str) -> Finding:
    chain = list(causes(error))
    says = next((str(cause) for cause in chain if isinstance(cause, DisconnectedError)), says)  # in our words
    if any(isinstance(cause, SSLCertVerificationError) for cause in chain):
        return failure("certificate", says, "set DB_TLS_CA to who signed it, and DB_HOST to a name that it bears")
    if any(isinstance(cause, SSLError) for cause in chain):
        return failure("certificate", says, "the server must speak TLS 1.2 or later")
    if any(map(is_unanswered, chain)):
        return failure("reach", says, "no resolver answers: ask again, and let the network have one (VPC: DNS support)")
    if any(isinstance(cause, gaierror) for cause in chain):
        return failure("reach", says, "the host's name means nothing here: correct DB_HOST or the secret's host")
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain):
        return failure("reach", says, "nothing listens there: correct DB_PORT, or start the server")
    return failure("reach", says, "let the security groups of functions and database meet, and the server speak TLS")


# --- the way there ---


def of_certificate(peer: Peer, now: float) -> Finding:
    """Say how the server proved who it is, and for how long it still can."""
    if peer.tls is None:
        return warning(
            "certificate", f"{peer.place} in clear", "for this machine only: set DB_TLS=verify-full elsewhere"
        )
    if peer.certificate_expires_at is None:
        return warning("certificate", f"{peer.tls}, no date of expiry", "look at the server's certificate")
    left_s = peer.certificate_expires_at - now
    says = f"{peer.tls}, verified, good for {left_s / DAY_S:.0f} days"
    if left_s < EXPIRES_SOON_S:
        found = failure if left_s < EXPIRES_NOW_S else warning
        return found("certificate", says, "renew it; on RDS: rotate it, which may restart the server")
    return ok("certificate", says)


def of_pooler(server: ServerFacts, peer: Peer, mode: Mode) -> Finding:
    """Say whether something stands in between: it announces sessions that are not the server's."""
    between = peer.announced_pid != server.pid
    if between and mode is Mode.DIRECT:
        says = "a pooler or proxy is between us and the server"
        return warning("pooler", says, "set DB_MODE=pooler, and Mode in the plan: its own limits bound the fleet")
    if not between and mode is Mode.POOLER:
        return warning("pooler", "none, and the mode is pooler", "correct the host or DB_MODE")
    return ok("pooler", "between us and the server, as planned" if between else "none: the server itself answers")


def of_clock(server_now: float, before: float, after: float) -> Finding:
    """Say how far the clocks are apart; `before` and `after` are ours around the question."""
    skew_s = max(0.0, before - server_now, server_now - after)
    says = f"{skew_s:.1f} s apart" if skew_s >= 1 else "together"
    if skew_s < SKEW_WARNING_S:
        return ok("clock", says)
    found = failure if skew_s > SKEW_FAILURE_S else warning
    return found("clock", says, "set both by NTP: IAM tokens and certificates are dated")


# --- the server ---


def of_server(server: ServerFacts) -> Finding:
    """Say whether this is a server to write to, and new enough."""
    says = f"PostgreSQL {server.version // 10000}.{server.version % 10000}, database {server.database}"
    if server.in_recovery or server.read_only:
        return failure("server", f"{says}, read-only", "connect to the writer's endpoint")
    if server.version < IDLE_SESSION_TIMEOUT_SINCE:
        return warning("server", says, "from 14 on the server itself ends idle sessions: upgrade")
    return ok("server", says)


def of_passwords(server: ServerFacts) -> Finding:
    """Say how new passwords are kept."""
    kept = server.settings.get("password_encryption", "unknown")
    if kept == "scram-sha-256":
        return ok("passwords", "kept as scram-sha-256")
    return warning("passwords", f"kept as {kept}", "set password_encryption = scram-sha-256 and change passwords once")


def of_slots(server: ServerFacts, role: RoleFacts) -> Finding:
    """Say how many slots are taken of those that the role can have."""
    limits = [(server.used, server.usable), *([(role.used, role.limit)] if role.limit >= 0 else [])]
    used, slots = max(limits, key=lambda limit: limit[0] / max(1, limit[1]))
    says = f"{used} of {slots} taken"
    if used > MOST_SLOTS_USED * slots:
        return warning("slots", says, "see pg_stat_activity for who has them")
    return ok("slots", says)


def of_budget(budget: Budget | None) -> Finding:
    """Say whether the fleet fits."""
    if budget is None:
        return warning("budget", "not reckoned: no plan was given", "give the plan; `make budget` reckons it too")
    if budget.fits:
        return ok("budget", str(budget))
    return failure("budget", str(budget), "lower reserved concurrency or pool size, or raise the limit")


# --- the role ---


def of_role(role: RoleFacts) -> Finding:
    """Say whether the role is more than an application's."""
    powers = [power for power in TOO_MUCH if getattr(role, power)]
    powers += [f"member of {group}" for group in sorted(role.member_of & {"rds_superuser"})]
    if powers:
        return warning("role", f"{role.name} is {', '.join(powers)}", "give the application a role of its own")
    return ok("role", f"{role.name}, nothing but a login")


def of_limit(role: RoleFacts) -> Finding:
    """Say whether the role can take every slot."""
    if role.limit < 0:
        return warning("limit", f"{role.name} has no CONNECTION LIMIT", PROVISION)
    return ok("limit", f"{role.name} may have {role.limit} connections")


def of_time_outs(server: ServerFacts, role: RoleFacts) -> Finding:
    """Say whether what is left behind ends by itself: by the role's settings, or by what a session asks for."""
    needed = ["statement_timeout", "idle_in_transaction_session_timeout"]
    needed += ["idle_session_timeout"] if server.version >= IDLE_SESSION_TIMEOUT_SINCE else []
    in_force = {**server.settings, "statement_timeout": "0", **role.settings}
    if missing := [name for name in needed if in_force.get(name, "0") == "0"]:
        return warning("time-outs", f"{role.name} has none of its own for {', '.join(missing)}", PROVISION)
    return ok("time-outs", ", ".join(f"{name} {in_force[name]}" for name in needed))


def of_privileges(role: RoleFacts, schema: SchemaFacts | None) -> Finding:
    """Say whether the role can work with the tables, and only that."""
    if schema is None or not schema.usage:
        return failure("privileges", f"{role.name} may not use the schema", PROVISION)
    if schema.out_of_reach:
        return failure("privileges", f"{role.name} may not use {', '.join(schema.out_of_reach)}", PROVISION)
    if schema.create or schema.owns:
        says = f"{role.name} may create in {schema.name}, or owns tables there"
        return warning("privileges", says, "let another role own and migrate them: " + PROVISION)
    return ok("privileges", f"{role.name} may use what is in {schema.name}, and change none of it")


def of_migrations(revision: str | None, pending: list[str] | None) -> Finding:
    """Say whether the schema is the one that this code was written for."""
    if pending is None:
        return warning("migrations", f"the schema's {revision} is newer than this code", "deploy the newer code")
    if pending:
        return failure("migrations", f"at {revision or 'nothing'}; pending: {', '.join(pending)}", PROVISION)
    return ok("migrations", f"at {revision}, nothing pending")


# --- the monitor ---


def of_monitor(name: str | None, facts: Facts) -> Finding:
    """Say whether the monitor can do its work: see, end, and look also where every slot is taken."""
    if name is None:
        says = "the monitor has no login in the plan: it may see one role only, and no slot is kept for it"
        return warning("monitor", says, "give it a login: MonitorSecretId in the plan, MonitorSecretArn of the stack")
    if facts.monitor is None:
        return failure("monitor", f"the monitor's role {name} is not there", PROVISION)
    if lacks := monitoring.missing(facts.server, facts.monitor):
        purposes = ", ".join(monitoring.RIGHTS[right] for right in lacks)
        return warning("monitor", f"{name} cannot {purposes}", f"grant {', '.join(lacks)} to {name}")
    return _of_reserved_slots(name, facts.server)


def _of_reserved_slots(name: str, server: ServerFacts) -> Finding:
    reserved = server.settings.get("reserved_connections")
    if reserved == "0":
        says = f"no slot is reserved for {name}: it sees a full server only where the headroom is left"
        return warning("monitor", says, "set reserved_connections = 2, and restart the server")
    slot = f"one of {reserved} reserved slots" if reserved else "the headroom: only superusers have reserved slots"
    return ok("monitor", f"{name} sees and ends what it must, and on a full server it has {slot}")


def all_of(facts: Facts) -> list[Finding]:
    """Return the lines about the server and the role that need nothing else."""
    role = facts.role or RoleFacts(name=facts.server.user)
    server = facts.server
    return [
        of_server(server),
        of_passwords(server),
        of_role(role),
        of_privileges(role, facts.schema),
        of_limit(role),
        of_slots(server, role),
        of_time_outs(server, role),
    ]
