"""What `make run` says of a request or a sample that went wrong: enough to mend it, without a look for the log."""

from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from local.command import Command
from local.function import LambdaFunction
from local.samples import Sample, samples
from local.stack import Stack

(LIST,) = (sample for sample in samples() if sample.name == "records/list")


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=100)


def shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DB_SECRET_ID": "nope"}, ["503", "request failed: SecretError: secret nope cannot be read", "list_records"]),
        ({"DB_MODE": "wrong"}, ["ConfigurationError: DB_MODE must be direct or pooler, at File"]),
    ],
    ids=["answered", "failed"],
)
def test_a_request_that_went_wrong_says_why(
    console: Console, own_records: Callable[..., LambdaFunction], variables: dict[str, str], said: list[str]
) -> None:
    """What the handler has logged, or how Lambda describes its failure, under the line of the request."""
    command = Command(console)
    command._is_serving = True
    command._show("slotwise-records", own_records(**variables).invoke(LIST.event))
    line, why, *rest = shown(console).splitlines()
    assert (line.startswith("slotwise-records "), rest) == (True, [])
    assert [each for each in said if each in line + why] == said


def test_a_sample_that_is_not_answered_as_expected_says_how(
    console: Console, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its whole answer, where the log has nothing."""
    unlike = Sample(LIST.name, LIST.module, LIST.event | {"queryStringParameters": {"limit": "0"}}, 200, "a page")
    monkeypatch.setattr("local.command.samples", lambda: [LIST, unlike])
    assert not Command(console)._show_samples(stack)
    name, why = shown(console).splitlines()[-2:]
    assert name == "  records/list"
    assert '"field": "query.limit"' in why
