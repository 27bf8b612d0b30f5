"""What is answered but charges nothing: records of unknown kinds, authentication, Starts before an answer."""

import json
from contextlib import closing

from calls import ALICE, ALICE_ACCOUNT, NOON, Password, at, request, start, stop
from memory import MemoryStorage
from postgres import connect
from worlds import World, audit, catalogue, postgres_world

from billing_core.authorization import Authenticated, Denied
from billing_core.charging import Charging, Recorded
from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.ports import UnknownRecord
from billing_core.storage.postgres import PostgresStorage
from billing_core.xdr import Unbillable

TUNNEL = UnknownRecord("gw", "gw-1", NOON, 9, "tunnel", json.dumps([["User-Name", "a\x00'\u20ac"]]))
HUGE = UnknownRecord("gw", "gw-1", at(1), 2**32 - 1, "", "[]")


def test_records_of_unknown_kinds_are_kept_as_they_came(migrated_url: str) -> None:
    opened: list[PostgresStorage] = []
    charging = postgres_world(migrated_url, opened).charging()

    outcomes = charging.handle([TUNNEL, HUGE, TUNNEL], NOON)

    for storage in opened:
        storage.close()
    with closing(connect(migrated_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT nas, nas_box, at, status, session_id, attributes FROM unknown_record ORDER BY id"
        )
        kept = [UnknownRecord(*row) for row in cursor.fetchall()]
    assert outcomes == [Recorded()] * 3
    assert kept == [TUNNEL, HUGE, TUNNEL]


def test_the_memory_keeps_the_same() -> None:
    storage = MemoryStorage()

    Charging(storage, catalogue(), Limits()).handle([TUNNEL, HUGE], NOON)

    assert storage.unknown_records == [TUNNEL, HUGE]


def test_a_record_of_an_unknown_kind_charges_nothing(world: World) -> None:
    before = world.state()

    world.charging().handle([TUNNEL], NOON)

    assert world.state() == before


def test_authentication_reserves_nothing_and_takes_no_place(world: World) -> None:
    before = world.state()

    [outcome] = world.charging().handle([request(called="", authentication_only=True)], NOON)

    assert outcome == Authenticated(ALICE, ALICE_ACCOUNT, before.live(ALICE.id))
    assert world.state() == before


def test_authentication_that_fails_is_denied_and_explained(world: World) -> None:
    asked = request(called="", authentication_only=True, credential=Password("wrong"))

    [outcome] = world.charging().handle([asked], NOON)

    assert isinstance(outcome, Denied)
    assert [refusal.reason for refusal in world.state().refusals] == [Denial.BAD_PASSWORD]
    audit(world.state())


def test_a_card_is_asked_about_twice_and_the_call_charged_once(world: World) -> None:
    charging = world.charging()

    charging.handle([request(called="", authentication_only=True)], NOON)
    charging.handle([request()], at(5))
    charging.handle([start(event_at=at(8)), stop(60, event_at=at(68))], at(68))

    state = world.state()
    assert len(state.sessions) == len(state.xdrs) == 1
    audit(state)


def test_the_time_between_a_start_before_the_answer_and_the_stop_is_no_duration(world: World) -> None:
    early = start(event_at=NOON, setup_at=NOON, is_before_answer=True)

    world.charging().handle([early, stop(None, event_at=at(90))], at(90))

    [xdr] = world.state().xdrs
    assert (xdr.duration_seconds, xdr.reason) == (None, Unbillable.NO_DURATION)


def test_the_time_between_a_start_at_the_answer_and_the_stop_is_one(world: World) -> None:
    world.charging().handle([start(event_at=NOON), stop(None, event_at=at(90))], at(90))

    [xdr] = world.state().xdrs
    assert (xdr.duration_seconds, xdr.reason) == (90, None)
