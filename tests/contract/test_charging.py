"""Whole calls through the turn, the same on both storages; an auditor recomputes every sum after each."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from calls import NOON, Password, at, failed, interim, report, request, start, stop
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import State, World, audit, catalogue, memory_world

from billing_core.authorization import Authorized, Denied
from billing_core.charging import Charging, Outcome, Recorded, Request
from billing_core.denial import Denial
from billing_core.ports import DataRefusedError, Reboot, Storage, StorageDownError, Turn
from billing_core.refusals import KEPT_A_MINUTE
from billing_core.report import Kind, Report
from billing_core.session import Leg
from billing_core.session import State as Phase
from billing_core.storage.postgres import PostgresStorage
from billing_core.sweep import OnSilence
from billing_core.xdr import Unbillable, Xdr, XdrState

ALICE, VENDOR, BOB, CAROL = 1, 2, 3, 4
BOBS: dict[str, Any] = {"name": "bob"}
CAROLS: dict[str, Any] = {"name": None, "credential": None, "ip": "198.51.100.4"}
CAROLS_LEG: dict[str, Any] = {"name": None, "ip": "198.51.100.4"}
NOBODYS: dict[str, Any] = {"name": "nobody", "ip": None, "calling": ""}


class Calls:
    """Sends one request after another, and has the books audited after each."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._charging = world.charging()
        self.state: State = world.state()

    def send(self, *requests: Request, now: datetime = NOON) -> Any:
        outcomes = self._charging.handle(requests, now)
        self.look()
        return outcomes[0] if len(outcomes) == 1 else outcomes

    def sweep(self, now: datetime, on_silence: OnSilence = OnSilence.CHARGE_KNOWN) -> list[Xdr | None]:
        swept = self._world.sweep(on_silence).run(now)
        self.look()
        return [item.xdr for item in swept]

    def look(self) -> None:
        self.state = self._world.state()
        audit(self.state)

    def money(self, client_id: int = ALICE) -> tuple[Decimal, Decimal, int]:
        """Return what is live, what is reserved, and the legs under way."""
        balance = self.state.balances[client_id]
        return balance.live, balance.reserved, balance.in_use

    def last(self) -> Xdr:
        (xdr,) = self.state.last_xdrs().values()
        return xdr


@pytest.fixture
def calls(world: World) -> Calls:
    return Calls(world)


def cents(live: int, reserved: int = 0, in_use: int = 0) -> tuple[Decimal, Decimal, int]:
    return Decimal(live) / 100, Decimal(reserved) / 100, in_use


# --- whole calls ------------------------------------------------------------------------------------


def test_a_call_reserves_at_accept_and_is_charged_at_stop(calls):
    accept = calls.send(request())
    reserved = calls.money()
    calls.send(start(event_at=at(5)), now=at(5))
    started = calls.money()
    ended = calls.send(stop(61, event_at=at(66)), now=at(66))

    assert (accept.credit_time_seconds, accept.reserved) == (1000, 10)
    assert reserved == started == cents(1000, 1000, 1)
    assert calls.money() == cents(939)
    assert ended.charged == ended.xdr.amount == Decimal("0.61")
    assert (ended.xdr.state, ended.xdr.revision, ended.is_duplicate) == (XdrState.RATED, 1, False)


def test_what_is_repeated_is_charged_once(calls):
    for _ in range(2):
        calls.send(request())
    for _ in range(2):
        calls.send(start(event_at=at(5)), now=at(5))
    calls.send(interim(30, event_at=at(35)), now=at(35))
    first = calls.send(stop(60, event_at=at(65)), now=at(65))
    again = calls.send(stop(60, event_at=at(65)), now=at(70))

    assert not first.is_duplicate
    assert (again.is_duplicate, again.charged) == (True, 0)
    assert calls.money() == cents(940)
    assert len(calls.state.xdrs) == 1


def test_a_call_that_was_never_authorized_is_charged_to_the_account_of_its_records(calls):
    calls.send(start(event_at=NOON))
    under_way = calls.money()
    calls.send(stop(60, event_at=at(60)), now=at(60))

    assert under_way == cents(1000, 0, 1)
    assert calls.money() == cents(940)


def test_a_stop_alone_is_charged(calls):
    calls.send(stop(60, event_at=NOON))

    assert calls.money() == cents(940)


def test_a_start_after_its_stop_reopens_nothing(calls):
    calls.send(request())
    calls.send(stop(60, event_at=at(65)), now=at(65))
    late = calls.send(start(event_at=at(5)), now=at(66))

    assert late.charged == 0
    assert late.session.state is Phase.CLOSED
    assert late.session.facts.start_event_at == at(5)
    assert calls.money() == cents(940)


