"""Where Secrets Manager is, against what AWS's own SDK says."""

from typing import Any

import botocore.session
import pytest

from db import ConfigurationError
from db.credentials.api import ApiSource
from db.environment.endpoint import DOCKERS_HOST, NAMED_BY, UNUSUAL, Endpoint, require_privacy, secrets_manager
from db.settings import LAMBDA_MARKS

PARTITIONS = ("aws", "aws-cn", "aws-us-gov")
LAMBDA = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}
NOBODY: Any = {"aws_access_key_id": "nobody", "aws_secret_access_key": "none"}


def test_every_public_region_has_the_endpoint_that_the_sdk_knows() -> None:
    """A region of AWS, of China or of GovCloud: the same host as botocore's."""
    session = botocore.session.Session()
    regions = [name for each in PARTITIONS for name in session.get_available_regions("secretsmanager", each)]
    ours = {region: secrets_manager(region, {}) for region in regions}
    assert len(ours) > 30
    assert {region: f"https://{found.host}" for region, found in ours.items() if found} == {
        region: session.create_client("secretsmanager", region, **NOBODY).meta.endpoint_url for region in regions
    }


@pytest.mark.parametrize("region", ["us-iso-east-1", "eu-isoe-west-1", "nowhere", "eu-central-1.evil.example", ""])
def test_other_regions_are_the_sdks(region: str) -> None:
    """A partition with a domain of its own, or no region at all."""
    assert secrets_manager(region, {}) is None


@pytest.mark.parametrize("name", sorted(UNUSUAL))
def test_whatever_is_unusual_is_the_sdks(name: str) -> None:
    """A proxy, another bundle of authorities, FIPS: in either case, and not where it is set to nothing."""
    assert secrets_manager("eu-central-1", {name: "x"}) is None
    assert secrets_manager("eu-central-1", {name.lower(): "x"}) is None
    assert secrets_manager("eu-central-1", {name: ""}) is not None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4566", Endpoint("127.0.0.1", 4566, is_plain=True)),
        (
            "https://vpce-0a-1b.secretsmanager.eu-central-1.vpce.amazonaws.com/",
            Endpoint("vpce-0a-1b.secretsmanager.eu-central-1.vpce.amazonaws.com"),
        ),
        ("HTTPS://localhost:443", Endpoint("localhost", 443)),
        ("https://localhost:65536", None),
        ("https://user@localhost", None),
        ("https://localhost/path", None),
        ("ftp://localhost", None),
        ("localhost", None),
    ],
)
def test_an_endpoint_that_is_named_is_taken_as_it_stands(url: str, expected: Endpoint | None) -> None:
    """TLS unless it says http; what is more than scheme, host and port is the SDK's."""
    assert secrets_manager("eu-central-1", {"AWS_ENDPOINT_URL": url}) == expected


def test_the_services_own_variable_comes_before_the_one_for_all() -> None:
    """As the SDK has it."""
    both = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://own", "AWS_ENDPOINT_URL": "http://all"}
    assert secrets_manager("eu-central-1", both) == Endpoint("own")


@pytest.mark.parametrize("mark", LAMBDA_MARKS)
@pytest.mark.parametrize("variable", NAMED_BY)
@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:80", "HTTP://vpce.example", "http://127.0.0.1@evil.example/p", "http://"]
)
def test_lambda_asks_nobody_in_clear(mark: str, variable: str, url: str) -> None:
    """The session token is in each request, whether the SDK sends it or we; the variable is named."""
    with pytest.raises(ConfigurationError, match=f"^{variable} must be https"):
        require_privacy({mark: "x", variable: url})


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"AWS_ENDPOINT_URL": "https://10.0.0.1"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        {"AWS_ENDPOINT_URL": "http://[::1]:4566"},
        {"AWS_ENDPOINT_URL": "http://localhost"},
        {"AWS_ENDPOINT_URL": "http://[nowhere"},
        {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://own", "AWS_ENDPOINT_URL": "http://all"},
    ],
)
def test_tls_and_this_machine_are_taken(environ: dict[str, str]) -> None:
    """The variable that counts is the service's own."""
    require_privacy({**LAMBDA, **environ})


@pytest.mark.parametrize(
    "host", [DOCKERS_HOST, "localstack", "127.0.0.1", "10.0.2.2", "172.17.0.1", "172.31.255.254", "192.168.65.254"]
)
def test_sam_local_asks_the_developers_machine_in_clear(host: str) -> None:
    """By Docker's name for it or for a container on it, or the address of a bridge."""
    require_privacy({**LAMBDA, "AWS_SAM_LOCAL": "true", "AWS_ENDPOINT_URL": f"http://{host}:4566"})


@pytest.mark.parametrize(
    "host",
    [
        "collector.example.net",
        f"{DOCKERS_HOST}.example.net",
        f"{DOCKERS_HOST}@collector.example.net",
        "10.0.0.1.example.net",
        "203.0.113.7",
        "172.32.0.1",
        "169.254.169.254",
        "[2001:db8::7]",
        "3405803783",
        "0xcb007107",
        "0xCB007107",
    ],
)
def test_sam_local_asks_nobody_else_in_clear(host: str) -> None:
    """A function's own variables can say that it is `sam local`: in Lambda that lets no token out."""
    with pytest.raises(
        ConfigurationError, match=f"^AWS_ENDPOINT_URL must be https.*{DOCKERS_HOST}, a container or a private"
    ):
        require_privacy({**LAMBDA, "AWS_SAM_LOCAL": "true", "AWS_ENDPOINT_URL": f"http://{host}"})


def test_no_keys_of_lambdas_connections_are_written_down() -> None:
    """With them whoever has the traffic, too, reads the token and the password."""
    with pytest.raises(ConfigurationError, match=r"^SSLKEYLOGFILE must not be set in Lambda"):
        require_privacy({**LAMBDA, "SSLKEYLOGFILE": "/tmp/keys"})  # noqa: S108 - it is refused
    require_privacy({"SSLKEYLOGFILE": "/tmp/keys"})  # noqa: S108 - a developer's own


def test_a_developers_machine_asks_whom_it_likes() -> None:
    """An emulator in a container."""
    require_privacy({"AWS_ENDPOINT_URL": "http://emulator:4566"})


def test_a_source_in_clear_is_not_even_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a function does not start with it, wherever its keys are and whoever asks."""
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://10.0.0.1")
    with pytest.raises(ConfigurationError):
        ApiSource("app/db")


def test_a_port_belongs_to_what_a_request_names() -> None:
    """The signature covers the Host, which must be what is sent."""
    assert Endpoint("localhost").authority == "localhost"
    assert Endpoint("localhost", 4566).authority == "localhost:4566"
