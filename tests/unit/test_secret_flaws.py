"""A stage whose version is of no use, while another one's may be."""

import pytest

from db import SecretError
from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S
from db.credentials.sources import NO_TEXT, Answer, unreadable
from db.credentials.stages import Stage
from db.deadline import UNBOUNDED
from tests.unit.played import Played, Time, credentials, version, versions

FLAWS = [
    pytest.param(
        unreadable("app/db", "AccessDeniedException"), "cannot be read: AccessDeniedException", id="forbidden"
    ),
    pytest.param(unreadable("app/db", "DecryptionFailure"), "cannot be read: DecryptionFailure", id="another key's"),
    pytest.param(unreadable("app/db", NO_TEXT), f"cannot be read: {NO_TEXT}", id="bytes"),
    pytest.param(version("v3", username=""), "has no usable field 'username'", id="without a user"),
]


@pytest.mark.parametrize(("flaw", "_reason"), FLAWS)
def test_a_useless_stage_hides_no_other(flaw: Answer | SecretError, _reason: str) -> None:
    """A replica that lags is served with AWSPREVIOUS, whatever is with AWSPENDING."""
    source = Played(CURRENT=version("v2"), PENDING=flaw, PREVIOUS=version("v1"))
    who = credentials(source)
    assert versions(who, "v1") == ["v2", "v1"]
    assert [stage for stage, _ in source.asked] == [Stage.CURRENT, Stage.PENDING, Stage.CURRENT, Stage.PREVIOUS]
    assert versions(who, "v1") == ["v1"]


@pytest.mark.parametrize("stage", ["PENDING", "PREVIOUS"])
@pytest.mark.parametrize(("flaw", "reason"), FLAWS)
def test_what_was_of_no_use_is_told_where_nothing_helps(stage: str, flaw: Answer | SecretError, reason: str) -> None:
    """Whoever reads the log learns which stage's version it was, and what is wrong with it; the next one does, too."""
    who = credentials(Played(CURRENT=version("v2"), **{stage: flaw}))
    with pytest.raises(SecretError, match=f"^AWS{stage}: secret app/db {reason}$"):
        list(who.logins(UNBOUNDED))


def test_what_is_wrong_no_longer_is_no_longer_told() -> None:
    """The rotation was cancelled: nothing remains of its flaw in a message."""
    time, source = Time(), Played(CURRENT=version("v2"), PENDING=unreadable("app/db", "AccessDeniedException"))
    who = credentials(source, time)
    with pytest.raises(SecretError, match="AWSPENDING"):
        list(who.logins(UNBOUNDED))
    del source.stages["PENDING"]
    time.now += CALLS_AT_ONCE * ONE_MORE_S
    assert [login.version for login in who.logins(UNBOUNDED)] == ["v2"]


@pytest.mark.parametrize("why", ["ThrottlingException", "InternalServiceError", "TimeoutError", "HTTP 503"])
def test_what_may_pass_is_not_asked_on(why: str) -> None:
    """A Secrets Manager in trouble is not asked for one stage after the other."""
    source = Played(CURRENT=version("v2"), PENDING=unreadable("app/db", why), PREVIOUS=version("v1"))
    with pytest.raises(SecretError, match=why):
        list(credentials(source).logins(UNBOUNDED))
    assert [stage for stage, _ in source.asked] == [Stage.CURRENT, Stage.PENDING]
