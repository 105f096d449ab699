"""Row 21: the torture in small; `make torture` runs it with a thousand cuts."""

import pytest

from bench.torture import torture
from local.postgres import PostgresServer


@pytest.mark.timeout(300)
def test_acknowledged_is_applied_whatever_byte_is_cut(postgres: PostgresServer) -> None:
    """Environments count while their connections are cut at random bytes: every operation is known, and done once."""
    result = torture(postgres, cuts=60, seed=20261122)
    assert result.holds, result
    assert result.cuts >= 60
