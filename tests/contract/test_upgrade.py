"""Calls under way outlive a new version of the program, and what had ended is known when it is repeated."""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest
from alembic import command
from alembic.config import Config
from calls import NOON, at, start, stop
from postgres import connect
from worlds import World, audit, postgres_world

from billing_core.charging import Charging
from billing_core.session import Leg, LegId, State, leg_key
from billing_core.storage.postgres import PostgresStorage
from billing_core.storage.schema import MIGRATIONS, engine, upgrade

BEFORE = "0011"
"""The version in which a call id had one leg at a time."""

_SESSION = """
    INSERT INTO session (leg_key, generation, state, client_id, account_id, nas, nas_box, leg, call_id,
        session_id, calling, called, opened_at, look_at, last_heard_at, currency, code, destination,
        price_per_minute, setup_fee, min_volume_seconds, interval_seconds, grace_seconds, authorized_at,
        credit_time_seconds, reserved_seconds, reserved, posted, revision, closed_at, estimated,
        start_event_at, stop_event_at, known_seconds, stop_seconds, stopped, failed)
    VALUES (%(key)s, 0, %(state)s, 1, 10, 'gw', %(box)s, 'origination', %(call)s, %(session)s, '1222333',
        '442071234567', %(noon)s, %(noon)s::timestamptz + interval '400 seconds', %(noon)s, 'USD', '44',
        'Anywhere', 0.60, 0, 1, 1, 0, %(noon)s, 300, 300, %(reserved)s, %(posted)s, %(revision)s,
        %(closed_at)s, false, %(started_at)s, %(closed_at)s, 0, %(seconds)s, %(stopped)s, false)"""

_XDR = """
    INSERT INTO xdr (leg_key, generation, revision, client_id, account_id, nas, leg, call_id, session_id,
        calling, called, code, destination, disconnect_at, dated_at, duration_seconds, billed_seconds, amount,
        currency, state, recorded_at)
    VALUES (%(key)s, 0, 1, 1, 10, 'gw', 'origination', %(call)s, %(session)s, '1222333', '442071234567',
        '44', 'Anywhere', %(closed_at)s, %(closed_at)s, 60, 60, 0.60, 'USD', 'rated', %(closed_at)s)"""

_ENTRY = """
    INSERT INTO entry (client_id, kind, amount, at, leg_key, generation, revision)
    VALUES (1, 'charge', -0.60, %(closed_at)s, %(key)s, 0, 1)"""


def _put(url: str, call: str, state: State) -> None:
    """Write a call of the version before: accepted, talking, or ended after a minute."""
    ended = state is State.CLOSED
    values = {
        "key": leg_key("gw", call, Leg.ORIGINATION),
        "state": state.value,
        "box": "192.0.2.7",
        "call": call,
        "session": f"session of {call}",
        "noon": NOON,
        "reserved": Decimal(0) if ended else Decimal(3),
        "posted": Decimal("0.60") if ended else Decimal(0),
        "revision": int(ended),
        "closed_at": at(65) if ended else None,
        "started_at": None if state is State.RESERVED else at(5),
        "seconds": 60 if ended else None,
        "stopped": ended,
    }
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_SESSION, values)
        if ended:
            cursor.execute(_XDR, values)
            cursor.execute(_ENTRY, values)
        sums = "live = live - %(posted)s, reserved = reserved + %(reserved)s, in_use = in_use + %(places)s"
        cursor.execute(
            f"UPDATE balance SET {sums} WHERE client_id = 1",  # noqa: S608 - of the constant above
            {**values, "places": int(state.is_open)},
        )


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Give a world whose calls began under the version before."""
    configuration, database = Config(), engine(database_url)
    configuration.set_main_option("script_location", str(MIGRATIONS))
    with database.connect() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, BEFORE)
        connection.commit()
    database.dispose()
    opened: list[PostgresStorage] = []
    found = postgres_world(database_url, opened)
    for call, state in (("asked", State.RESERVED), ("talks", State.ACTIVE), ("ended", State.CLOSED)):
        _put(database_url, call, state)
    upgrade(database_url)
    yield found
    for storage in opened:
        storage.close()


def _money(world: World) -> tuple[Decimal, Decimal, int]:
    balance = world.state().balances[1]
    return balance.live, balance.reserved, balance.in_use


def _legs(world: World) -> set[LegId]:
    return set(world.state().sessions)


@pytest.fixture
def charging(world: World) -> Charging:
    return world.charging()


def test_calls_under_way_go_on_and_are_charged_once(world, charging):
    audit(world.state())
    before, legs = _money(world), _legs(world)
    charging.handle([start("asked", event_at=at(80))], at(80))
    charging.handle([stop(60, "talks", event_at=at(100)), stop(30, "asked", event_at=at(110))], at(110))

    assert before == (Decimal("9.40"), Decimal(6), 2)
    assert _money(world) == (Decimal("8.50"), Decimal(0), 0)
    assert _legs(world) == legs
    audit(world.state())


@pytest.mark.parametrize("sent_at", [70, 4000, 30 * 86_400])
def test_a_stop_of_a_call_that_had_ended_is_known_when_it_comes_again(world, charging, sent_at):
    (again,) = charging.handle([stop(60, "ended", event_at=at(sent_at))], at(sent_at))

    assert again.is_duplicate
    assert _money(world) == (Decimal("9.40"), Decimal(6), 2)


def test_a_class_of_the_version_before_names_its_leg(world, charging):
    linked = leg_key("gw", "talks", Leg.ORIGINATION), None
    own = {"session_id": "session of talks", "called": "4470"}
    told = stop(60, "another name", event_at=at(100), linked=linked, **own)
    charging.handle([told], at(100))

    assert _money(world) == (Decimal("8.80"), Decimal(3), 1)


def test_a_device_that_begins_anew_ends_the_calls_that_it_had_before(world):
    session = world.state().sessions[leg_key("gw", "talks", Leg.ORIGINATION), 0]

    assert (session.nas_box, session.nas_address, session.facts.answered) == ("", "192.0.2.7", True)