def test_of_two_stops_the_longer_counts_and_the_difference_is_posted(calls):
    calls.send(request())
    calls.send(stop(60, event_at=at(60)), now=at(60))
    longer = calls.send(stop(90, event_at=at(90)), now=at(90))
    shorter = calls.send(stop(30, event_at=at(30)), now=at(91))

    assert (longer.charged, longer.xdr.revision) == (Decimal("0.30"), 2)
    assert (shorter.charged, shorter.is_duplicate) == (0, True)
    assert calls.money() == cents(910)


def test_a_cancelled_call_is_told_twice_and_costs_nothing(calls):
    calls.send(request())
    calls.send(failed(event_at=at(9)), now=at(9))
    after_failure = calls.money()
    calls.send(stop(0, event_at=at(9)), now=at(9))

    assert after_failure == calls.money() == cents(1000)
    assert calls.last().duration_seconds == 0


def test_a_stop_without_duration_is_rated_once_its_start_arrives(calls):
    unbillable = calls.send(stop(None, event_at=at(60)), now=at(60))
    listed = calls.last()
    rated = calls.send(start(event_at=NOON), now=at(70))

    assert unbillable.charged == 0
    assert (listed.state, listed.reason) == (XdrState.UNBILLABLE, Unbillable.NO_DURATION)
    assert rated.charged == Decimal("0.60")
    assert (calls.last().state, calls.last().revision) == (XdrState.RATED, 2)
    assert calls.money() == cents(940)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (stop(60, name="nobody", ip=None, calling=""), Unbillable.NO_ACCOUNT),
        (stop(60, called="331234"), Unbillable.NO_RATE),
        (stop(None), Unbillable.NO_DURATION),
        (stop(86_401), Unbillable.IMPLAUSIBLE_DURATION),
        (stop(2**32 - 1), Unbillable.IMPLAUSIBLE_DURATION),
    ],
)
def test_what_cannot_be_billed_is_kept_and_charges_nobody(calls, told, reason):
    kept = calls.send(told)

    assert isinstance(kept, Recorded)
    assert (calls.last().state, calls.last().reason, calls.last().amount) == (XdrState.UNBILLABLE, reason, 0)
    assert calls.money() == cents(1000)


def test_a_vendors_leg_raises_the_vendors_money_and_takes_no_place_of_the_client(calls):
    calls.send(request())
    calls.send(report(Kind.START, leg=Leg.TERMINATION, event_at=NOON))
    vendors = calls.state.balances[VENDOR]
    calls.send(report(Kind.STOP, leg=Leg.TERMINATION, session_seconds=60, event_at=at(60)), now=at(60))

    assert (vendors.in_use, vendors.term_in_use) == (0, 1)
    assert calls.last().amount == Decimal("0.30")
    assert calls.money(VENDOR) == cents(30)
    assert calls.money() == cents(1000, 1000, 1)


def test_a_vendors_leg_of_nobody_is_recorded_without_alarm(calls):
    unknown = {"leg": Leg.TERMINATION, "termination_address": "203.0.113.99"}
    calls.send(report(Kind.STOP, session_seconds=60, **unknown))

    assert (calls.last().state, calls.last().reason, calls.last().client_id) == (
        XdrState.RECORDED,
        None,
        None,
    )


def test_a_further_leg_of_a_call_is_recorded_and_not_charged(calls):
    voip, telephony = {"call_type": "voip"}, {"call_type": "telephony", "session_id": "telephony"}
    calls.send(request())
    calls.send(start(event_at=at(1), **voip), now=at(1))
    calls.send(start(event_at=at(1), **telephony), now=at(1))
    beside = calls.money()
    calls.send(stop(60, event_at=at(61), **telephony), now=at(61))
    still_up = calls.money()
    calls.send(stop(60, event_at=at(61), **voip), now=at(61))

    assert beside == still_up == cents(1000, 1000, 1)
    assert calls.money() == cents(940)
    assert sorted(xdr.state for xdr in calls.state.xdrs) == [XdrState.RATED, XdrState.RECORDED]


# --- repeated requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], [start(event_at=NOON)]])
def test_a_denial_gives_nothing_back(calls, before):
    calls.send(request())
    for told in before:
        calls.send(told)
    calls.send(request(called="331234"))

    assert calls.money() == cents(1000, 1000, 1)


