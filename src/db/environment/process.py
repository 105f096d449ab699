"""What Lambda says of this process: who it is to AWS, what runs beside it. No setting: nobody chooses it.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""

from collections.abc import Mapping
from dataclasses import dataclass

from db.masking import Secret
from db.settings import ENVIRONMENT


def is_local(environ: Mapping[str, str] = ENVIRONMENT) -> bool:
    """Say whether `sam local` or `make run` runs this: good for conveniences, and to ask an emulator of AWS in clear.

    Never a reason to be less careful with a database, or to send anything in clear to who is not beside us.
    """
    return environ.get("AWS_SAM_LOCAL") == "true"


def trace_header(environ: Mapping[str, str] = ENVIRONMENT) -> str | None:
    """Return X-Ray's header of this invocation; None where nothing is traced."""
    return environ.get("_X_AMZN_TRACE_ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsIdentity:
    """The keys of the role that this function has, and the region that it runs in."""

    region: str
    access_key_id: str
    secret_access_key: Secret
    session_token: Secret


def aws_identity(environ: Mapping[str, str] = ENVIRONMENT) -> AwsIdentity | None:
    """Return what Lambda put into the environment; None where there are no keys, as in a restored snapshot."""
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    key_id, key = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not (region and key_id and key):
        return None
    token = Secret(environ.get("AWS_SESSION_TOKEN", ""))
    return AwsIdentity(region=region, access_key_id=key_id, secret_access_key=Secret(key), session_token=token)


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaProcess:
    """What this process is to Lambda."""

    runtime_api: str | None = None
    """Host and port of the runtime's API; None where this is not the process of a function."""
    function_name: str | None = None
    is_snapshot: bool = False
    """Whether INIT ends in a snapshot that many environments begin with."""


def lambda_process(environ: Mapping[str, str] = ENVIRONMENT) -> LambdaProcess:
    """Read what Lambda says of this process."""
    return LambdaProcess(
        runtime_api=environ.get("AWS_LAMBDA_RUNTIME_API") or None,
        function_name=environ.get("AWS_LAMBDA_FUNCTION_NAME"),
        is_snapshot=environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
    )


EXTENSION_PORT = 2773


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """Where the AWS Parameters and Secrets Lambda Extension listens, and what it takes as proof of who asks."""

    port: int
    token: Secret


def extension(environ: Mapping[str, str] = ENVIRONMENT) -> Extension | None:
    """Return where the extension would be; None outside of Lambda, where whoever listens there must not be asked."""
    token = environ.get("AWS_SESSION_TOKEN")
    if not token or "AWS_LAMBDA_FUNCTION_NAME" not in environ:
        return None
    port = environ.get("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "")
    return Extension(port=int(port) if port.isdecimal() else EXTENSION_PORT, token=Secret(token))
