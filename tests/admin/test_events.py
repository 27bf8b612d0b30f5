"""`billing events`: what happened, in order of time, by kind, client and period."""

from datetime import timedelta
from typing import Any

import pytest
from billing_command import Billing
from calls import NOON, request, start
from traffic import define, handle, place

from billing_core.admin.calls.event_texts import EventKind
from billing_core.admin.command_line.events import EVENT_KINDS
from billing_core.call_event import CallEvent, CallEventKind
from billing_core.ports import Changes
from billing_core.storage.postgres import PostgresStorage

ALICE = "Alice Telecom"


@pytest.fixture
def eventful(billing: Billing) -> Billing:
    """Give a month in which everything happened once: calls at noon, all else now."""
    define(billing)
    place(billing)
    handle(billing, request("ended"), start("ended"))
    billing.sql(
        "INSERT INTO disconnect (leg_key, generation, nas, reason, asked_at, next_at, attempts, outcome)"
        " SELECT leg_key, generation, 'gw', 'no_money', :at, :at, 1, 'acknowledged'"
        " FROM session WHERE call_id = 'ended'",
        at=NOON + timedelta(minutes=5),
    )
    billing.sql(
        "INSERT INTO event (at, kind, client_id, facts) VALUES (:at, 'low_balance', 1, :facts)",
        at=NOON + timedelta(minutes=6),
        facts='{"notify": "admin", "client": "Alice Telecom", "currency": "USD", "value": "5",'
        ' "available": "4.39", "live": "4.39", "credit": "0"}',
    )
    for kind in CallEventKind:
        seconds = {"seconds": 90, "granted_seconds": 60, "told_seconds": 80}
        facts = {"called": "442071234567", "leg_called": "49", **seconds}
        tell(billing, CallEvent(NOON + timedelta(minutes=7), kind, "gw", 1, "odd", "", facts))
    billing("block", "add", "account", "alice", "--reason", "fraud")
    billing("block", "add", "client", "Vendor", "--expires", "2099-01-01")
    billing("block", "add", "number", "4420")
    billing("block", "remove", "number", "4420")
    return billing


def tell(billing: Billing, *told: CallEvent) -> None:
    storage = PostgresStorage(billing.url, "test")
    with storage.turn() as turn:
        turn.record(Changes(events=list(told)))
    storage.close()


