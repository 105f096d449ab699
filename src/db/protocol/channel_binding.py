"""What a login is bound to: the hash of the server's certificate, RFC 5929's tls-server-end-point.

Which hash that is, the certificate's signature says. For the signatures that are in use its name is looked for here: a
whole parser of X.509 would take longer to import than the rest of the login lasts. DER: ITU-T X.690, 8.1 and 10.1.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from scramp.core import CBindData

_RSA, _ECDSA = bytes.fromhex("2a864886f70d0101"), bytes.fromhex("2a8648ce3d04")
HASHES: Mapping[bytes, str] = MappingProxyType(
    {
        _RSA + b"\x04": "sha256",  # md5WithRSAEncryption: MD5 and SHA-1 are replaced by SHA-256
        _RSA + b"\x05": "sha256",
        _RSA + b"\x0b": "sha256",
        _RSA + b"\x0c": "sha384",
        _RSA + b"\x0d": "sha512",
        _ECDSA + b"\x01": "sha256",
        _ECDSA + b"\x03\x02": "sha256",
        _ECDSA + b"\x03\x03": "sha384",
        _ECDSA + b"\x03\x04": "sha512",
    }
)
"""From the signature algorithm's object identifier, in DER, to the hash: RFC 8017 appendix C, RFC 5758 section 3.2."""

LONG_FORM = 0x80


def certificate_hash(certificate: bytes) -> bytes:
    """Return the hash to bind to for a certificate in DER; leave rare signatures to scramp, which knows them all."""
    name = HASHES.get(_signature_algorithm(certificate))
    return hashlib.new(name, certificate).digest() if name else bytes(CBindData.from_der(certificate))


def _signature_algorithm(certificate: bytes) -> bytes:
    """Return the object identifier in `Certificate.signatureAlgorithm` (RFC 5280, 4.1.1.2); nothing where none is."""
    try:
        fields, _ = _content(certificate, 0)
        _, after_signed_part = _content(certificate, fields)
        algorithm, _ = _content(certificate, after_signed_part)
        start, end = _content(certificate, algorithm)
    except IndexError:
        return b""
    return certificate[start:end]


def _content(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at `at` begins and ends."""
    length, begins = data[at + 1], at + 2
    if length & LONG_FORM:
        octets = length - LONG_FORM
        length, begins = int.from_bytes(data[begins : begins + octets], "big"), begins + octets
    return begins, begins + length
