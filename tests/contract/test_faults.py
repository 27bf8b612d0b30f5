"""Faults between switches, workers and the database, by their numbers; the books are audited after each."""

import random
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from calls import NOON, SOLD, at, failed, interim, report, request, start, stop
from postgres import connect
from worlds import World, audit, catalogue

from billing_core.authorization import Authorized, Denied
from billing_core.charging import Charging, Recorded, Request
from billing_core.limits import Limits
from billing_core.rate_table import rate_table
from billing_core.report import Kind
from billing_core.session import State as Phase
from billing_core.sweep import OnSilence
from billing_core.xdr import Unbillable, XdrState

ALICE = 1
DAY, YEAR = 86_400.0, 365 * 86_400.0


def all_at_once(*works: Callable[[], Any]) -> None:
    """Do several things in as many threads, and fail when one of them fails or never ends."""
    barrier, failures = threading.Barrier(len(works)), list[BaseException]()

    def run(work: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a thread's failure is shown by the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)


def told(charging: Charging, *requests: Request, now: datetime) -> Any:
    """Send requests one by one and return the last outcome."""
    outcomes = [charging.handle([item], now)[0] for item in requests]
    return outcomes[-1]


@pytest.mark.parametrize("times", [2, 100])
def test_the_same_record_again_and_again_has_one_effect_r_01(world: World, times: int) -> None:
    charging = world.charging()
    told(charging, request(), now=NOON)
    outcomes = charging.handle([stop(60, event_at=at(60))] * times, at(60))
    audit(world.state())

    assert [outcome.is_duplicate for outcome in outcomes] == [False] + [True] * (times - 1)
    assert world.state().live(ALICE) == Decimal("9.40")
    assert len(world.state().xdrs) == 1


def test_one_event_that_reaches_two_workers_at_once_is_charged_once_r_03(postgres: World) -> None:
    one, other = postgres.charging(), postgres.charging()
    for number in range(20):
        call = f"call-{number}"
        told(one, request(call), now=NOON)
        ended = stop(6, call, event_at=at(6))
        all_at_once(
            lambda ended=ended: one.handle([ended], at(6)), lambda ended=ended: other.handle([ended], at(6))
        )
    audit(postgres.state())

    assert len(postgres.state().xdrs) == 20
    assert postgres.state().live(ALICE) == Decimal("8.80")


@pytest.mark.parametrize(
    ("later", "calls"), [(1, 1), (119, 1), (121, 2), (DAY, 2)], ids=["1 s", "119 s", "121 s", "a day"]
)
def test_a_name_used_again_is_another_call_two_minutes_after_the_end_r_09(
    world: World, later: float, calls: int
) -> None:
    charging = world.charging()
    told(charging, stop(60, event_at=at(60)), now=at(60))
    first = world.state().xdrs[0]
    told(charging, stop(30, event_at=at(60 + later + 30)), now=at(60 + later + 30))
    audit(world.state())

    assert len(world.state().last_xdrs()) == calls
    assert first in world.state().xdrs
    assert world.state().live(ALICE) == Decimal("9.40") - (calls - 1) * Decimal("0.30")


def test_turns_that_meet_over_the_same_two_clients_in_opposite_order_all_succeed_r_23(
    postgres: World,
) -> None:
    bobs: dict[str, Any] = {"name": "bob"}

    def work(number: int) -> None:
        charging = postgres.charging()
        for turn in range(30):
            batch: list[Request] = [
                stop(1, f"a-{number}-{turn}", event_at=at(turn)),
                stop(1, f"b-{number}-{turn}", event_at=at(turn), **bobs),
            ]
            charging.handle(batch[:: -1 if number else 1], at(turn))

    all_at_once(lambda: work(0), lambda: work(1))
    audit(postgres.state())

    assert len(postgres.state().xdrs) == 120


# One statement sees one moment.
SEEN = """
    SELECT live - coalesce((SELECT sum(amount) FROM entry WHERE entry.client_id = balance.client_id), 0),
           reserved - coalesce((SELECT sum(session.reserved) FROM session
                                 WHERE session.client_id = balance.client_id), 0)
      FROM balance
"""


def test_a_hot_balance_loses_no_update_while_a_reader_watches_r_24(
    postgres: World, migrated_url: str
) -> None:
    """Four workers, one balance: every moment that a reader can see adds up."""
    done = threading.Event()
    seen: set[tuple[Decimal, Decimal]] = set()

    def work(number: int) -> None:
        charging, chance = postgres.charging(), random.Random(number)
        for turn in range(25):
            names = [f"call-{number}-{turn}-{place}" for place in range(5)]
            charging.handle([request(name) for name in names], NOON)
            charging.handle([stop(chance.randrange(1, 5), name, event_at=at(5)) for name in names], at(5))

    def watch() -> None:
        with closing(connect(migrated_url)) as connection, connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute(SEEN)
                seen.update(cursor.fetchall())
                connection.rollback()

    watcher = threading.Thread(target=watch)
    watcher.start()
    all_at_once(*(lambda number=number: work(number) for number in range(4)))
    done.set()
    watcher.join(timeout=30)
    state = postgres.state()
    audit(state)

    assert seen == {(0, 0)}
    assert (state.balances[ALICE].reserved, state.balances[ALICE].in_use) == (0, 0)
    assert state.live(ALICE) == 10 - sum(xdr.amount for xdr in state.xdrs)
    assert len(state.xdrs) == 500


def test_records_of_one_session_from_two_boxes_at_once_make_one_leg_r_25(postgres: World) -> None:
    one, other = postgres.charging(), postgres.charging()
    told(one, request(), start(event_at=NOON), now=NOON)
    ended = stop(60, event_at=at(60))

    def tell(charging: Charging, box: str) -> None:
        for _ in range(20):
            charging.handle(
                [interim(30, event_at=at(30))._replace(nas_box=box), ended._replace(nas_box=box)], at(60)
            )

    all_at_once(lambda: tell(one, "gw-1"), lambda: tell(other, "gw-2"))
    (session,) = postgres.state().sessions.values()
    audit(postgres.state())

    assert (session.nas_box, session.state, session.posted) == ("gw-1", Phase.CLOSED, Decimal("0.60"))


@pytest.mark.parametrize("later", [3600, 30 * DAY], ids=["an hour", "a month"])
@pytest.mark.parametrize("dated", [True, False], ids=["dated", "undated"])
def test_a_replayed_stop_has_no_effect_r_26(world: World, later: float, dated: bool) -> None:
    charging = world.charging()
    ended = stop(60, event_at=at(60) if dated else None)
    told(charging, request(), start(event_at=NOON), ended, now=at(60))
    replayed = told(charging, ended, now=at(60 + later))
    audit(world.state())

    assert (replayed.is_duplicate, replayed.charged) == (True, 0)
    assert world.state().live(ALICE) == Decimal("9.40")


def test_a_flood_of_accepts_without_a_call_leaves_nothing_reserved_r_27(world: World) -> None:
    charging = world.charging()
    flood = [request(f"call-{number % 10}") for number in range(100)]
    for asked in flood:
        charging.handle([asked], NOON)
    held = world.state().balances[ALICE]
    world.sweep().run(at(7200 + 61))
    after = world.state().balances[ALICE]
    audit(world.state())

    assert 0 < held.reserved <= 10
    assert (after.live, after.reserved, after.in_use) == (10, 0, 0)


OFF = [
    3600,
    -3600,
    YEAR,
    -YEAR,
    (datetime.fromisoformat("1970-01-01T00:00:00Z") - NOON).total_seconds(),
    50 * YEAR,
]


@pytest.mark.parametrize("seconds", OFF, ids=["+1 h", "-1 h", "+1 y", "-1 y", "1970", "+50 y"])
def test_a_switch_whose_clock_is_wrong_is_charged_by_its_session_time_r_30(
    world: World, seconds: float
) -> None:
    charging = world.charging()
    off = timedelta(seconds=seconds)
    told(charging, request(), start(event_at=NOON + off), now=NOON)
    ended = stop(60, event_at=at(60) + off)
    told(charging, ended, ended, now=at(60))
    told(charging, ended, now=at(300))
    audit(world.state())

    assert world.state().live(ALICE) == Decimal("9.40")
    assert [xdr.duration_seconds for xdr in world.state().xdrs] == [60]


@pytest.mark.parametrize("arrives", [1200, 3000])
@pytest.mark.parametrize("seconds", [0, *OFF], ids=str)
def test_a_stop_after_silence_is_of_the_same_call_whatever_its_clock_says_r_07_r_30(
    world: World, seconds: float, arrives: float
) -> None:
    charging = world.charging()
    off = timedelta(seconds=seconds)
    asked = told(
        charging, request(), start(event_at=NOON + off), interim(900, event_at=at(900) + off), now=NOON
    )
    world.sweep().run(at(1100))
    silent = world.state().sessions[request().leg_key, 0]
    told(charging, stop(1200, event_at=at(1200) + off), now=at(arrives))
    audit(world.state())

    assert isinstance(asked, Recorded)
    assert (silent.state, silent.estimated) == (Phase.CLOSED, True)
    assert world.state().live(ALICE) == Decimal(-2)
    assert len(world.state().last_xdrs()) == 1


def test_an_interim_told_backwards_after_silence_is_of_the_same_call_r_04_r_07(world: World) -> None:
    charging = world.charging()
    told(charging, request(), start(event_at=NOON), now=NOON)
    world.sweep().run(at(1100))
    told(charging, interim(15, event_at=at(1300)), now=at(1300))
    told(charging, stop(1400, event_at=at(1400)), now=at(1400))
    audit(world.state())

    assert world.state().live(ALICE) == Decimal(-4)
    assert len(world.state().last_xdrs()) == 1


@pytest.mark.parametrize("step", [3600, -3600], ids=["forward", "back"])
def test_our_own_clock_may_step_during_a_call_r_31(world: World, step: float) -> None:
    charging = world.charging()
    accepted = told(charging, request(), now=NOON)
    told(charging, start(), now=at(5))
    told(charging, interim(30), now=at(35 + step))
    ended = told(charging, stop(60), now=at(65 + step))
    audit(world.state())

    assert isinstance(accepted, Authorized)
    assert (ended.charged, ended.xdr.duration_seconds) == (Decimal("0.60"), 60)
    assert world.state().balances[ALICE].reserved == 0


def test_a_start_that_comes_again_after_our_clock_was_set_back_is_of_the_same_call_r_31(world: World) -> None:
    charging = world.charging()
    told(charging, request(), now=NOON)
    told(charging, stop(60), now=at(65 - 3600))
    again = told(charging, start(), stop(60), now=at(70))
    audit(world.state())

    assert again.is_duplicate
    assert world.state().live(ALICE) == Decimal("9.40")


def test_a_price_that_changes_during_the_call_is_not_its_price_r_32(world: World) -> None:
    definitions = catalogue()
    charging = Charging(world.new_storage(), definitions, Limits())
    told(charging, request(), start(event_at=NOON), now=NOON)
    definitions.put_rate_table(rate_table(1, "Sold", "USD", [replace(SOLD, price_per_minute=Decimal(6))]))
    ended = told(charging, stop(60, event_at=at(60)), now=at(60))
    audit(world.state())

    assert ended.charged == Decimal("0.60")


def test_a_rate_that_is_gone_at_the_stop_keeps_the_record_and_charges_nobody_r_33(world: World) -> None:
    definitions = catalogue()
    charging = Charging(world.new_storage(), definitions, Limits())
    told(charging, start(event_at=NOON), now=NOON)
    definitions.put_rate_table(rate_table(1, "Sold", "USD", []))
    ended = told(charging, stop(60, event_at=at(60)), now=at(60))
    again = told(charging, stop(60, event_at=at(60)), now=at(61))
    audit(world.state())

    assert isinstance(ended, Recorded)
    assert (ended.xdr.state, ended.xdr.reason) == (XdrState.UNBILLABLE, Unbillable.NO_RATE)
    assert (ended.charged, again.charged, again.is_duplicate) == (0, 0, True)


def test_a_sweep_that_is_run_again_or_twice_at_once_closes_nothing_twice_r_34(postgres: World) -> None:
    told(postgres.charging(), request(), start(event_at=NOON), interim(30, event_at=at(30)), now=at(30))
    for _ in range(2):
        sweeps = [postgres.sweep(OnSilence.CHARGE_GRANTED) for _ in range(2)]
        all_at_once(*(lambda sweep=sweep: sweep.run(at(8000)) for sweep in sweeps))
    audit(postgres.state())

    assert len(postgres.state().xdrs) == 1


def test_a_call_that_was_refused_for_money_costs_and_holds_nothing_r_28(world: World) -> None:
    charging = world.charging()
    outcomes = charging.handle([request(f"call-{number}") for number in range(5)], NOON)
    charging.handle([failed("call-0")], at(1))
    audit(world.state())

    assert [type(outcome) for outcome in outcomes] == [Authorized] + [Denied] * 4
    assert world.state().balances[ALICE].reserved == 0


def test_an_interim_alone_opens_the_leg_at_its_implied_start_r_06(world: World) -> None:
    charging = world.charging()
    told(charging, report(Kind.INTERIM, session_seconds=30, event_at=at(30)), now=at(30))
    (implied,) = world.state().sessions.values()
    told(charging, stop(60, event_at=at(60)), now=at(60))
    audit(world.state())

    assert (implied.opened_at, implied.state) == (NOON, Phase.ACTIVE)
    assert world.state().live(ALICE) == Decimal("9.40")


SLOW = timedelta(minutes=-10)


def test_a_reused_name_of_a_switch_with_a_slow_clock_is_charged_as_another_call_r_09_r_30(
    world: World,
) -> None:
    charging = world.charging()
    told(charging, request(), now=NOON)
    told(charging, start(event_at=NOON + SLOW), now=at(1))
    told(charging, stop(60, event_at=at(60) + SLOW), now=at(60))
    told(charging, request(), now=at(900))
    told(charging, start(event_at=at(905) + SLOW), now=at(905))
    told(charging, stop(60, event_at=at(965) + SLOW), now=at(965))
    # The first call's Stop comes again, late: it is known by the switch's own dates.
    told(charging, stop(60, event_at=at(60) + SLOW), now=at(970))
    audit(world.state())

    assert world.state().live(ALICE) == Decimal("8.80")
    assert len(world.state().last_xdrs()) == 2


def test_a_reused_name_of_which_no_date_was_told_before_is_charged_with_a_slow_clock_r_09_r_30(
    world: World,
) -> None:
    charging = world.charging()
    told(charging, request(), now=NOON)
    told(charging, interim(30, event_at=at(30) + SLOW), now=at(30))
    world.sweep().run(at(1_000_000))
    told(charging, request(), now=at(1_000_000))
    told(charging, stop(60, event_at=at(1_000_060) + SLOW), now=at(1_000_060))
    audit(world.state())

    assert [xdr.duration_seconds for xdr in world.state().last_xdrs().values()] == [30, 60]


def test_a_stop_without_a_date_is_kept_though_our_clock_was_set_back_r_09_r_31(world: World) -> None:
    charging = world.charging()
    told(charging, request(), stop(30), now=NOON)
    told(charging, request(), now=at(9000))
    told(charging, start(), now=at(9005))
    told(charging, interim(30), now=at(9035 - 3600))
    told(charging, stop(60), now=at(9065 - 3600))
    audit(world.state())

    assert [xdr.duration_seconds for xdr in world.state().last_xdrs().values()] == [30, 60]


def test_a_call_that_is_asked_about_again_after_its_release_is_no_other_call_r_27_r_30(world: World) -> None:
    charging = world.charging()
    told(charging, request(), now=NOON)
    world.sweep().run(at(8000))
    told(charging, request(), now=at(8001))
    told(charging, start(event_at=at(8005) + SLOW), now=at(8005))
    told(charging, stop(60, event_at=at(8065) + SLOW), now=at(8065))
    audit(world.state())

    assert world.state().live(ALICE) == Decimal("9.40")
