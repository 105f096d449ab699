"""When the application's secret rotates next, as Secrets Manager says; its text is not asked for here."""

from dataclasses import dataclass

from db.clock import DAY_S
from db.credentials.sdk import SERVICE, new_session
from db.masking import without_frames
from provision.findings import Finding, ok, warning

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What is said of a secret's rotation; times in seconds since 1970."""

    enabled: bool = False
    next_at: float | None = None
    refused: str | None = None
    """Why it could not be asked for."""


def rotation_of(secret_id: str) -> Rotation:
    """Ask Secrets Manager; needs secretsmanager:DescribeSecret."""
    from botocore.config import Config  # noqa: PLC0415 - slow to import, and the runtime's
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    config = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 1})
    try:
        said = new_session().create_client(SERVICE, config=config).describe_secret(SecretId=secret_id)
    except (BotoCoreError, ClientError) as error:
        return Rotation(refused=type(without_frames(error)).__name__)
    date = said.get("NextRotationDate")
    return Rotation(enabled=bool(said.get("RotationEnabled")), next_at=date.timestamp() if date else None)


def of_rotation(rotation: Rotation | None, now: float) -> Finding:
    """Say when the password changes next; None where it is no secret's."""
    if rotation is None:
        return ok("rotation", "no secret: IAM, or a URL")
    if rotation.refused:
        says = f"Secrets Manager does not say ({rotation.refused})"
        return warning("rotation", says, "allow secretsmanager:DescribeSecret, or see the console")
    if not rotation.enabled:
        return warning("rotation", "the secret does not rotate", "turn rotation on: connections survive it")
    if rotation.next_at is None:
        return ok("rotation", "on, no date set")
    days = (rotation.next_at - now) / DAY_S
    if days < -1:
        return warning("rotation", f"due for {-days:.0f} days", "the rotation fails: see its function's log")
    return ok("rotation", f"next in {max(0.0, days):.0f} days")
