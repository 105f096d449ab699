"""What `sam local` is given: its containers find the running stack by another name, and trust it."""

import json
import socket
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest

from db.environment.endpoint import DOCKERS_HOST
from local.application import APPLICATIONS_SECRET
from local.containers import open_to_containers
from local.relay import Relay
from local.secrets_manager import NOBODYS_KEYS, REGION
from local.serving import PortTakenError
from local.stack import Stack
from tests.canary import holds_a_word

BRIDGE = "127.0.0.2"
"""Another address of this machine's own, in the place of Docker's bridge."""
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


@pytest.fixture
def variables(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """What the file for `sam local --env-vars` says, while the bridge is open."""
    file = tmp_path / "cache" / "sam-env.json"
    with open_to_containers(stack, file, BRIDGE):
        assert file.stat().st_mode & 0o077 == 0, "others may read it"
        assert not holds_a_word(file.read_bytes()), "a password is in a file"
        read: dict[str, str] = json.loads(file.read_text())["Parameters"]
    assert not file.exists(), "it names servers that are gone"
    return read


def test_a_container_is_sent_to_this_machine_by_dockers_name(variables: dict[str, str]) -> None:
    """Its own 127.0.0.1 is somewhere else."""
    assert variables["DB_HOST"] == DOCKERS_HOST
    assert variables["AWS_ENDPOINT_URL_SECRETS_MANAGER"].startswith(f"http://{DOCKERS_HOST}:")
    assert not [value for value in variables.values() if "127.0.0.1" in value or value.startswith("/")]


def test_secrets_manager_answers_on_the_bridge(stack: Stack, tmp_path: Path) -> None:
    """What comes by the bridge arrives, and the answer goes back."""
    with open_to_containers(stack, tmp_path / "env.json", BRIDGE):
        address = f"http://{BRIDGE}:{stack.secrets_manager.port}"
        keys: dict[str, Any] = {name.lower(): value for name, value in NOBODYS_KEYS.items()}
        session = boto3.Session(region_name=REGION, **keys)
        with closing(session.client("secretsmanager", endpoint_url=address)) as client:
            assert client.describe_secret(SecretId=APPLICATIONS_SECRET)["Name"] == APPLICATIONS_SECRET


def test_the_server_proves_itself_to_a_container(stack: Stack, variables: dict[str, str], tmp_path: Path) -> None:
    """Its certificate has Docker's name, and its authority is in the file as a text."""
    if not stack.server.has_tls:
        assert variables["DB_TLS"] == "insecure-local-only"
        return
    context = ssl.create_default_context(cadata=variables["DB_TLS_CA"])
    with (
        open_to_containers(stack, tmp_path / "env.json", BRIDGE),
        socket.create_connection((BRIDGE, stack.server.port), 10) as plain,
    ):
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=DOCKERS_HOST) as secured:
            assert secured.version() == "TLSv1.3"


def test_an_address_that_is_not_here_is_refused() -> None:
    """A mistyped address ends in a sentence."""
    with pytest.raises(PortTakenError, match=r"192\.0\.2\.1"):
        Relay("192.0.2.1", 0)
