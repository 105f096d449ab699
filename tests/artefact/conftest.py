"""The built artefact, run by the runtime's Python as Lambda runs it: the artefact, the SDK, and nothing else.

`make artefact` builds it and names it in ARTEFACT, the runtime's Python, which has the tests' packages, in
ARTEFACT_PYTHON, SAM's own in SAM_PYTHON, and in ELSEWHERE how tests are run that `make test` has run already.
"""

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from local.postgres import PostgresServer

PROGRAM = Path(__file__).with_name("program.py")
SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What Lambda's Python runtime has beside the standard library; pure Python, so ours serves."""
REGION = "eu-central-1"

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def artefact() -> Path:
    """The directory that would be zipped."""
    return Path(os.environ["ARTEFACT"]).resolve()


@pytest.fixture(scope="session")
def runtime_python() -> str:
    """The runtime's Python, with all that the tests need."""
    return str(Path(os.environ["ARTEFACT_PYTHON"]).absolute())


@pytest.fixture(scope="session")
def sam_python() -> str:
    """The Python that has SAM's builders."""
    return str(Path(os.environ["SAM_PYTHON"]).absolute())


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with boto3 and what it imports, and nothing else of our environment."""
    directory = tmp_path_factory.mktemp("sdk")
    for name in SDK:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin)
        source = source.parent if source.name == "__init__.py" else source
        (directory / source.name).symlink_to(source)
    return directory


@pytest.fixture(scope="session")
def secrets_manager() -> Iterator[str]:
    """The address of a Secrets Manager emulator."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def variables(secrets_manager: str) -> dict[str, str]:
    """What Lambda sets, so far as the functions need it, and where the emulator is."""
    return {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets_manager,
        "POWERTOOLS_TRACE_DISABLED": "true",
        "DB_SECRET_ID": "slotwise",
        "DB_TLS": "insecure-local-only",
    }


@pytest.fixture(scope="session")
def secret(variables: dict[str, str], postgres: PostgresServer) -> None:
    """The login, in RDS's form, in the emulator."""
    content = {"username": "postgres", "password": postgres.password, "host": "127.0.0.1", "port": postgres.port}
    boto3.client(
        "secretsmanager",
        region_name=REGION,
        endpoint_url=variables["AWS_ENDPOINT_URL_SECRETS_MANAGER"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    ).create_secret(Name=variables["DB_SECRET_ID"], SecretString=json.dumps(content))


@pytest.fixture
def run(artefact: Path, sdk: Path, variables: dict[str, str], secret: None) -> Run:  # noqa: ARG001 - it must be there
    """Run a function of program.py in a fresh process; `run("invoke", job, VARIABLE="...")`."""

    def start(function: str, job: dict[str, Any], **more: str) -> Any:  # noqa: ANN401 - JSON
        command = [os.environ["ARTEFACT_PYTHON"], "-I", "-S", "-B", str(PROGRAM), function, str(artefact), str(sdk)]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            input=json.dumps(job),
            env={**variables, **more},
            cwd=artefact,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return start
