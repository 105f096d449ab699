"""The SCRAM exchange: who has to prove what, and what is kept of it."""

import pytest
import scramp.core

from db.protocol.login import MOST_KEYS, DerivedKeys
from db.protocol.scram import ScramClient, derive_key
from db.protocol.server_errors import DisconnectedError


def _server(password: str) -> scramp.core.ScramServer:
    mechanism = scramp.core.ScramMechanism("SCRAM-SHA-256")
    known = mechanism.make_auth_info(password)
    return mechanism.make_server(lambda _user: known)


def test_a_server_must_prove_that_it_knows_the_password() -> None:
    """Else anybody could say "you are in"."""
    client, server = ScramClient("secret", None), _server("secret")
    server.set_client_first(client.first())
    server.set_client_final(client.final(server.get_server_first()))
    assert client.is_unproven
    proof = server.get_server_final()
    another = proof[:-4] + ("BBA=" if proof.endswith("AAA=") else "AAA=")
    for wrong in ("v=AAAA", "", "e=other-error", another):
        with pytest.raises(DisconnectedError):
            client.verify(wrong)
    client.verify(proof)
    assert not client.is_unproven


@pytest.mark.parametrize("change", ["r=no,s=AAAA,i=4096", "r={nonce},s=AAAA,i=4096", "r={nonce}x,s=AA==,i=1", "-"])
def test_a_challenge_that_is_not_ours_or_too_weak_is_refused(change: str) -> None:
    """A nonce that does not continue ours, or fewer iterations than RFC 7677 allows."""
    client = ScramClient("secret", None)
    nonce = client.first().split("r=")[1]
    with pytest.raises(DisconnectedError):
        client.final(change.format(nonce=nonce))


def test_only_the_last_keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler may have another salt at each login: an environment that connects for weeks keeps no key of each."""
    monkeypatch.setattr("db.protocol.scram.derive_key", lambda _, salt, __: salt)
    keys = DerivedKeys()
    for number in range(100):
        keys.derive(b"p", b"%d" % number, 4096)
    assert list(keys._keys.values()) == [b"%d" % number for number in range(100 - MOST_KEYS, 100)]


def test_a_key_is_derived_once_and_can_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the same password, salt and iterations; not kept in a snapshot."""
    derived: list[bytes] = []

    def derive(password: bytes, salt: bytes, iterations: int) -> bytes:
        derived.append(password)
        return derive_key(password, salt, iterations)

    monkeypatch.setattr("db.protocol.scram.derive_key", derive)
    keys = DerivedKeys()
    for arguments in ((b"p", b"s", 4096), (b"p", b"s", 4096), (b"q", b"s", 4096), (b"p", b"t", 4096)):
        assert keys.derive(*arguments) == derive_key(*arguments)
    assert derived == [b"p", b"q", b"p"]
    keys.forget()
    keys.derive(b"p", b"s", 4096)
    assert len(derived) == 4
    assert "'p'" not in repr(keys)
