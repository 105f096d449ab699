"""The budget without AWS: template and parameters in, the sum and an exit status out."""

from pathlib import Path

import pytest

from local.budget import main, overrides, pairs
from local.template import ROOT


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--slots", "97"], 0),
        (["--slots", "97", "--config-env", "prod"], 0),
        (["--slots", "58", "--config-env", "prod"], 1),
        (["--slots", "97", "--parameter", "RecordsConcurrency=80"], 0),
        (["--slots", "97", "--parameter", "RecordsConcurrency=80", "PoolSize=2"], 1),
        (["--slots", "97", "--parameter", "RecordsConcurrency=80", "Headroom=20"], 1),
        (["--slots", "97", "--parameter", "RecordsConcurrency"], 2),
    ],
)
def test_the_exit_status_is_for_ci(arguments: list[str], status: int) -> None:
    """0 where the fleet fits, 1 where it does not, 2 where it cannot be reckoned."""
    assert main(arguments) == status


def test_the_sum_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Each function of the template with its factors, the headroom, and what is missing."""
    main(["--slots", "20", "--parameter", "RecordsConcurrency=20", "PoolSize=2"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "slotwise-records 20 x 1 x 2 40" in shown
    assert "slotwise-provision 1 x 1 x 1 1" in shown
    assert "headroom left to others 5 needed 51" in shown
    assert "51 connections, and the server has 20 usable slots: 31 too many" in shown


def test_another_template_is_read_where_it_is(tmp_path: Path) -> None:
    """Also without a samconfig.toml beside it."""
    (tmp_path / "template.yaml").write_text((ROOT / "template.yaml").read_text())
    assert main([str(tmp_path / "template.yaml"), "--slots", "97"]) == 0


@pytest.mark.parametrize("given", [["A=1", "B=x=y"], "A=1 B=x=y"])
def test_parameters_are_read_in_both_forms_of_samconfig(given: object) -> None:
    """A list of pairs, or one text."""
    samconfig = {"prod": {"deploy": {"parameters": {"parameter_overrides": given}}}}
    assert overrides(samconfig, "prod") == {"A": "1", "B": "x=y"}
    assert overrides(samconfig, "other") == {}


def test_what_is_no_pair_is_refused() -> None:
    """And named."""
    with pytest.raises(ValueError, match="PoolSize is not"):
        pairs(["PoolSize"])
