"""What docs/concurrency.md promises of each policy, and that its table is what the simulation does."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from crowd import (
    DISCONNECT_SECONDS,
    LINES,
    PAID,
    POLICIES,
    SLICE_SECONDS,
    SWEEP_SECONDS,
    crowd,
    table,
)

from billing_core.client import Policy
from billing_core.concurrency import LEAD_SECONDS_MAX

SLICE = POLICIES["slice, seconds = 60"]
PRICE = Decimal("0.01")  # A second.
PAGE = Path(__file__).parents[2] / "docs" / "concurrency.md"


@pytest.mark.parametrize(
    "name", [name for name, found in POLICIES.items() if found.policy is not Policy.NONE]
)
@pytest.mark.parametrize("count", [1, 10, 50])
def test_who_reserves_never_overspends_while_the_switch_obeys_r_28_r_29(name: str, count: int) -> None:
    runs = [crowd(seed, POLICIES[name], count) for seed in range(100, 105)]

    assert {run.overspend for run in runs} == {Decimal(0)}
    assert all(run.granted + run.refused == count for run in runs)


@pytest.mark.parametrize("count", [1, 10, 50])
def test_who_reserves_nothing_overspends_at_most_the_balance_for_each_other_call(count: int) -> None:
    runs = [crowd(seed, POLICIES["none"], count) for seed in range(100, 105)]

    assert all(run.overspend <= (count - 1) * PAID for run in runs)
    assert count == 1 or any(run.overspend > 0 for run in runs)


@pytest.mark.parametrize("count", [1, 10, 50])
def test_a_switch_that_ends_no_call_overspends_what_the_slices_left_of_the_balance_r_29(count: int) -> None:
    runs = [crowd(seed, SLICE, count, reaction_seconds=None) for seed in range(100, 105)]

    assert all(run.overspend <= (run.at_once - 1) * (PAID - SLICE_SECONDS * PRICE) for run in runs)
    assert (count == 1) == all(run.overspend == 0 for run in runs)


def test_a_switch_that_is_late_overspends_the_price_of_that_time_r_29() -> None:
    late = 60.0
    runs = [crowd(seed, SLICE, 50, reaction_seconds=late) for seed in range(100, 105)]
    reaction = Decimal(SWEEP_SECONDS + DISCONNECT_SECONDS + late)

    assert all(0 < run.overspend <= run.at_once * PRICE * (reaction - LEAD_SECONDS_MAX) for run in runs)


def test_the_table_of_the_documentation_is_what_the_simulation_does() -> None:
    printed = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    few = [1, 2, 5]

    assert [line for line in table(few)[2:] if line not in printed] == []


def test_every_policy_has_its_lines_in_the_documentation() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert [row[0] for row in rows] == [name for name in LINES for _ in range(6)]
