"""AWS on this machine, for all tests of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

import pytest

from local.secrets_manager import SecretsManager


@pytest.fixture(scope="session")
def manager() -> Iterator[SecretsManager]:
    """One emulator for all; each test has secrets of its own."""
    with models_parsed_once(), SecretsManager() as started:
        yield started


@contextmanager
def models_parsed_once() -> Iterator[None]:
    """Let the SDK's sessions share what they parse: each takes a tenth of a second for the same files."""
    from botocore.loaders import JSONFileLoader

    load, loader = JSONFileLoader.load_file, JSONFileLoader()
    parsed = cache(lambda path: load(loader, path))
    with patch.object(JSONFileLoader, "load_file", lambda _, path: parsed(path)):
        yield
