"""The hash that a login is bound to."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from scramp.core import CBindData, ScramException

from db.protocol.channel_binding import HASHES, _signature_algorithm, certificate_hash

EC, RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512


def certificate(
    key: Key | ed25519.Ed25519PrivateKey, digest: Hash | None, *, pss: bool = False, names: int = 1
) -> bytes:
    """Make a certificate in DER; many names make its lengths take more octets."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    alternatives = [x509.DNSName(f"host-{number}.example.com") for number in range(names)]
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    padded = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else None
    return builder.sign(key, digest, rsa_padding=padded).public_bytes(Encoding.DER)


@pytest.mark.parametrize("key", [EC, RSA], ids=["ECDSA", "RSA"])
@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda one: one.name)
@pytest.mark.parametrize("names", [1, 4000])
def test_the_hash_is_the_one_that_a_whole_parser_finds(key: Key, digest: Hash, names: int) -> None:
    """For each signature in use, found without that parser, however long the certificate is."""
    made = certificate(key, digest, names=names)
    assert _signature_algorithm(made) in HASHES
    assert certificate_hash(made) == bytes(CBindData.from_der(made))


def test_a_rare_signature_is_left_to_the_parser() -> None:
    """RSASSA-PSS says its hash in parameters."""
    made = certificate(RSA, hashes.SHA256(), pss=True)
    assert _signature_algorithm(made) not in HASHES
    assert certificate_hash(made) == bytes(CBindData.from_der(made))


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 60])
def test_junk_is_refused_by_the_parser(cut: int) -> None:
    """What is no certificate binds to nothing."""
    with pytest.raises(ScramException):
        certificate_hash(certificate(EC, hashes.SHA256())[:cut])
