"""Refusals end when they are as old as they are kept for: no sooner, and never many in one transaction."""

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from postgres import connect

from billing_core.storage import connection as bounded
from billing_core.storage.ageing import remove_refusals
from radiusd import ageing, clock

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def refused(migrated_url: str) -> str:
    """Give a database with ten refusals, a day apart; the newest is of now."""
    with connect(migrated_url) as connection, connection.cursor() as cursor:
        for days in range(10):
            cursor.execute(
                "INSERT INTO decision (at, nas, leg_key, call_id, session_id, calling, called, reason, facts)"
                " VALUES (%s, 'gw', '', %s, '', '', '', 'no_money', '')",
                (NOW - timedelta(days=days), f"call-{days}"),
            )
    return migrated_url


def left(url: str) -> list[int]:
    """Return how many days old the refusals are that are left."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT call_id FROM decision ORDER BY at DESC")
        return [int(call_id.removeprefix("call-")) for (call_id,) in cursor.fetchall()]


def test_refusals_go_the_oldest_first_a_few_at_a_time_and_none_too_soon(refused: str) -> None:
    with closing(bounded.connect(refused, application="test")) as connection:
        before = NOW - timedelta(days=4)
        gone = [remove_refusals(connection, before, at_once=3)]
        remained = left(refused)
        gone += [remove_refusals(connection, before, at_once=3) for _ in range(2)]

    assert remained == [0, 1, 2, 3, 4, 5, 6]
    assert gone == [3, 2, 0]
    assert left(refused) == [0, 1, 2, 3, 4], "one of just that age is kept"


def test_a_refusal_that_somebody_holds_is_left_for_the_next_time(refused: str) -> None:
    with (
        closing(connect(refused)) as holder,
        holder.cursor() as cursor,
        closing(bounded.connect(refused, application="test")) as connection,
    ):
        cursor.execute("SELECT 1 FROM decision WHERE call_id = 'call-8' FOR UPDATE")
        gone = remove_refusals(connection, NOW - timedelta(days=6))

    assert gone == 2
    assert left(refused) == [0, 1, 2, 3, 4, 5, 6, 8]


def test_the_supervisor_removes_all_that_are_too_old_and_ends_when_it_stops(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    monkeypatch.setattr(ageing, "AT_ONCE", 3)
    monkeypatch.setattr(
        ageing, "remove_refusals", lambda connection, before: remove_refusals(connection, before, at_once=3)
    )
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(ageing, "_PAUSE_SECONDS", 0.0)
    thread = threading.Thread(target=ageing.remove_old, args=[refused, lambda: 2, stopping])
    thread.start()
    try:
        for _ in range(200):
            if left(refused) == [0, 1, 2]:
                break
            stopping.wait(0.05)
    finally:
        stopping.set()
        thread.join(10)

    assert left(refused) == [0, 1, 2]
    assert not thread.is_alive()
