"""The sum: what the fleet may open, against what there is."""

import pytest

from provision.budget import Budget, Ceiling
from provision.errors import PlanError
from provision.plan import Share, read_plan

F = {"Function": "f", "Environments": "1"}
SERVER = Ceiling("the server", 27)


def share(environments: int, processes: int = 1, pool_size: int = 1, function: str = "f") -> Share:
    return Share(function=function, environments=environments, processes=processes, pool_size=pool_size)


@pytest.mark.parametrize(
    ("environments", "processes", "pool_size", "connections"),
    [(20, 1, 1, 20), (20, 2, 1, 40), (20, 1, 3, 60), (20, 2, 3, 120), (20, 1, 0, 20), (0, 1, 1, 0)],
)
def test_a_function_holds_at_most(environments: int, processes: int, pool_size: int, connections: int) -> None:
    """Environments x processes x pool size; without a pool one at a time."""
    assert share(environments, processes, pool_size).connections == connections


@pytest.mark.parametrize(
    ("environments", "headroom", "ceilings", "fits"),
    [
        (22, 5, [SERVER], True),
        (23, 5, [SERVER], False),
        (27, 0, [SERVER], True),
        (10, 5, [SERVER, Ceiling("the database", 15)], True),
        (11, 5, [SERVER, Ceiling("the database", 15)], False),
        (11, 5, [SERVER, Ceiling("the role", 11, is_shared=False)], True),
        (12, 5, [SERVER, Ceiling("the role", 11, is_shared=False)], False),
        (5000, 5, [], True),
    ],
)
def test_every_ceiling_must_bear_fleet_and_headroom(
    environments: int, headroom: int, ceilings: list[Ceiling], *, fits: bool
) -> None:
    """The headroom counts where others use the same slots; without a ceiling there is nothing to fit."""
    assert Budget([share(environments)], headroom, ceilings).fits is fits


def test_the_sum_is_written_out() -> None:
    """Every factor, the sum, the limit, and how many are missing."""
    budget = Budget([share(20, 1, 2, "records"), share(2, function="health")], 5, [SERVER])
    assert str(budget) == (
        "records 20 x 1 x 2 = 40, health 2 x 1 x 1 = 2, headroom 5; "
        "47 connections, and the server has 27 usable slots: 20 too many"
    )
    assert budget.rows() == [
        ("records", "20 x 1 x 2", 40),
        ("health", "2 x 1 x 1", 2),
        ("headroom", "left to others", 5),
        ("needed", "", 47),
    ]


@pytest.mark.parametrize(
    ("environments", "usable", "limit"),
    [(8, 27, 12), (20, 27, 22), (22, 27, 22), (1, 27, 2), (100, 5000, 150)],
)
def test_the_roles_limit_leaves_room_and_leaves_the_headroom(environments: int, usable: int, limit: int) -> None:
    """Half as much again as the fleet, and never the slots that are left to others."""
    assert Budget([share(environments)], 5, [SERVER]).role_limit(usable) == limit


def test_a_login_of_its_own_does_not_count_against_the_applications() -> None:
    """Once, where all slots are counted; and the application's limit leaves it room as it does to the headroom."""
    own = Share(function="monitor", environments=3, login="own")
    budget = Budget([share(8), own], 5, [SERVER, Ceiling("the role", 8, is_shared=False)])
    assert (budget.fleet, budget.needed(SERVER), budget.fits) == (11, 16, True)
    assert budget.role_limit(27) == 12
    assert budget.role_limit(17) == 9


def test_behind_a_pooler_the_role_may_have_the_rest() -> None:
    """The pooler shares out; nobody but the server limits it."""
    assert Budget([share(500)], 5, []).role_limit(1000) == 995


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (None, "it: Input should be"),
        ({}, "Functions: Field required"),
        ({"Functions": []}, "Functions: Tuple should have at least 1 item"),
        (
            {"Functions": [{"Function": "f", "Environments": "many"}], "ApplicationUser": "u"},
            "Functions.0.Environments",
        ),
        ({"Functions": [{"Function": "f", "Environments": "1"}]}, "exactly one of ApplicationSecretId and"),
        (
            {"Functions": [F], "ApplicationUser": "u", "MonitorUser": "m", "MonitorSecretId": "s"},
            "one of MonitorSecretId",
        ),
        ({"Functions": [{"Function": "f", "Environments": "1"}], "Poolsize": "1"}, "Poolsize: Extra inputs"),
    ],
)
def test_a_plan_that_cannot_be_read_names_the_field(plan: object, says: str) -> None:
    """A mistyped property is not passed over."""
    with pytest.raises(PlanError) as caught:
        read_plan(plan)
    assert says in str(caught.value)
    assert "many" not in str(caught.value)