def events(billing: Billing, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = billing("events", *options, "--json").document
    return found


def told(billing: Billing, *options: str) -> list[tuple[str | None, str]]:
    return [(item["client"], item["text"]) for item in events(billing, *options)]


def test_the_command_line_knows_every_kind() -> None:
    assert tuple(EventKind) == EVENT_KINDS
    assert set(CallEventKind) < set(EVENT_KINDS)


def test_each_kind_is_told_with_its_client(eventful: Billing) -> None:
    who = eventful.sql("SELECT DISTINCT who FROM block")[0][0]
    blocked = told(eventful, "--kind", "blocked")

    assert blocked == [
        (ALICE, f"account alice is blocked until removed by {who}: fraud"),
        ("Vendor", f"client Vendor is blocked until 2099-01-01T00:00:00Z by {who}"),
        (None, f"number 4420 is blocked until removed by {who}"),
    ]
    assert told(eventful, "--kind", "unbillable") == [
        (None, "origination stranger from 5 to 442071234567 could not be charged: no_account")
    ]
    assert told(eventful, "--kind", "disconnected") == [
        (ALICE, "gw was asked to end ended: no_money; acknowledged")
    ]
    assert told(eventful, "--kind", "low_balance") == [
        (ALICE, "available 4.39 USD is below 5; the admin is told")
    ]
    configuration = told(eventful, "--kind", "configuration", "--client", ALICE)
    assert (ALICE, f"client {ALICE}: new by {who} through apply") in [
        (client, text.partition(" billing")[0].partition(" /")[0]) for client, text in configuration
    ]


CALLS = {
    "another_dialog": "a record is of another dialog that nobody asked for, to 442071234567",
    "another_number": "a record names 442071234567, which nobody asked for",
    "guessed_leg": "nothing tells which leg a record is of, so the dearest took it",
    "number_differs": "a record names 442071234567, and 49 was asked for",
    "failed_after_answer": "it was answered and is reported as failed; it goes on",
    "late_start": "it began after its money and place had been given back",
    "overrun": "90 s are longer than it can have lasted; charge or waive it",
    "over_grant": "it lasted 90 s, was granted 60 s, and is charged",
    "contradictory_time": "a record contradicts itself on how long it lasted",
    "after_decision": "90 s were decided, a record tells 80 s by now",
}


@pytest.mark.parametrize("kind", CallEventKind)
def test_what_is_odd_about_a_call_is_told_with_its_client_switch_and_name(
    eventful: Billing, kind: CallEventKind
) -> None:
    assert told(eventful, "--kind", kind.value) == [(ALICE, f"gw, call odd: {CALLS[kind]}")]


def test_events_of_calls_beyond_the_tenth_of_a_minute_are_one_with_a_count(eventful: Billing) -> None:
    odd = CallEvent(NOON + timedelta(days=1), CallEventKind.GUESSED_LEG, "gw", None, "", "")
    tell(eventful, *[odd] * 35)

    whole = events(eventful, "--kind", "guessed_leg", "--since", "2026-03-03")
    found = [(item["client"], item["facts"]["count"]) for item in whole]
    assert found == [*[(None, 1)] * 10, (None, 25)]
    assert whole[-1]["text"] == (
        "gw, call without a name: nothing tells which leg a record is of, so the dearest took it;"
        " the first of 25 within a minute"
    )


def test_a_block_is_one_event_and_its_removal_another(eventful: Billing) -> None:
    about = [text for _, text in told(eventful) if "number 4420" in text]

    assert len(about) == 2
    assert about[0].startswith("number 4420 is blocked")
    assert about[1].startswith("block number 4420: removed none -> true")


def test_events_come_in_order_of_time_and_a_limit_leaves_the_newest(eventful: Billing) -> None:
    whole = events(eventful)

    assert [item["at"] for item in whole] == sorted(item["at"] for item in whole)
    assert {item["kind"] for item in whole} == set(EVENT_KINDS)
    assert events(eventful, "--limit", "5") == whole[-5:]
    assert len(whole) > 20


def test_a_period_and_a_client_narrow_every_kind(eventful: Billing) -> None:
    whole = events(eventful)

    assert events(eventful, "--to", "2026-03-03") == [item for item in whole if item["at"] < "2026-03-03"]
    assert events(eventful, "--since", "2026-03-03") == [item for item in whole if item["at"] >= "2026-03-03"]
    assert events(eventful, "--client", ALICE) == [item for item in whole if item["client"] == ALICE]
    assert events(eventful, "--client", ALICE, "--kind", "blocked", "--limit", "3") == [
        item for item in whole if item["client"] == ALICE and item["kind"] == "blocked"
    ]


def test_only_the_last_revision_of_an_unbillable_record_counts(eventful: Billing) -> None:
    columns = "leg_key, generation, nas, leg, call_id, session_id, calling, called, disconnect_at, dated_at"
    rest = "billed_seconds, amount, recorded_at"
    eventful.sql(
        f"INSERT INTO xdr ({columns}, {rest}, revision, state) SELECT {columns}, {rest}, 2, 'rated'"  # noqa: S608
        " FROM xdr WHERE state = 'unbillable'"
    )

    assert events(eventful, "--kind", "unbillable") == []


def test_hidden_numbers_stay_hidden(eventful: Billing) -> None:
    eventful.sql("UPDATE client SET hidden_numbers = true")

    for kind in ("disconnected", "number_differs"):
        [event] = events(eventful, "--kind", kind)
        [shown] = events(eventful, "--kind", kind, "--show-numbers")
        assert (event["facts"]["called"], shown["facts"]["called"]) == ("44207123****", "442071234567")
    assert "442071234567" not in event["text"]
    assert event["facts"]["leg_called"] == "**"


def test_an_unknown_client_is_told(eventful: Billing) -> None:
    result = eventful("events", "--client", "Alice")

    assert (result.code, result.out) == (1, "")
    assert 'client "Alice" is not known' in result.err
