"""Calls that are paid a slice at a time, through turns and sweeps, the same on both storages."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import calls
import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, VENDOR, VENDOR_ACCOUNT, at, interim, request, start, stop
from memory import MemoryStorage
from worlds import State, World, audit

from billing_core.authorization import Authorized, Denied
from billing_core.catalogue import Catalogue
from billing_core.charging import Charging, Request
from billing_core.client import Concurrency, Policy
from billing_core.limits import Limits
from billing_core.session import State as Phase
from billing_core.storage.postgres import PostgresStorage
from billing_core.sweep import OnSilence, Sweep

# A call costs a cent a second, and Alice has ten dollars.
SLICES: dict[str, Any] = {"can_disconnect": True}


def definitions(concurrency: Concurrency) -> Catalogue:
    """Return Alice with that policy, and the vendor."""
    alice = replace(ALICE, concurrency=concurrency)
    return calls.catalogue((alice, [ALICE_ACCOUNT]), (VENDOR, [VENDOR_ACCOUNT]))


class Traffic:
    """Sends requests of a client with a policy and sweeps; after each the books are audited."""

    def __init__(self, world: World, concurrency: Concurrency) -> None:
        catalogue = definitions(concurrency)
        self._world = world
        self._charging = Charging(world.new_storage(), catalogue, Limits())
        self._sweep = Sweep(world.new_sweep_turns(), catalogue, Limits(), lambda nas: OnSilence.CHARGE_KNOWN)
        self.state: State = world.state()

    def send(self, asked: Request, now: datetime = NOON) -> Any:
        (outcome,) = self._charging.handle([asked], now)
        self.look()
        return outcome

    def sweep(self, now: datetime) -> None:
        self._sweep.run(now)
        self.look()

    def look(self) -> None:
        self.state = self._world.state()
        audit(self.state)
        alice = self.state.balances[1]
        assert alice.reserved <= max(alice.live, 0)

    def money(self) -> tuple[Decimal, Decimal, int]:
        balance = self.state.balances[1]
        return balance.live, balance.reserved, balance.in_use

    def phase(self, call_id: str) -> Phase:
        return self.state.sessions[request(call_id).leg_key, 0].state

    def wanted(self) -> Mapping[tuple[bytes, int], tuple[str, str]]:
        """Return which legs are to be ended by whom, and why."""
        storage = self._world.new_storage()
        if isinstance(storage, MemoryStorage):
            return {key: (item.nas, item.reason.value) for key, item in storage.disconnects.items()}
        assert isinstance(storage, PostgresStorage)
        with storage.connection().cursor() as cursor:
            cursor.execute("SELECT leg_key, generation, nas, reason FROM disconnect")
            return {(bytes(key), generation): (nas, reason) for key, generation, nas, reason in cursor}


@pytest.fixture
def sliced(world: World) -> Traffic:
    return Traffic(world, Concurrency(Policy.SLICE, seconds=60))


def cents(live: int, reserved: int = 0, in_use: int = 0) -> tuple[Decimal, Decimal, int]:
    return Decimal(live) / 100, Decimal(reserved) / 100, in_use


def test_a_slice_is_renewed_by_interims_and_by_time_until_the_stop_charges_the_call(sliced):
    accept = sliced.send(request(**SLICES))
    assert (accept.credit_time_seconds, sliced.money()) == (1000, cents(1000, 60, 1))
    sliced.send(start(event_at=at(5), **SLICES), now=at(5))
    assert sliced.money() == cents(1000, 65, 1)
    sliced.sweep(at(20))
    assert sliced.money() == cents(1000, 65, 1)
    sliced.send(interim(30, event_at=at(35), **SLICES), now=at(35))
    assert sliced.money() == cents(1000, 95, 1)
    sliced.sweep(at(80))
    assert sliced.money() == cents(1000, 140, 1)
    sliced.send(stop(100, event_at=at(105), **SLICES), now=at(105))

    assert sliced.money() == cents(900)
    assert sliced.wanted() == {}


def test_many_calls_share_the_money_slice_by_slice_until_it_is_gone(sliced):
    names = [f"call-{number}" for number in range(20)]
    outcomes = [sliced.send(request(name, **SLICES)) for name in names]
    accepted = [
        name for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, Authorized)
    ]
    # Sixteen slices of sixty cents, and one that is granted only what is left.
    assert len(accepted) == 17
    assert all(isinstance(outcome, Denied) for outcome in outcomes[17:])
    for name in accepted[:10]:
        sliced.send(start(name, event_at=NOON, **SLICES))
    sliced.sweep(at(45))

    # All is set aside, nobody can be renewed: every call that is to go on longer must end.
    assert sliced.money() == cents(1000, 1000, 17)
    assert {(request(name).leg_key, 0) for name in accepted[:16]} == set(sliced.wanted())
    assert set(sliced.wanted().values()) == {("gw", "slice_ran_dry")}
    for name in accepted[:16]:
        sliced.send(stop(47, name, event_at=at(47), **SLICES), now=at(47))
    assert sliced.money()[0] == Decimal(10) - 16 * Decimal("0.47")


def test_a_leg_is_asked_for_once_however_often_it_ran_dry(sliced):
    sliced.send(request(**SLICES))
    for number in range(16):
        sliced.send(request(f"other-{number}", **SLICES))
    sliced.send(start(event_at=at(5), **SLICES), now=at(5))
    for second in (45, 50, 55):
        sliced.send(interim(second - 5, event_at=at(second), **SLICES), now=at(second))

    assert (request().leg_key, 0) in sliced.wanted()
    assert sliced.phase("call-1") is Phase.ACTIVE


def test_a_leg_that_is_to_end_is_charged_from_its_stop(sliced):
    sliced.send(request(**SLICES))
    for number in range(16):
        sliced.send(request(f"other-{number}", **SLICES))
    sliced.send(start(event_at=at(5), **SLICES), now=at(5))
    sliced.sweep(at(41))
    assert (request().leg_key, 0) in sliced.wanted()
    ended = sliced.send(stop(55, event_at=at(60), **SLICES), now=at(60))

    assert ended.charged == Decimal("0.55")


def test_where_a_switch_obeys_nobody_all_is_set_aside_and_nobody_is_asked(sliced):
    sliced.send(request())
    assert sliced.money() == cents(1000, 1000, 1)
    sliced.send(start(event_at=at(5)), now=at(5))
    sliced.sweep(at(900))

    assert sliced.money() == cents(1000, 1000, 1)
    assert sliced.wanted() == {}


def test_an_accepted_call_without_start_keeps_its_slices_until_its_grant_is_over(sliced):
    sliced.send(request(**SLICES))
    for second in range(40, 1060, 10):
        sliced.sweep(at(second))
        assert sliced.phase("call-1") is Phase.RESERVED, f"released after {second} s"
    sliced.sweep(at(1060))

    assert sliced.phase("call-1") is Phase.RELEASED
    assert sliced.money() == cents(1000)


def test_an_accepted_call_whose_start_must_come_is_released_without_it(sliced):
    sliced.send(request(sends_start=True, **SLICES))
    sliced.sweep(at(239))
    assert sliced.money() == cents(1000, 60, 1)
    sliced.sweep(at(240))

    assert sliced.money() == cents(1000)
    sliced.send(start(event_at=at(250), **SLICES), now=at(250))
    assert sliced.phase("call-1") is Phase.ACTIVE
    assert sliced.money() == cents(1000, 310, 1)


def test_a_started_call_that_falls_silent_is_closed_when_its_grant_is_over(sliced):
    sliced.send(request(**SLICES))
    sliced.send(start(event_at=at(10), **SLICES), now=at(10))
    for second in range(50, 1070, 10):
        sliced.sweep(at(second))
        assert sliced.phase("call-1") is Phase.ACTIVE, f"closed after {second} s"
    assert sliced.money() == cents(1000, 1000, 1)
    sliced.sweep(at(1070))

    assert sliced.phase("call-1") is Phase.CLOSED


def test_a_sweep_that_comes_late_renews_by_all_the_time_that_has_passed(sliced):
    sliced.send(request(**SLICES))
    sliced.send(start(event_at=at(10), **SLICES), now=at(10))
    sliced.sweep(at(500))

    assert sliced.money() == cents(1000, 560, 1)


def test_another_authorization_renews_a_slice(sliced):
    sliced.send(request(**SLICES))
    sliced.send(start(event_at=NOON, **SLICES))
    again = sliced.send(request(**SLICES), now=at(30))

    assert again.credit_time_seconds == 970
    assert sliced.money() == cents(1000, 90, 1)
    sliced.sweep(at(75))
    assert sliced.money() == cents(1000, 135, 1)


def test_as_many_parallel_calls_as_shares_are_all_accepted(world):
    shared = Traffic(world, Concurrency(Policy.SHARE, calls=8))
    outcomes = [shared.send(request(f"call-{number}")) for number in range(9)]

    assert [type(outcome) for outcome in outcomes] == [Authorized] * 8 + [Denied]
    assert {outcome.credit_time_seconds for outcome in outcomes[:8]} == {125}
    assert shared.money() == cents(1000, 1000, 8)


def test_without_reservations_every_call_gets_all_and_together_they_overspend(world):
    free = Traffic(world, Concurrency(Policy.NONE))
    outcomes = [free.send(request(f"call-{number}")) for number in range(3)]
    assert {outcome.credit_time_seconds for outcome in outcomes} == {1000}
    assert free.money() == cents(1000, 0, 3)
    for number in range(3):
        free.send(stop(1000, f"call-{number}", event_at=at(1000)), now=at(1000))

    # The formula of the documentation: (calls - 1) times what there was.
    assert free.money() == cents(-2000)
