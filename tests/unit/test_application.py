"""What an environment is called in pg_stat_activity, as a table."""

import pytest

from db.application import application_name, completed

ENVIRONMENT = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("function", "version", "log_stream", "name"),
    [
        ("api", "7", f"2026/11/22/[7]{ENVIRONMENT}", "api:7:0123456789ab"),
        ("api", "$LATEST", f"2026/11/22/api[$LATEST]{ENVIRONMENT}", "api:$LATEST:0123456789ab"),
        ("api", "7", "", "api:7:"),
        ("slotwise", "", "", "slotwise"),
        ("f" * 64, "123456789", f"2026/11/22/[123456789]{ENVIRONMENT}", "f" * 40 + ":123456789:0123456789ab"),
    ],
)
def test_the_name_says_function_version_and_environment(
    function: str, version: str, log_stream: str, name: str
) -> None:
    """Each part has its share, and PostgreSQL never cuts one off."""
    assert application_name(function, version, log_stream) == name
    assert len(name.encode()) <= 63


def test_a_name_that_ends_in_a_colon_is_completed_each_time_anew() -> None:
    """A snapshot's environment has no log stream yet, and its clones are told apart all the same."""
    names = {completed(f"{'f' * 40}:123456789:") for _ in range(100)}
    assert len(names) == 100
    assert {len(name) for name in names} == {63}
    assert completed("api:7:0123456789ab") == "api:7:0123456789ab"