@pytest.mark.parametrize("stranger", [{"credential": Password("guess")}, {"name": "bob"}, {"name": "nobody"}])
def test_nobody_else_can_release_or_take_over_a_call(calls, stranger):
    calls.send(request())
    calls.send(request(**stranger))

    assert calls.money() == cents(1000, 1000, 1)


def test_another_account_that_asks_under_the_same_call_id_has_a_leg_of_its_own(calls):
    calls.send(request())
    calls.send(request(**BOBS))

    assert (calls.money(), calls.money(BOB)) == (cents(1000, 1000, 1), cents(150, 150, 1))


def test_a_repeated_request_of_a_started_call_replaces_its_grant(calls):
    calls.send(request(**BOBS))
    calls.send(start(event_at=NOON, name="bob"))
    again = calls.send(request(**BOBS), now=at(40))

    assert again.credit_time_seconds == 110
    assert calls.money(BOB) == cents(150, 150, 1)


def test_what_a_call_was_granted_in_all_is_charged_when_it_falls_silent(calls):
    calls.send(request(**BOBS))
    calls.send(start(event_at=NOON, name="bob"))
    calls.send(request(**BOBS), now=at(40))
    (xdr,) = calls.sweep(at(40 + 110 + 60), OnSilence.CHARGE_GRANTED)

    assert xdr is not None
    assert (xdr.duration_seconds, xdr.amount, xdr.state) == (150, Decimal("1.50"), XdrState.ESTIMATED)


def test_a_call_that_was_released_is_still_charged_when_it_is_heard_of(calls):
    calls.send(request(sends_start=True))
    calls.sweep(at(240))
    released = calls.money()
    calls.send(start(event_at=at(200)), now=at(250))
    up = calls.money()
    calls.send(stop(60, event_at=at(260)), now=at(260))

    assert released == cents(1000)
    assert up == cents(1000, 1000, 1)
    assert calls.money() == cents(940)


def test_a_grant_that_is_never_heard_of_is_kept_as_long_as_its_switch_says(calls):
    calls.send(request(unheard_seconds=60))
    calls.sweep(at(59))
    kept = calls.money()
    calls.sweep(at(60))

    assert (kept, calls.money()) == (cents(1000, 1000, 1), cents(1000))


def test_a_start_that_finds_its_money_gone_takes_what_is_left_and_has_the_call_ended(calls, world):
    told = {"can_disconnect": True}
    calls.send(request(unheard_seconds=60, **told))
    calls.sweep(at(60))
    calls.send(request("call-2", sends_start=True), now=at(61))
    late = calls.send(start(event_at=at(70), **told), now=at(70))

    assert (late.session.state, late.session.reserved) == (Phase.ACTIVE, 0)
    assert calls.money() == cents(1000, 1000, 2)


# --- capacity ---------------------------------------------------------------------------------------


def test_places_are_taken_at_accept_and_given_back_at_the_end(calls):
    first = calls.send(request("call-1", **CAROLS))
    calls.send(*(request(f"call-{n}", **CAROLS) for n in (2, 3, 4)))
    fifth = calls.send(request("call-5", **CAROLS))
    calls.send(stop(0, "call-1", event_at=NOON, **CAROLS_LEG))
    sixth = calls.send(request("call-5", **CAROLS))

    assert isinstance(first, Authorized)
    assert fifth.reason is Denial.CAPACITY_RESELLER
    assert isinstance(sixth, Authorized)


def test_a_place_of_the_account_is_counted_apart_from_its_clients(calls):
    short = {"called": "442071234567", **BOBS}
    outcomes = calls.send(*(request(f"call-{n}", **short) for n in (1, 2, 3)))

    assert [getattr(outcome, "reason", None) for outcome in outcomes] == [
        None,
        Denial.NO_MONEY,
        Denial.NO_MONEY,
    ]
    calls.send(start("call-2", event_at=NOON, name="bob"))
    assert calls.send(request("call-3", **short)).reason is Denial.CAPACITY_ACCOUNT


# --- generations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("later", "generations"), [(1, 1), (119, 1), (121, 2), (86_400, 2)])
def test_a_record_that_begins_two_minutes_after_the_end_is_of_a_new_call(calls, later, generations):
    calls.send(request())
    calls.send(stop(60, event_at=at(60)), now=at(60))
    began = 60 + later
    calls.send(stop(30, event_at=at(began + 30)), now=at(began + 30))

    assert len(calls.state.last_xdrs()) == generations
    assert calls.money() == (cents(910) if generations == 2 else cents(940))


