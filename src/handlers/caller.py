"""Who sent a request, as API Gateway has found out. Pure: reads the event, trusts nothing that the client says itself.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from collections.abc import Mapping
from functools import reduce
from typing import Any

IDENTITIES = (
    ("authorizer", "iam", "cognitoIdentity", "identityId"),
    ("identity", "cognitoIdentityId"),
    ("authorizer", "jwt", "claims", "sub"),
    ("authorizer", "claims", "sub"),
    ("authorizer", "principalId"),
)
"""Where the request's context has one: of HTTP and REST API, by identity pool, token, and a Lambda authorizer."""
PRINCIPALS = (("authorizer", "iam", "userId"), ("identity", "user"))
"""Where it has the IAM principal's id; behind a colon there is a role's session, which changes from time to time."""


def caller_of(event: Mapping[str, Any]) -> str:
    """Return what tells callers apart and stays the same from request to request; empty where anybody may call."""
    context = event.get("requestContext")
    if found := _first(context, IDENTITIES):
        return found
    return _first(context, PRINCIPALS).partition(":")[0]


def _first(context: object, paths: tuple[tuple[str, ...], ...]) -> str:
    return next((found for path in paths if isinstance(found := reduce(_part, path, context), str) and found), "")


def _part(whole: object, name: str) -> object:
    return whole.get(name) if isinstance(whole, Mapping) else None
