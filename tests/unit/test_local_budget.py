"""The budget without AWS: template and parameters in, the sum and an exit status out."""

from pathlib import Path

import pytest

from local.budget import main, overrides, pairs
from local.template import ROOT
from provision.budget import NO_CEILING, Budget


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--slots", "97"], 0),
        (["--slots", "97", "--config-env", "prod"], 0),
        (["--slots", "58", "--config-env", "prod"], 1),
        (["--slots", "97", "--parameter", "RecordsConcurrency=80"], 0),
        (["--slots", "97", "--parameter", "RecordsConcurrency=80", "PoolSize=2"], 1),
        (["--slots", "97", "--parameter", "RecordsConcurrency=80", "Headroom=20"], 1),
        (["--slots", "97", "--parameter", "RecordsConcurrency=500", "ConnectionMode=proxy"], 0),
    ],
)
def test_the_exit_status_is_for_ci(arguments: list[str], status: int) -> None:
    """0 where the fleet fits, as it does behind a proxy, whatever its size; 1 where it does not."""
    assert main(arguments) == status


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "make budget SLOTS=97"),
        (["--slots", "97", "--config-env", "nosuch"], "samconfig.toml has no environment nosuch"),
        (["--slots", "97", "--config-env", "version"], "samconfig.toml has no environment version"),
        (["--slots", "97", "--parameter", "RecordsConcurency=900"], "has no parameter RecordsConcurency"),
        (["--slots", "97", "--parameter", "RecordsConcurrency"], "RecordsConcurrency is not Name=value"),
        (["nosuch/template.yaml", "--slots", "97"], "nosuch/template.yaml"),
    ],
)
def test_what_cannot_be_reckoned_is_no_success(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """2, and a sentence that names what was mistyped or is missing: a default in its place would pass every gate."""
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_the_sum_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Each function of the template with its factors, the headroom, and what is missing."""
    main(["--slots", "20", "--parameter", "RecordsConcurrency=20", "PoolSize=2"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "slotwise-records 20 x 1 x 2 40" in shown
    assert "slotwise-provision 1 x 1 x 1 1" in shown
    assert "headroom left to others 5 needed 51" in shown
    assert "51 connections, and the server has 20 usable slots: 31 too many" in shown


def test_behind_a_pooler_the_output_says_whose_limit_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """As the deployment's does: both reckon by the same rule."""
    assert main(["--slots", "97", "--parameter", "RecordsConcurrency=500", "ConnectionMode=pooler"]) == 0
    assert NO_CEILING in capsys.readouterr().out
    assert str(Budget([], 5, [])).endswith(NO_CEILING)


def test_another_template_is_read_where_it_is(tmp_path: Path) -> None:
    """Also without a samconfig.toml beside it."""
    (tmp_path / "template.yaml").write_text((ROOT / "template.yaml").read_text())
    assert main([str(tmp_path / "template.yaml"), "--slots", "97"]) == 0


@pytest.mark.parametrize("given", [["A=1", "B=x=y"], "A=1 B=x=y"])
def test_parameters_are_read_in_both_forms_of_samconfig(given: object) -> None:
    """A list of pairs, or one text."""
    samconfig = {"prod": {"deploy": {"parameters": {"parameter_overrides": given}}}}
    assert overrides(samconfig, "prod") == {"A": "1", "B": "x=y"}
    assert overrides(samconfig, "default") == {}
    with pytest.raises(ValueError, match="no environment other"):
        overrides(samconfig, "other")


def test_what_is_no_pair_is_refused() -> None:
    """And named."""
    with pytest.raises(ValueError, match="PoolSize is not"):
        pairs(["PoolSize"])
