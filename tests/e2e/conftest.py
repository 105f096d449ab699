"""The local stack as the tests use it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.environment import Configuration
from local.function import LambdaFunction
from local.guardian import Guardian

FUNCTIONS = Path(__file__).parent / "functions"


@pytest.fixture(scope="session")
def guardian() -> Iterator[Guardian]:
    with Guardian() as started:
        yield started


@pytest.fixture
def make_function(tmp_path: Path, guardian: Guardian) -> Iterator[Callable[..., LambdaFunction]]:
    """Build functions out of tests/e2e/functions; their environments end with the test."""
    with ExitStack() as stack:

        def make(**changes: Any) -> LambdaFunction:  # noqa: ANN401 - the test names the fields
            configuration = Configuration(**{"name": "tiny", "handler": "tiny.handler", "code": FUNCTIONS, **changes})
            return stack.enter_context(LambdaFunction(configuration, tmp_path, guardian))

        yield make
