"""Writes src/db/authorities.pem: the roots that sign the certificates of RDS, Aurora and RDS Proxy.

    python -m local.authorities                    # from Amazon
    python -m local.authorities --bundle FILE      # from a copy of Amazon's bundle

Only roots that sign themselves, are valid now and carry Amazon's names get in. RDS Proxy has certificates of Amazon
Trust Services, whose roots are in every system's store; they are taken from certifi.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
"""

import argparse
import hashlib
import re
import sys
import urllib.request
import warnings
from datetime import UTC, datetime
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

ORIGIN = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
TARGET = Path(__file__).parent.parent / "src" / "db" / "authorities.pem"

RDS = re.compile(r"Amazon RDS (Beta |Preview )?[a-z0-9-]+ Root CA (RSA2048|RSA4096|ECC384) G\d+")
NOT_FOR_USE = re.compile(r" (Beta|Preview) ")
"""Amazon's own trials: in its bundle, and not in ours."""
PROXY = re.compile(r"Amazon Root CA [1-4]")


class UnexpectedAuthorityError(ValueError):
    """A certificate in the bundle is not one of the roots that belong there."""


def fetch(url: str = ORIGIN) -> bytes:
    """Return Amazon's bundle."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the URL is the constant above  # nosec B310
        content: bytes = answer.read()
    return content


def common_name(certificate: x509.Certificate) -> str:
    """Return the subject's common name; empty where there is none."""
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def check(certificate: x509.Certificate, names: re.Pattern[str], now: datetime) -> None:
    """Raise UnexpectedAuthorityError unless this is a valid, self-signed root with one of these names."""
    name = common_name(certificate)
    if not names.fullmatch(name):
        raise UnexpectedAuthorityError(f"{name!r} is not the name of a root that we trust")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise UnexpectedAuthorityError(f"{name!r} is not valid now")
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, InvalidSignature) as error:
        raise UnexpectedAuthorityError(f"{name!r} is not signed by itself") from error


def rds_roots(bundle: bytes, now: datetime) -> list[x509.Certificate]:
    """Return the roots that production uses, in the order of their names; all of the bundle are checked."""
    found = x509.load_pem_x509_certificates(bundle)
    for certificate in found:
        check(certificate, RDS, now)
    return sorted((each for each in found if not NOT_FOR_USE.search(common_name(each))), key=common_name)


def proxy_roots(store: bytes, now: datetime) -> list[x509.Certificate]:
    """Return the roots of Amazon Trust Services out of a system's store."""
    with warnings.catch_warnings(action="ignore"):  # other authorities' certificates are not ours to judge
        found = [each for each in x509.load_pem_x509_certificates(store) if PROXY.fullmatch(common_name(each))]
    for certificate in found:
        check(certificate, PROXY, now)
    return sorted(found, key=common_name)


def render(bundle: bytes, store: bytes, taken_from: str, now: datetime) -> str:
    """Return the file: a header with origin, date and digest, then each root under its name."""
    roots = [*rds_roots(bundle, now), *proxy_roots(store, now)]
    digest = hashlib.sha256(bundle).hexdigest()
    header = (
        f"# The roots of RDS and Aurora ({ORIGIN})\n"
        "# and those of RDS Proxy (Amazon Trust Services). Written by `python -m local.authorities`; do not edit.\n"
        f"# Taken: {now:%Y-%m-%d} from {taken_from}\n# SHA-256 of that bundle: {digest}\n# Roots: {len(roots)}\n"
    )
    return header + "".join(f"\n# {common_name(each)}\n{_pem(each)}" for each in roots)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def main(arguments: list[str]) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Refresh the authorities that src/db trusts.")
    parser.add_argument("--bundle", type=Path, help="a copy of Amazon's bundle, where Amazon cannot be reached")
    parser.add_argument("--taken-from", default=ORIGIN, help="what the header says about that copy")
    options = parser.parse_args(arguments)
    bundle = options.bundle.read_bytes() if options.bundle else fetch()
    store = Path(certifi.where()).read_bytes()
    TARGET.write_text(render(bundle, store, options.taken_from, datetime.now(UTC)), encoding="ascii")
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