@pytest.mark.parametrize("delay_seconds", [0, 400])
def test_an_undated_stop_is_a_replay_however_late_it_comes(calls, delay_seconds):
    calls.send(stop(60), now=at(60))
    replayed = calls.send(stop(60, delay_seconds=delay_seconds), now=at(90_000))

    assert replayed.is_duplicate
    assert calls.money() == cents(940)


def test_a_stop_whose_dates_contradict_each_other_is_charged_once(calls):
    """The switch's own times may be in another zone than it says; its Event-Timestamp is right."""
    told = stop(60, event_at=at(60), disconnect_at=at(60 - 3600), connect_at=at(-3600))
    calls.send(told, now=at(60))
    calls.send(told._replace(delay_seconds=9), now=at(69))

    assert len(calls.state.last_xdrs()) == 1
    assert calls.money() == cents(940)


def test_an_accept_opens_a_new_generation_of_an_ended_call(calls):
    calls.send(request())
    calls.send(stop(60, event_at=at(60)), now=at(60))
    calls.send(request(), now=at(70))
    granted = calls.money()
    calls.send(stop(30, event_at=at(105)), now=at(105))

    assert granted == cents(940, 940, 1)
    assert [xdr.generation for xdr in calls.state.xdrs] == [0, 1]
    assert calls.money() == cents(910)


def test_a_late_stop_of_the_earlier_generation_is_ignored(calls):
    calls.send(request())
    calls.send(stop(60, event_at=at(60)), now=at(60))
    calls.send(request(), now=at(600))
    late = calls.send(stop(60, event_at=at(60)), now=at(610))

    assert late.is_duplicate
    assert calls.money() == cents(940, 940, 1)


def test_a_new_generation_of_a_leg_of_nobody_is_another_leg(calls):
    calls.send(stop(60, event_at=at(60), **NOBODYS), now=at(60))
    first = calls.last()
    calls.send(stop(30, event_at=at(1030)), now=at(1030))
    _, session = sorted(calls.state.sessions.values(), key=lambda leg: leg.generation)

    assert first.reason is Unbillable.NO_ACCOUNT
    assert (session.generation, session.client_id, session.opened_at) == (1, ALICE, at(1000))
    assert calls.money() == cents(970)


def test_a_leg_of_nobody_may_have_generations_too(calls):
    for began in (0, 1000):
        calls.send(
            stop(60, event_at=at(began + 60), calling=str(began), name=None, ip=None), now=at(began + 60)
        )
    sessions = calls.state.sessions.values()

    assert sorted((leg.generation, leg.calling) for leg in sessions) == [(0, "0"), (1, "1000")]
    assert [xdr.generation for xdr in calls.state.xdrs] == [0, 1]


@pytest.mark.parametrize("opening", [start(event_at=at(1000)), interim(200, event_at=at(1200))])
def test_a_new_generation_that_was_heard_of_late_is_still_charged(calls, opening):
    calls.send(stop(60, event_at=at(60)), now=at(60))
    calls.send(opening, now=at(1300))
    calls.send(stop(400, event_at=at(1400)), now=at(1400))

    assert [xdr.duration_seconds for xdr in calls.state.last_xdrs().values()] == [60, 400]
    assert calls.money() == cents(540)


def test_garbage_in_the_stop_of_a_later_generation_is_kept_as_unbillable(calls):
    calls.send(request())
    calls.send(stop(60, event_at=at(60)), now=at(60))
    calls.send(request(), now=at(600))
    kept = calls.send(stop(2**32 - 1, event_at=at(700)), now=at(700))

    assert kept.xdr.reason is Unbillable.OVERRUN
    assert calls.money() == cents(940, 940)


# --- silence and reboots ----------------------------------------------------------------------------


def test_a_call_that_falls_silent_is_charged_what_is_known_and_corrected_by_its_stop(calls):
    calls.send(request(**BOBS))
    calls.send(start(event_at=NOON, name="bob"))
    calls.send(interim(90, event_at=at(90), name="bob"), now=at(90))
    too_early = calls.sweep(at(150 + 59))
    waiting = calls.money(BOB)
    (estimated,) = calls.sweep(at(150 + 60))
    silent = calls.money(BOB)
    corrected = calls.send(stop(120, event_at=at(120), name="bob"), now=at(9000))

    assert too_early == []
    assert waiting == cents(150, 150, 1)
    assert estimated is not None
    assert (estimated.state, estimated.amount) == (XdrState.ESTIMATED, Decimal("0.90"))
    assert silent == cents(60)
    assert (corrected.charged, corrected.xdr.state) == (Decimal("0.30"), XdrState.RATED)
    assert calls.money(BOB) == cents(30)


