"""What docs/concurrency.md promises of each policy, and that its table is what the simulation does."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from crowd import PAID, POLICIES, crowd, table

from billing_core.client import Policy

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


def test_the_table_of_the_documentation_is_what_the_simulation_does() -> None:
    printed = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    few = [1, 2, 5, 10]

    assert [line for line in table(few)[2:] if line not in printed] == []


def test_every_policy_has_its_lines_in_the_documentation() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert [row[0] for row in rows] == [name for name in POLICIES for _ in range(6)]
