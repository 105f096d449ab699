"""What proves to AWS who asks, against what AWS's own SDK computes."""

from datetime import UTC, datetime
from unittest.mock import patch

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from db import Secret
from db.credentials.signature import Signer
from db.environment.process import AwsIdentity

TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
SIGNERS = st.builds(
    Signer,
    st.builds(
        AwsIdentity,
        region=st.sampled_from(["eu-central-1", "us-gov-west-1", "cn-north-1"]),
        access_key_id=TEXTS,
        secret_access_key=st.builds(Secret, TEXTS),
        session_token=st.builds(Secret, st.just("") | TEXTS),
    ),
    st.sampled_from(["secretsmanager", "rds-db"]),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - as it wants them
)
HOSTS = st.sampled_from(["secretsmanager.eu-central-1.amazonaws.com", "127.0.0.1:4566", "localhost"])


def botocores_headers(signer: Signer, headers: dict[str, str], body: bytes) -> dict[str, str]:
    who = signer.identity
    keys = Credentials(who.access_key_id, who.secret_access_key.reveal(), who.session_token.reveal() or None)
    given = {name: value for name, value in headers.items() if name != "host"}
    request = AWSRequest("POST", f"https://{headers['host']}/", headers=given, data=body)
    with patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: signer.now.replace(tzinfo=None)):
        botocore.auth.SigV4Auth(keys, signer.service, who.region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(signer=SIGNERS, host=HOSTS, target=TEXTS, body=st.binary(max_size=200))
def test_a_request_is_signed_as_the_sdk_signs_it(signer: Signer, host: str, target: str, body: bytes) -> None:
    """The emulator looks at no signature, and AWS at nothing else: botocore's headers to the byte."""
    headers = {"host": host, "content-type": "application/x-amz-json-1.1", "x-amz-target": target}
    assert signer.signed(headers, body) == {"host": host, **botocores_headers(signer, headers, body)}
