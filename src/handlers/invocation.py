"""What an invocation is called: its route in the log, and the tags that its statements carry. Pure."""

import re
from collections.abc import Mapping

_XRAY = re.compile(r"Root=1-([0-9a-f]{8})-([0-9a-f]{24});.*?Parent=([0-9a-f]{16})(?:;.*?Sampled=([01]))?")


def route_of(event: object) -> str | None:
    """Return the route by which API Gateway sent the event, never the path that a client chose; None for others."""
    if not isinstance(event, Mapping):
        return None
    if "routeKey" in event:
        return str(event["routeKey"])
    return f"{event['httpMethod']} {event['resource']}" if {"httpMethod", "resource"} <= event.keys() else None


def tags(request_id: str, trace_header: str | None) -> dict[str, str]:
    """Return what a statement's comment says."""
    parent = traceparent(trace_header) if trace_header else None
    return {"request_id": request_id} | ({"traceparent": parent} if parent else {})


def traceparent(trace_header: str) -> str | None:
    """Return X-Ray's header in the W3C's form; None where it names no segment.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    https://www.w3.org/TR/trace-context/#traceparent-header-field-values
    """
    found = _XRAY.search(trace_header)
    return f"00-{found[1]}{found[2]}-{found[3]}-0{found[4] or 0}" if found else None