def test_a_stop_gives_back_what_silence_charged_too_much(calls):
    calls.send(request(**BOBS))
    calls.send(start(event_at=NOON, name="bob"))
    calls.sweep(at(1000), OnSilence.CHARGE_GRANTED)
    charged = calls.money(BOB)
    calls.send(stop(10, event_at=at(10), name="bob"), now=at(1001))

    assert charged == cents(0)
    assert calls.money(BOB) == cents(140)


def test_more_silent_legs_than_one_turn_looks_after_are_all_closed(calls):
    calls.send(*(start(f"call-{n}", event_at=NOON) for n in range(205)))
    swept = calls.sweep(at(7260))

    assert len(swept) == 205
    assert calls.money() == cents(1000)
    assert calls.sweep(at(7260)) == []


def test_a_reboot_closes_the_legs_of_its_box_that_were_opened_before_it(calls):
    calls.send(request("reserved"), now=at(0))
    calls.send(start("before", event_at=at(1)), now=at(1))
    calls.send(interim(30, "before", event_at=at(31)), now=at(31))
    calls.send(start("other box", event_at=at(1), nas_box="gw-2"), now=at(1))
    calls.send(start("other switch", event_at=at(1), nas="gw2"), now=at(1))
    calls.send(start("after", event_at=at(61)), now=at(61))
    calls.send(Reboot("gw", "gw-1", at(60), starting=True), now=at(62))
    recorded_only = {session.call_id for session in calls.state.sessions.values() if session.state.is_open}
    calls.sweep(at(63))

    left = {session.call_id for session in calls.state.sessions.values() if session.state.is_open}
    assert recorded_only == {"reserved", "before", "other box", "other switch", "after"}
    assert left == {"other box", "other switch", "after"}
    assert [xdr.amount for xdr in calls.state.xdrs] == [Decimal("0.30")]
    assert calls.money() == cents(970, 0, 3)


def test_a_reboot_told_twice_closes_nothing_twice(calls):
    reboot = Reboot("gw", "gw-1", at(60), starting=False)
    calls.send(start(event_at=NOON))
    calls.send(reboot, reboot, now=at(62))
    calls.sweep(at(63))
    calls.send(start("call-2", event_at=at(50)), now=at(64))
    calls.send(reboot, now=at(64))

    assert calls.sweep(at(65)) == []
    assert calls.money() == cents(1000, 0, 1)


# --- poison -----------------------------------------------------------------------------------------


def test_a_batch_with_a_text_that_the_database_refuses_leaves_nothing_behind_p_100(calls, world):
    before = world.state()
    with pytest.raises(DataRefusedError):
        calls.send(request("good"), start("bad", called="44\x00"), stop(60, "other"))

    assert world.state() == before
    assert isinstance(calls.send(request("good")), Authorized)


@pytest.mark.parametrize("text", ["\udcff", "x\x00"])
def test_every_text_that_cannot_be_stored_is_refused_by_postgresql(postgres, text):
    for field in ("call_id", "session_id", "calling", "called", "nas_box"):
        with pytest.raises(DataRefusedError):
            postgres.charging().handle([start(**{field: text})], NOON)

    assert not postgres.state().sessions


@pytest.mark.parametrize(
    "text", ["", "'", '"', "\\", "{}", "NULL", "a,b", "%s", "; DROP TABLE xdr", "\n", "é😀"]
)
def test_every_other_text_is_kept_as_it_is(calls, text):
    calls.send(
        stop(60, call_id=text, session_id=text, calling=text, nas_box=text, disconnect_cause=text or None)
    )

    assert (calls.last().call_id, calls.last().session_id, calls.last().calling) == (text, text, text)
    assert calls.last().disconnect_cause == (text or None)


# --- any sequence -----------------------------------------------------------------------------------


Made = Callable[[str, dict[str, Any], dict[str, Any], int | None], Request]

