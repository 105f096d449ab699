"""Who sent a request, in the words of each kind of API."""

from typing import Any

import pytest

from handlers.caller import caller_of

IAM = {"accessKey": "ASIA", "accountId": "123456789012", "cognitoIdentity": None, "userArn": "arn:aws:sts::1:x/y/z"}
CONTEXTS: dict[str, tuple[Any, str]] = {
    "HTTP API, IAM user": ({"authorizer": {"iam": {**IAM, "userId": "AIDAONE"}}}, "AIDAONE"),
    "HTTP API, a role's session": ({"authorizer": {"iam": {**IAM, "userId": "AROAONE:session-7"}}}, "AROAONE"),
    "HTTP API, identity pool": (
        {"authorizer": {"iam": {"cognitoIdentity": {"identityId": "eu:1"}, "userId": "AROA:CognitoIdentity"}}},
        "eu:1",
    ),
    "HTTP API, token": ({"authorizer": {"jwt": {"claims": {"sub": "user:7", "iss": "x"}, "scopes": None}}}, "user:7"),
    "REST API, IAM": ({"identity": {"user": "AROAONE:session-8", "cognitoIdentityId": None}}, "AROAONE"),
    "REST API, identity pool": ({"identity": {"user": "AROA:x", "cognitoIdentityId": "eu:2"}}, "eu:2"),
    "REST API, user pool": ({"authorizer": {"claims": {"sub": "u"}}, "identity": {"user": None}}, "u"),
    "Lambda authorizer": ({"authorizer": {"principalId": "p"}}, "p"),
    "anybody": ({"http": {}, "identity": {"user": None, "sourceIp": "127.0.0.1"}}, ""),
    "not of API Gateway": ({"authorizer": "x", "identity": [1]}, ""),
    "nothing": (None, ""),
}


@pytest.mark.parametrize(("context", "caller"), CONTEXTS.values(), ids=CONTEXTS)
def test_callers_are_told_apart_by_what_api_gateway_has_checked(context: Any, caller: str) -> None:  # noqa: ANN401 - JSON
    """The same caller in each request, whatever session it has; none where nobody was asked."""
    assert caller_of({"requestContext": context}) == caller


def test_what_a_client_says_of_itself_counts_for_nothing() -> None:
    """Headers are the client's own."""
    assert caller_of({"headers": {"x-user": "other", "authorization": "Bearer x"}}) == ""
