"""Signature Version 4: what proves to AWS who asks, computed from keys that are at hand. Pure: sends nothing.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from db.environment.process import AwsIdentity

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one service (`rds-db`, `secretsmanager`) at one moment, `now`, which is in UTC."""

    identity: AwsIdentity
    service: str
    now: datetime

    @property
    def date(self) -> str:
        """The moment as the signature has it."""
        return f"{self.now:%Y%m%dT%H%M%SZ}"

    @property
    def credential(self) -> str:
        """Whose key it is, and for what."""
        return f"{self.identity.access_key_id}/{self._scope}"

    @property
    def _scope(self) -> str:
        return f"{self.now:%Y%m%d}/{self.identity.region}/{self.service}/aws4_request"

    def signature(self, request: str) -> str:
        """Sign a request in its canonical form."""
        signed = f"{ALGORITHM}\n{self.date}\n{self._scope}\n{digest(request.encode())}"
        return hmac.new(self._key(), signed.encode(), hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        """Derive the signing key from the secret key and each part of the scope in turn."""

        def derive(key: bytes, part: str) -> bytes:
            return hmac.new(key, part.encode(), hashlib.sha256).digest()

        return reduce(derive, self._scope.split("/"), b"AWS4" + self.identity.secret_access_key.reveal().encode())

    def signed(self, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        """Return `headers`, `host` among them and all in lower case, with what proves who sends a POST to `/`."""
        token = self.identity.session_token
        every = {**headers, "x-amz-date": self.date, **({"x-amz-security-token": token.reveal()} if token else {})}
        names = ";".join(sorted(every))
        lines = "".join(f"{name}:{every[name]}\n" for name in sorted(every))
        signature = self.signature(f"POST\n/\n\n{lines}\n{names}\n{digest(body)}")
        proof = f"{ALGORITHM} Credential={self.credential}, SignedHeaders={names}, Signature={signature}"
        return {**every, "authorization": proof}


def digest(content: bytes) -> str:
    """Return the hash by which a signature covers `content`."""
    return hashlib.sha256(content).hexdigest()