# What may happen to a call: made of its id, who asks for it, what its record says, and a duration.
HAPPENINGS: dict[str, Made] = {
    "ask": lambda call, who, told, seconds: request(call, **who),
    "ask again": lambda call, who, told, seconds: request(call, called="44", **who),
    "ask for nowhere": lambda call, who, told, seconds: request(call, called="33", **who),
    "ask wrongly": lambda call, who, told, seconds: request(call, credential=Password("guess")),
    "start": lambda call, who, told, seconds: start(call, connect_at=told["event_at"], **told),
    "interim": lambda call, who, told, seconds: interim(seconds or 5, call, **told),
    "stop": lambda call, who, told, seconds: stop(seconds, call, disconnect_at=told["event_at"], **told),
    "stop with cause": lambda call, who, told, seconds: stop(seconds, call, disconnect_cause="16", **told),
    "fail": lambda call, who, told, seconds: failed(call, disconnect_cause="31", **told),
    "vendor's start": lambda call, who, told, seconds: report(
        Kind.START, call, Leg.TERMINATION, event_at=told["event_at"]
    ),
    "vendor's stop": lambda call, who, told, seconds: report(
        Kind.STOP, call, Leg.TERMINATION, event_at=told["event_at"], session_seconds=seconds
    ),
    "reboot": lambda call, who, told, seconds: Reboot("gw", "gw-1", told["event_at"] or NOON, starting=True),
}
WEIGHTS = [3, 1, 1, 1, 2, 2, 3, 1, 1, 1, 1, 1]
PARTIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    (BOBS, {"name": "bob"}),
    (CAROLS, CAROLS_LEG),
]


def random_request(chance: random.Random, seconds: int) -> Request:
    """Return one of many things that may happen at that second, of a few calls of a few clients."""
    number = chance.randrange(9)
    who, leg = PARTIES[number % 3] if chance.random() < 0.9 else chance.choice([*PARTIES, (NOBODYS, NOBODYS)])
    told = {"event_at": chance.choice([None, at(seconds), at(seconds - 30)]), **leg}
    if chance.random() < 0.1:
        told["session_id"] = "another"
    told["call_type"] = chance.choice(["", "voip", "telephony"])
    if chance.random() < 0.05:
        told["called"] = "331234"
    duration = chance.choice([0, 1, 30, 60, 61, seconds, 90_000, None])
    (happening,) = chance.choices(list(HAPPENINGS.values()), WEIGHTS)
    return happening(f"call-{number}", who, told, duration)


def happenings(seed: int, count: int = 120) -> Iterator[tuple[datetime, list[Request]]]:
    """Yield moments and the batch that arrives at each; some batches are sent again."""
    chance = random.Random(seed)
    seconds = 0
    for _ in range(count):
        seconds += chance.choice([0, 1, 10, 60, 300, 4000])
        batch = [random_request(chance, seconds) for _ in range(chance.choice([1, 1, 2, 5, 12]))]
        yield at(seconds), batch
        if chance.random() < 0.2:
            yield at(seconds + 1), chance.sample(batch, len(batch))


def lived(
    world: World, seed: int, *, batched: bool = True, audited: bool = True
) -> tuple[State, list[Outcome]]:
    """Return what a world has become after everything that the seed makes happen, and all outcomes."""
    charging, sweep = world.charging(), world.sweep()
    outcomes: list[Outcome] = []
    for count, (now, batch) in enumerate(happenings(seed)):
        for part in [batch] if batched else [[item] for item in batch]:
            outcomes += charging.handle(part, now)
            if audited:
                audit(world.state())
        if count % 10 == 9:
            sweep.run(now)
    return world.state(), outcomes


@pytest.mark.parametrize("seed", range(20))
def test_a_batch_is_the_same_as_its_requests_one_by_one(seed):
    assert lived(memory_world(), seed) == lived(memory_world(), seed, batched=False)


@pytest.mark.parametrize("seed", range(4))
def test_both_storages_make_the_same_of_everything(postgres, seed):
    state, outcomes = lived(postgres, seed, audited=False)
    audit(state)

    assert (state, outcomes) == lived(memory_world(), seed)


def test_the_happenings_are_of_every_kind():
    """A sequence that never denies or charges anything would prove nothing."""
    outcomes = [outcome for seed in range(20) for outcome in lived(memory_world(), seed, audited=False)[1]]
    denials = {outcome.reason for outcome in outcomes if isinstance(outcome, Denied)}
    xdrs = [outcome.xdr for outcome in outcomes if isinstance(outcome, Recorded) and outcome.xdr]

    assert denials > {Denial.NO_MONEY, Denial.CAPACITY_ACCOUNT, Denial.CAPACITY_RESELLER, Denial.NO_RATE}
    assert {xdr.reason for xdr in xdrs} == {*Unbillable, None}
    assert {xdr.generation for xdr in xdrs} > {0, 1}
    assert {xdr.leg for xdr in xdrs} == set(Leg)
    assert max(xdr.revision for xdr in xdrs) > 2


