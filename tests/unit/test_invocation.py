"""What an invocation is called, as tables."""

import pytest

from handlers.invocation import route_of, tags, traceparent

TRACE = "Root=1-58406520-a006649127e371903a2de979;Parent=4c721bf33e3caf8f"
SAME = "00-58406520a006649127e371903a2de979-4c721bf33e3caf8f"


@pytest.mark.parametrize(
    ("event", "route"),
    [
        (
            {"version": "2.0", "routeKey": "GET /records/{record_id}", "rawPath": "/records/7"},
            "GET /records/{record_id}",
        ),
        ({"httpMethod": "GET", "resource": "/records/{record_id}", "path": "/records/7"}, "GET /records/{record_id}"),
        ({"version": "2.0", "rawPath": "/records/7"}, None),
        ({"detail-type": "Scheduled Event", "detail": {}}, None),
        ({}, None),
        ([{"routeKey": "x"}], None),
        ("routeKey", None),
        (None, None),
    ],
)
def test_the_route_is_the_templates_and_never_the_clients_path(event: object, route: str | None) -> None:
    """Few values, whatever is asked for."""
    assert route_of(event) == route


@pytest.mark.parametrize(
    ("header", "parent"),
    [
        (f"{TRACE};Sampled=1", f"{SAME}-01"),
        (f"{TRACE};Sampled=0;Lineage=a87bd80c:1", f"{SAME}-00"),
        (TRACE, f"{SAME}-00"),
        ("Root=1-58406520-a006649127e371903a2de979", None),
        ("Root=1-58406520-a006649127e371903a2de979;Lineage=1:a87bd80c:0", None),
        ("anything", None),
    ],
)
def test_xrays_header_becomes_the_w3cs(header: str, parent: str | None) -> None:
    """Trace, segment, and whether it is sampled; nothing where there is no segment."""
    assert traceparent(header) == parent


def test_without_a_trace_only_the_request_is_said() -> None:
    """As on a laptop."""
    assert tags("abc", None) == {"request_id": "abc"}
    assert tags("abc", TRACE) == {"request_id": "abc", "traceparent": f"{SAME}-00"}
