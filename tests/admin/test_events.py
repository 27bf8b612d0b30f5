"""`billing events`: what happened, in order of time, by kind, client and period."""

from datetime import timedelta
from typing import Any

import pytest
from billing_command import Billing
from calls import NOON, request, start
from traffic import define, handle, place

from billing_core.admin.calls.events import EventKind
from billing_core.admin.command_line.events import EVENT_KINDS

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
    billing("block", "add", "account", "alice", "--reason", "fraud")
    billing("block", "add", "client", "Vendor", "--expires", "2099-01-01")
    billing("block", "add", "number", "4420")
    billing("block", "remove", "number", "4420")
    return billing


def events(billing: Billing, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = billing("events", *options, "--json").document
    return found


def told(billing: Billing, *options: str) -> list[tuple[str | None, str]]:
    return [(item["client"], item["text"]) for item in events(billing, *options)]


def test_the_command_line_knows_every_kind() -> None:
    assert tuple(EventKind) == EVENT_KINDS


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

    [event] = events(eventful, "--kind", "disconnected")
    [shown] = events(eventful, "--kind", "disconnected", "--show-numbers")
    assert (event["facts"]["called"], shown["facts"]["called"]) == ("44207123****", "442071234567")


def test_an_unknown_client_is_told(eventful: Billing) -> None:
    result = eventful("events", "--client", "Alice")

    assert (result.code, result.out) == (1, "")
    assert 'client "Alice" is not known' in result.err
