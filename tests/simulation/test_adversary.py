"""Callers who cheat, and an auditor who knows the conversations that really took place.

A seed that fails is printed with the fewest invites that make it fail and every packet of them;
`pytest tests/simulation --seed N` runs it alone, `--seeds N` so many, and it is kept in hostile_seeds.txt.
"""

from collections import Counter as Tally
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from auditor import naive_cost
from bounds import capacity_is_kept, is_guarded, nobody_overspends
from habits import Naming
from hostile_world import HostileWorld
from invites import Ending
from market import CHEAP, DEAR
from smaller import smaller
from truth import (
    every_second_is_charged,
    faults,
    nothing_is_held_but_overruns,
    vendors_get_what_is_theirs,
)

SEEDS = 500
CHUNK = 25
TRACE_LINES_MAX = 60
KEPT = [
    int(line.split("#")[0])
    for line in (Path(__file__).parent / "hostile_seeds.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#")[0].strip()
]


def examine(seed: int) -> HostileWorld:
    """Run the world of a seed, and fail with the smallest world in which the same goes wrong."""
    world = HostileWorld(seed)
    if found := faults(world):
        check = next(iter(found))
        least, told = smaller(seed, check)
        trace = "\n".join(least.trace[:TRACE_LINES_MAX])
        pytest.fail(
            f"seed {seed}: {', '.join(found)}\n"
            f"The smallest world found that fails in {check}:\n{told}\n{trace}\n"
            f"replay it with: pytest tests/simulation --seed {seed}; "
            "keep it in tests/simulation/hostile_seeds.txt",
            pytrace=False,
        )
    return world


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Spread the seeds over tests, or run the one that was asked for."""
    if "seeds" not in metafunc.fixturenames:
        return
    alone = metafunc.config.getoption("seed", default=None)
    count = metafunc.config.getoption("seeds", default=None) or SEEDS
    chunks = [range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    metafunc.parametrize("seeds", chunks if alone is None else [range(alone, alone + 1)], ids=str)


def test_whatever_callers_do_every_second_is_charged_once_to_who_talked(seeds: range) -> None:
    """Twins, forks, failures, cancels, late copies: what is charged is what was talked, and was held."""
    for seed in seeds:
        examine(seed)


@pytest.mark.parametrize("seed", KEPT)
def test_a_hostile_seed_that_failed_once_never_fails_again(seed: int) -> None:
    examine(seed)


def test_a_hostile_seed_is_the_same_world_every_time() -> None:
    one, other = HostileWorld(3), HostileWorld(3)
    one.run()
    other.run()

    assert one.trace == other.trace
    assert one.storage.entries == other.storage.entries


def test_the_adversary_does_what_it_is_for() -> None:
    """An adversary who does nothing proves nothing."""
    happened: Tally[str] = Tally()
    for seed in range(60):
        world = HostileWorld(seed)
        world.run()
        for switch in world.switches:
            happened[f"switches by {switch.habits.naming.value}"] += 1
            happened["switches without Starts"] += not switch.character.sends_start
            happened["switches that return Class"] += switch.habits.returns_class
            happened["switches with two addresses"] += len(switch.habits.addresses) == 2
            happened["switches that tell no seconds"] += not switch.habits.tells_seconds
            happened["switches that rewrite numbers"] += switch.habits.rewrites
            names: Tally[str] = Tally(attempt.call_id for attempt in switch.attempts)
            for attempt in switch.attempts:
                invite, talks = attempt.invite, [dialog for dialog in attempt.dialogs if dialog.seconds]
                happened["calls under a name that others use"] += names[attempt.call_id] > 1
                happened["forks"] += len(talks) > 1
                happened["calls that were refused"] += attempt.accepted_at is None
                happened["calls that failed after their twin was answered"] += (
                    names[attempt.call_id] > 1 and not talks and invite.ending is not Ending.ANSWERED
                )
                happened["late copies of Stops"] += bool(talks and invite.restamps)
                happened["calls that were forwarded"] += len(attempt.numbers) > 1
                happened["calls that the callee ended"] += bool(talks and invite.by_callee)
                happened["thefts"] += bool(invite.claimed_ani)
                happened["talks without a hold"] += sum(not is_guarded(world, talk) for talk in talks)
                happened["talks with a hold"] += sum(is_guarded(world, talk) for talk in talks)

    assert {what: times for what, times in happened.items() if times < 5} == {}
    assert {naming.value for naming in Naming} <= {what.removeprefix("switches by ") for what in happened}


# --- the auditor itself ---------------------------------------------------------------------------------


@pytest.fixture
def honest() -> HostileWorld:
    """Return a calm world of one plain call, which has been run."""
    plain = next(
        invite
        for seed in range(50)
        for invite in HostileWorld(seed).script
        if invite.number == DEAR and invite.client_id == 15
    )
    only = replace(
        plain,
        at=1.0,
        switch=0,
        ring_seconds=1.0,
        wanted_seconds=60,
        ending=Ending.ANSWERED,
        dialogs=1,
        guesses=0,
        only_guesses=False,
        forwarded_to="",
        asks_again_after=None,
        restamps=(),
        leaves_prefix_out=False,
        claimed_ani="",
    )
    world = next(
        world
        for seed in range(50)
        if (world := HostileWorld(seed, script=[only], is_calm=True)).switches[0].habits.naming is Naming.TAGS
        and not world.switches[0].habits.milliseconds
        and world.definitions.clients[15].capacity is None
    )
    assert faults(world) == {}
    return world


def test_the_auditor_misses_a_call_that_is_not_charged(honest: HostileWorld) -> None:
    honest.auditor.last_xdrs.clear()
    with pytest.raises(AssertionError, match="missing"):
        every_second_is_charged(honest)


@pytest.mark.parametrize(
    "wrong", [{"client_id": 11}, {"called": CHEAP}, {"duration_seconds": 59}, {"amount": Decimal("0.06")}]
)
def test_the_auditor_sees_a_wrong_client_number_time_and_price(
    honest: HostileWorld, wrong: dict[str, object]
) -> None:
    leg, xdr = next(iter(honest.auditor.last_xdrs.items()))
    honest.auditor.last_xdrs[leg] = xdr._replace(**wrong)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="too much"):
        every_second_is_charged(honest)


def test_the_auditor_sees_a_call_that_is_charged_twice(honest: HostileWorld) -> None:
    (key, generation), xdr = next(iter(honest.auditor.last_xdrs.items()))
    honest.auditor.last_xdrs[key, generation + 1] = xdr
    with pytest.raises(AssertionError, match="too much"):
        every_second_is_charged(honest)


def test_the_auditor_sees_more_talks_at_once_than_there_may_be(honest: HostileWorld) -> None:
    clients = honest.definitions.clients
    clients[15] = replace(clients[15], capacity=0)
    with pytest.raises(AssertionError, match="may have 0"):
        capacity_is_kept(honest)


def test_the_auditor_sees_an_overspend(honest: HostileWorld) -> None:
    clients = honest.definitions.clients
    clients[15] = replace(clients[15], postpaid=False)
    honest.auditor.worst[15] = Decimal("0.01")
    with pytest.raises(AssertionError, match="overspent"):
        nobody_overspends(honest)


def test_the_auditor_sees_money_that_is_held_for_ever(honest: HostileWorld) -> None:
    honest.storage.balances[15] = honest.storage.balances[15].changed(reserved=Decimal(1))
    with pytest.raises(AssertionError, match="held for ever"):
        nothing_is_held_but_overruns(honest)


def test_the_auditor_sees_what_a_vendor_did_not_get(honest: HostileWorld) -> None:
    switch = honest.switches[0]
    switch.habits = replace(switch.habits, vendors=True)
    with pytest.raises(AssertionError, match="missing"):
        vendors_get_what_is_theirs(honest)


def test_the_auditor_reckons_what_a_number_costs_by_the_longest_code() -> None:
    market = HostileWorld(0).definitions
    rate = market.price("8821")
    assert rate is not None
    assert rate.code == "882"
    assert naive_cost(rate, 60) >= 6
