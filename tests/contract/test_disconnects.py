"""Whom a switch is to be asked to end, whose turn it is to ask, and what comes of the answer."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import calls
import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, VENDOR, VENDOR_ACCOUNT, at, interim, rate, request, start, stop
from postgres import connect
from worlds import World, audit, postgres_world

from billing_core.charging import Charging
from billing_core.client import Concurrency, Policy
from billing_core.limits import Limits
from billing_core.ports import DisconnectOutcome, DisconnectReason
from billing_core.session import Leg, State
from billing_core.storage.disconnects import ASKED_MAX, LEASE, PAUSES, Disconnects, Wanted
from billing_core.storage.postgres import PostgresStorage
from billing_core.sweep import OnSilence, Sweep

NASES = ("gw",)
SETTING = {
    "live": "UPDATE balance SET live = %s WHERE client_id = 1",
    "status": "UPDATE client SET status = %s WHERE id = 1",
    "credit": "UPDATE client SET credit = %s WHERE id = 1",
    "postpaid": "UPDATE client SET postpaid = %s WHERE id = 1",
}


class Books:
    """Alice's calls under a policy, and the disconnects of their database."""

    def __init__(self, url: str, world: World, policy: Policy = Policy.FULL, **definitions: Any) -> None:
        self.url = url
        alice = replace(ALICE, concurrency=Concurrency(policy, seconds=60))
        self._catalogue = calls.catalogue((alice, [ALICE_ACCOUNT]), (VENDOR, [VENDOR_ACCOUNT]), **definitions)
        self._world = world
        self.charging = Charging(world.new_storage(), self._catalogue, Limits())
        self.disconnects = Disconnects(url)

    def under_way(self, *names: str) -> None:
        """Let calls start at noon."""
        for name in names:
            self.charging.handle([request(name)], NOON)
            self.charging.handle([start(name, event_at=NOON)], NOON)

    def set(self, column: str, value: object) -> None:
        with closing(connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(SETTING[column], (value,))

    def found(self) -> list[tuple[str, str]]:
        """Return the calls that are to be ended, and why."""
        self.disconnects.find(NASES, NOON)
        return sorted((item.call_id, item.reason.value) for item in self.disconnects.take(NASES, NOON, 100))

    def taken(self, second: float) -> Wanted | None:
        """Return the only leg to be asked for now, or that something is to be recorded of."""
        found = self.disconnects.take(NASES, at(second), 100)
        return found[0] if found else None

    def stopped(self) -> Wanted:
        """Let a call be under way whose client is stopped, and return it as it is to be asked for."""
        self.under_way("call-1")
        self.set("status", "stop")
        self.disconnects.find(NASES, NOON)
        (wanted,) = self.disconnects.take(NASES, NOON, 100)
        return wanted

    def heard(self, seconds: int) -> None:
        """Hear an Interim-Update so many seconds after noon."""
        self.charging.handle([interim(seconds, event_at=at(seconds))], at(seconds))

    def sweep(self, second: float) -> None:
        Sweep(
            self._world.new_sweep_turns(), self._catalogue, Limits(), lambda nas: OnSilence.CHARGE_KNOWN
        ).run(at(second))
        audit(self._world.state())

    def state(self, name: str) -> State:
        return self._world.state().sessions[request(name).leg_key, 0].state


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    """Give what is closed at the end."""
    closing_at_the_end: list[Any] = []
    yield closing_at_the_end
    for item in closing_at_the_end:
        item.close()


@pytest.fixture
def books(migrated_url: str, opened: list[Any]) -> Books:
    storages: list[PostgresStorage] = opened
    made = Books(migrated_url, postgres_world(migrated_url, storages))
    opened.append(made.disconnects)
    return made


def test_nobody_who_can_pay_is_cut(books: Books) -> None:
    books.under_way("call-1")

    assert books.found() == []


@pytest.mark.parametrize("status", ["stop", "deleted"])
def test_the_calls_of_a_client_who_is_stopped_are_ended_and_only_his(books: Books, status: str) -> None:
    books.under_way("call-1", "call-2")
    books.charging.handle([start("of nobody", name="nobody", ip=None, calling="")], NOON)
    books.set("status", status)

    assert books.found() == [("call-1", "client_stopped"), ("call-2", "client_stopped")]


@pytest.mark.parametrize(
    ("live", "credit", "postpaid", "is_cut"),
    [
        ("0", "0", False, True),
        ("-5", "5", False, True),
        ("-5", "5.01", False, False),
        ("-5", "0", True, False),
    ],
)
def test_calls_are_ended_when_the_money_is_certainly_gone(
    books: Books, live: str, credit: str, postpaid: bool, is_cut: bool
) -> None:
    books.under_way("call-1")
    books.set("credit", Decimal(credit))
    books.set("postpaid", postpaid)
    books.set("live", Decimal(live))

    assert books.found() == ([("call-1", "no_money")] if is_cut else [])


@pytest.mark.parametrize("written", ["0/min 1/1 setup 1", "-0.60/min 1/1"])
def test_a_call_that_costs_nothing_more_goes_on_without_money(
    migrated_url: str, opened: list[Any], written: str
) -> None:
    books = Books(migrated_url, postgres_world(migrated_url, opened), sold=[rate(written)])
    opened.append(books.disconnects)
    books.under_way("call-1")
    books.set("live", Decimal(-1))

    assert books.found() == []


def test_only_calls_that_have_begun_and_not_ended_are_cut(books: Books) -> None:
    books.under_way("ended")
    books.charging.handle([stop(5, "ended", event_at=at(5))], at(5))
    books.charging.handle([request("accepted")], NOON)
    books.charging.handle([start("sent to a vendor", leg=Leg.TERMINATION)], NOON)
    books.set("status", "stop")
    with closing(connect(books.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE client SET status = 'stop'")

    assert books.found() == []


def test_only_switches_that_take_disconnects_are_asked(books: Books) -> None:
    books.under_way("call-1")
    books.set("status", "stop")

    assert books.disconnects.find(("another",), NOON) == 0
    assert books.disconnects.find(NASES, NOON) == 1
    assert books.disconnects.take(("another",), NOON, 100) == []


def test_what_was_found_is_asked_for_once(books: Books) -> None:
    books.under_way("call-1")
    books.set("status", "stop")

    assert books.disconnects.find(NASES, NOON) == 1
    assert books.disconnects.find(NASES, NOON) == 0


def test_a_leg_tells_everything_that_a_switch_knows_it_by(books: Books) -> None:
    books.under_way("call-1")
    books.set("status", "stop")
    with closing(connect(books.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO account VALUES (10, 1, 'alice', 'secret', NULL, NULL, '', NULL, true, false)"
        )
    books.disconnects.find(NASES, NOON)
    (wanted,) = books.disconnects.take(NASES, NOON, 100)

    assert (wanted.leg_key, wanted.generation, wanted.nas) == (request("call-1").leg_key, 0, "gw")
    assert (wanted.reason, wanted.nas_box) == (DisconnectReason.CLIENT_STOPPED, "gw-1")
    assert (wanted.call_id, wanted.session_id, wanted.name) == ("call-1", "session of call-1", "alice")
    assert (wanted.authorized, wanted.is_open) == (True, True)


def test_of_two_daemons_one_asks_and_when_it_dies_the_other_does_later(
    books: Books, opened: list[Any]
) -> None:
    other = Disconnects(books.url)
    opened.append(other)
    books.under_way("call-1", "call-2")
    books.set("status", "stop")
    books.disconnects.find(NASES, NOON)

    (mine,) = books.disconnects.take(NASES, NOON, 1)
    (his,) = other.take(NASES, NOON, 100)
    assert {mine.call_id, his.call_id} == {"call-1", "call-2"}
    other.finish(his, DisconnectOutcome.ACKNOWLEDGED, NOON)
    assert other.take(NASES, NOON + LEASE - timedelta(seconds=1), 100) == []
    (left,) = other.take(NASES, NOON + LEASE, 100)
    assert left.call_id == mine.call_id


def test_a_call_that_a_switch_does_not_know_is_closed_by_the_next_sweep(books: Books) -> None:
    books.under_way("call-1", "call-2")
    books.set("status", "stop")
    books.disconnects.find(NASES, NOON)
    for wanted in books.disconnects.take(NASES, NOON, 100):
        unknown = wanted.call_id == "call-1"
        outcome = DisconnectOutcome.UNKNOWN_CALL if unknown else DisconnectOutcome.REFUSED
        assert books.disconnects.finish(wanted, outcome, at(1)) is outcome
    books.sweep(2)

    assert (books.state("call-1"), books.state("call-2")) == (State.CLOSED, State.ACTIVE)


def test_a_sliced_call_that_a_switch_does_not_know_is_closed_and_not_renewed(
    migrated_url: str, opened: list[Any]
) -> None:
    books = Books(migrated_url, postgres_world(migrated_url, opened), Policy.SLICE)
    opened.append(books.disconnects)
    books.charging.handle([request(can_disconnect=True)], NOON)
    books.charging.handle([start(event_at=NOON, can_disconnect=True)], NOON)
    books.set("status", "stop")
    books.disconnects.find(NASES, NOON)
    (wanted,) = books.disconnects.take(NASES, NOON, 100)
    books.disconnects.finish(wanted, DisconnectOutcome.UNKNOWN_CALL, at(1))
    books.sweep(2)

    assert books.state("call-1") is State.CLOSED


@pytest.mark.parametrize("outcome", sorted(set(DisconnectOutcome) - {DisconnectOutcome.WITHDRAWN}))
def test_a_call_that_ended_meanwhile_is_no_failure_of_the_switch(
    books: Books, outcome: DisconnectOutcome
) -> None:
    wanted = books.stopped()
    books.charging.handle([stop(5, "call-1", event_at=at(5))], at(5))
    told = books.disconnects.finish(wanted, outcome, at(6))

    acknowledged = outcome is DisconnectOutcome.ACKNOWLEDGED
    assert told is (outcome if acknowledged else DisconnectOutcome.ENDED)
    assert books.disconnects.take(NASES, NOON + 2 * LEASE, 100) == []
    audit(books._world.state())


@pytest.mark.parametrize("outcome", [DisconnectOutcome.REFUSED, DisconnectOutcome.NO_ANSWER])
def test_a_switch_that_does_not_obey_is_asked_again_ever_later_and_not_for_ever_r_29(
    books: Books, outcome: DisconnectOutcome
) -> None:
    books.under_way("call-1")
    books.set("status", "stop")
    books.disconnects.find(NASES, NOON)
    second = 0.0
    for pause in PAUSES:
        wanted = books.taken(second)
        assert wanted is not None
        assert wanted.settled is None
        books.disconnects.finish(wanted, outcome, at(second))
        second += pause.total_seconds()
        assert books.taken(second - 1) is None
    last = books.taken(second)
    assert last is not None
    books.disconnects.finish(last, outcome, at(second))

    assert (last.attempt, last.settled) == (ASKED_MAX, None)
    assert books.taken(second + 86_400) is None


def test_a_switch_that_keeps_its_word_is_not_asked_again(books: Books) -> None:
    books.disconnects.finish(books.stopped(), DisconnectOutcome.ACKNOWLEDGED, at(1))

    assert [books.taken(second) for second in (5, 11, 25, 600)] == [None] * 4
    books.charging.handle([stop(5, "call-1", event_at=at(5))], at(601))
    assert [books.taken(second) for second in (610, 620, 86_400)] == [None] * 3


def test_a_call_that_is_heard_of_after_its_end_was_promised_is_asked_for_again_r_29(books: Books) -> None:
    books.under_way("call-1")
    books.set("status", "stop")
    books.disconnects.find(NASES, NOON)
    ignored = []
    for second in range(0, 60 * (ASKED_MAX + 1), 60):
        books.heard(second)
        wanted = books.taken(second + 20)
        assert wanted is not None
        ignored.append(wanted.was_ignored)
        if wanted.settled is None:
            books.disconnects.finish(wanted, DisconnectOutcome.ACKNOWLEDGED, at(second + 20))
            # Heard of before: that it will end is believed, again and again.
            assert [books.taken(second + 20 + later) for later in (10, 21, 32)] == [None] * 3
    assert wanted.settled is DisconnectOutcome.IGNORED
    books.disconnects.finish(wanted, wanted.settled, at(600))
    books.heard(700)

    assert ignored == [False] + [True] * ASKED_MAX
    assert books.taken(86_400) is None


def test_a_call_that_may_go_on_again_is_left_alone_until_there_is_another_reason(books: Books) -> None:
    books.disconnects.finish(books.stopped(), DisconnectOutcome.NO_ANSWER, NOON)
    books.set("status", "active")
    again = books.taken(30)
    assert again is not None
    assert again.settled is DisconnectOutcome.WITHDRAWN
    books.disconnects.finish(again, again.settled, at(30))

    assert books.taken(86_400) is None
    books.set("live", Decimal(0))
    assert books.found() == [("call-1", "no_money")]


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_slice_that_was_paid_for_after_all_ends_no_call(
    migrated_url: str, opened: list[Any], is_paid: bool
) -> None:
    books = Books(migrated_url, postgres_world(migrated_url, opened), Policy.SLICE)
    opened.append(books.disconnects)
    books.charging.handle([request(can_disconnect=True)], NOON)
    books.charging.handle([start(event_at=NOON, can_disconnect=True)], NOON)
    books.set("live", Decimal("0.60"))
    books.charging.handle([interim(45, event_at=at(45), can_disconnect=True)], at(45))
    first = books.taken(45)
    assert first is not None
    assert (first.reason, first.settled) == (DisconnectReason.SLICE_RAN_DRY, None)
    books.disconnects.finish(first, DisconnectOutcome.NO_ANSWER, at(45))
    if is_paid:
        books.set("live", Decimal(10))
        books.charging.handle([interim(50, event_at=at(50), can_disconnect=True)], at(50))
    again = books.taken(76)

    assert again is not None
    assert again.settled is (DisconnectOutcome.WITHDRAWN if is_paid else None)


def test_a_leg_that_ended_before_anybody_asked_needs_not_be_ended(books: Books) -> None:
    books.under_way("call-1")
    books.set("status", "stop")
    books.disconnects.find(NASES, NOON)
    books.charging.handle([stop(5, "call-1", event_at=at(5))], at(5))

    assert [item.is_open for item in books.disconnects.take(NASES, NOON, 100)] == [False]