# --- order does not matter --------------------------------------------------------------------------

# What a switch tells of a call of 95 seconds that it was asked for at noon.
TOLD = [
    start(event_at=at(5), setup_at=at(1), connect_at=at(5)),
    interim(30, event_at=at(35)),
    interim(60, event_at=at(65)),
    stop(
        95, event_at=at(100), setup_at=at(1), connect_at=at(5), disconnect_at=at(100), disconnect_cause="16"
    ),
]


def final(records: Sequence[Report], *, authorized: bool) -> tuple[Any, ...]:
    world = memory_world()
    charging = world.charging()
    if authorized:
        charging.handle([request()], NOON)
    for number, record in enumerate(records):
        charging.handle([record], at(100 + number))
    state = world.state()
    audit(state)
    (xdr,) = state.last_xdrs().values()
    return xdr._replace(revision=0), state.balances


@given(
    st.lists(st.sampled_from(TOLD), max_size=6)
    .map(lambda records: [*records, TOLD[-1]])
    .flatmap(st.permutations),
    st.booleans(),
)
@settings(max_examples=200)
def test_lost_repeated_and_reordered_records_end_in_the_same_charge(records, authorized):
    assert final(records, authorized=authorized) == final(TOLD, authorized=authorized)


# --- several workers on PostgreSQL ------------------------------------------------------------------


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run all of them in threads that begin together, and return their results in order."""
    results: list[Any] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = works[number]()
        except (StorageDownError, DataRefusedError, AssertionError) as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    return results


def test_of_two_workers_that_race_for_the_last_cent_one_gets_it(postgres):
    workers = [postgres.charging() for _ in range(2)]
    for attempt in range(20):
        calls = [request(f"call-{attempt}-{number}", **BOBS) for number in range(2)]
        outcomes = at_once(
            *(
                lambda worker=worker, call=call: worker.handle([call], NOON)[0]
                for worker, call in zip(workers, calls, strict=True)
            )
        )
        audit(postgres.state())
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Authorized", "Denied"]
        ended = [failed(call.call_id, name="bob") for call in calls]
        workers[0].handle(ended, NOON)

    assert postgres.state().balances[BOB].reserved == 0


class Interrupted:
    """A storage that lets something happen in the middle of its first turn, before the call named."""

    def __init__(self, storage: Storage, before: str, happens: Callable[[], Any]) -> None:
        self._storage = storage
        self._before = before
        self._happens: Callable[[], Any] | None = happens
        self.turns = 0

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        self.turns += 1
        with self._storage.turn() as turn:
            original = getattr(turn, self._before)

            def interrupted(*arguments: Any) -> Any:
                happens, self._happens = self._happens, None
                if happens is not None:
                    happens()
                return original(*arguments)

            setattr(turn, self._before, interrupted)
            yield turn


def interrupted_worker(world: World, before: str, happens: Callable[[], Any]) -> tuple[Charging, Interrupted]:
    storage = Interrupted(world.new_storage(), before, happens)
    return Charging(storage, catalogue(), world.charging().limits), storage


def test_a_leg_that_two_workers_open_at_once_is_a_conflict_that_is_decided_again(postgres):
    other = postgres.charging()
    told = stop(60, event_at=NOON, **NOBODYS)
    worker, storage = interrupted_worker(postgres, "lock_counters", lambda: other.handle([told], NOON))
    (outcome,) = worker.handle([told], NOON)

    assert storage.turns == 2
    assert outcome.is_duplicate
    assert len(postgres.state().xdrs) == 1


def test_a_leg_that_turns_out_to_be_of_a_client_who_is_not_locked_is_decided_again_with_him(postgres):
    other = postgres.charging()
    worker, storage = interrupted_worker(postgres, "lock_balances", lambda: other.handle([request()], NOON))
    (outcome,) = worker.handle([stop(60, event_at=at(60), **NOBODYS)], at(60))
    audit(postgres.state())

    assert storage.turns == 2
    assert outcome.charged == Decimal("0.60")


def test_two_workers_that_open_the_same_legs_in_opposite_order_do_not_wait_in_a_circle(postgres):
    told = [stop(60, f"call-{number}", event_at=NOON, **NOBODYS) for number in range(2000)]
    both_write = threading.Barrier(2)
    one, other = (interrupted_worker(postgres, "record", both_write.wait)[0] for _ in range(2))
    first, second = at_once(lambda: one.handle(told, NOON), lambda: other.handle(told[::-1], NOON))

    assert {first[0].is_duplicate, second[0].is_duplicate} == {False, True}


def test_two_workers_that_hear_of_a_leg_of_nobody_lose_nothing_of_it(postgres):
    other = postgres.charging()
    postgres.charging().handle([start(event_at=NOON, **NOBODYS)], NOON)
    ended = threading.Thread(target=lambda: other.handle([stop(60, event_at=at(60), **NOBODYS)], at(60)))

    def end() -> None:
        ended.start()
        ended.join(timeout=0.3)

    worker, _ = interrupted_worker(postgres, "record", end)
    worker.handle([interim(30, event_at=at(30), **NOBODYS)], at(60))
    ended.join()
    (session,) = postgres.state().sessions.values()

    assert session.state is Phase.CLOSED
    assert (session.facts.known_seconds, session.facts.stop_seconds) == (30, 60)


def test_workers_over_the_same_clients_never_meet_a_deadlock_that_reaches_them(postgres):
    def work(number: int) -> State | None:
        worker, chance = postgres.charging(), random.Random(number)
        for turn in range(60):
            worker.handle(
                [random_request(chance, turn * 10) for _ in range(chance.randrange(1, 9))], at(turn * 10)
            )
        return None

    results = at_once(*(lambda number=number: work(number) for number in range(3)))
    audit(postgres.state())

    assert results == [None, None, None]


def test_a_sweep_beside_a_turn_waits_for_its_clients_and_sees_what_it_did(postgres):
    calls = Calls(postgres)
    calls.send(start(event_at=NOON))
    worker = postgres.charging()
    results = at_once(
        lambda: worker.handle([stop(60, event_at=at(60))], at(7260)), lambda: postgres.sweep().run(at(7260))
    )
    calls.look()

    assert not any(isinstance(result, Exception) for result in results)
    assert calls.money() == cents(940)
    assert calls.last().state is XdrState.RATED


def test_only_one_sweep_runs_at_a_time(postgres):
    Calls(postgres).send(start(event_at=NOON))
    first = postgres.new_storage()
    with first.turn() as turn:
        assert turn.alone()
        assert postgres.sweep().run(at(7260)) == []

    assert len(postgres.sweep().run(at(7260))) == 1


def test_a_connection_that_was_cut_is_replaced(postgres):
    storage = postgres.new_storage()
    assert isinstance(storage, PostgresStorage)
    worker = Charging(storage, catalogue(), postgres.charging().limits)
    worker.handle([request()], NOON)
    storage.connection().cursor().execute("SELECT 1")
    with postgres.new_storage().connection().cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", (storage.connection().info.backend_pid,))

    with pytest.raises(StorageDownError):
        worker.handle([start(event_at=NOON)], NOON)
    assert isinstance(worker.handle([start(event_at=NOON)], NOON)[0], Recorded)


def test_a_database_that_is_not_there_is_said_to_be_down():
    storage = PostgresStorage("postgresql://nobody@127.0.0.1:1/none", "test")

    with pytest.raises(StorageDownError, match="refused"):
        Charging(storage, catalogue(), memory_world().charging().limits).handle([request()], NOON)


def test_days_later_is_still_the_same_leg_when_the_record_says_so(calls):
    calls.send(request())
    calls.send(stop(60, event_at=at(60)), now=at(60))
    replayed = calls.send(stop(60, event_at=at(60)), now=at(60) + timedelta(days=30))

    assert replayed.is_duplicate
    assert calls.money() == cents(940)


# --- refusals ---------------------------------------------------------------------------------------


def test_a_flood_of_refusals_that_name_nobody_is_counted_and_none_of_a_client_is_left_out(calls):
    many = KEPT_A_MINUTE + 20
    strange = [request(f"strange-{number}", name="nobody", ip="203.0.113.9") for number in range(many)]
    wrong = [request(f"wrong-{number}", credential=Password("guess")) for number in range(many)]

    calls.send(*strange, *wrong)
    calls.send(*strange, now=at(30))
    told = calls.send(request("later", name="nobody", ip="203.0.113.9"), now=at(61))

    nameless = [refusal for refusal in calls.state.refusals if refusal.client_id is None]
    assert [refusal.call_id for refusal in nameless] == [
        *(f"strange-{number}" for number in range(KEPT_A_MINUTE)),
        "later",
    ]
    assert f'"left_out":{20 + many}' in nameless[-1].facts.replace(" ", "")
    assert len(calls.state.refusals) - len(nameless) == many
    assert told.reason is Denial.UNKNOWN_ACCOUNT
