"""What Lambda's emulator says, and what it means."""

import pytest

from local.environment import outcome


@pytest.mark.parametrize(
    ("answer", "failure", "is_usable"),
    [
        ((200, b'{"statusCode": 200}'), None, True),
        ((200, b"null"), None, True),
        ((200, b""), None, True),
        ((200, b'{"errorMessage": "no", "errorType": "ValueError"}'), "ValueError", True),
        ((200, b"Task timed out after 3.00 seconds"), "Sandbox.Timedout", False),
        ((502, b'{"errorMessage": "exit status 1", "errorType": "Runtime.ExitError"}'), "Runtime.ExitError", False),
        (None, "Sandbox.Failure", False),
    ],
)
def test_an_answer_tells_whether_the_environment_goes_on(
    answer: tuple[int, bytes] | None,
    failure: str | None,
    is_usable: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Exceptions leave it, time-outs and deaths end it."""
    _, found, usable = outcome(answer)
    assert (found, usable) == (failure, is_usable)
