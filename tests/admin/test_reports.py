"""`billing xdrs`, `calls`, `quote` and `clients`: what people and scripts see of calls and money."""

import json
from datetime import timedelta

import pytest
from billing_command import Billing
from calls import NOON, stop
from traffic import define, handle, place

XDR_FIELDS = {
    "client",
    "account",
    "leg",
    "call_id",
    "session_id",
    "code",
    "destination",
    "setup_at",
    "connect_at",
    "disconnect_at",
    "duration_seconds",
    "billed_seconds",
    "amount",
    "currency",
    "state",
    "disconnect_cause",
}


@pytest.fixture
def busy(billing: Billing) -> Billing:
    define(billing)
    place(billing)
    return billing


def test_xdrs_have_every_field_of_the_contract(busy: Billing) -> None:
    documents = busy("xdrs", "--json").document

    assert len(documents) == 4
    assert all(item.keys() >= XDR_FIELDS for item in documents)
    [done] = [item for item in documents if item["call_id"] == "done" and item["leg"] == "origination"]
    assert (done["client"], done["leg"], done["code"]) == ("Alice Telecom", "origination", "44")
    assert (done["amount"], done["currency"], done["state"]) == ("0.610000", "USD", "rated")
    assert (done["duration_seconds"], done["billed_seconds"]) == (61, 61)
    assert done["dated_at"] == "2026-03-02T12:01:10Z"


def test_a_vendor_leg_names_the_vendor_and_a_positive_amount(busy: Billing) -> None:
    [found] = busy("xdrs", "--client", "Vendor", "--json").document

    assert (found["account"], found["leg"], found["amount"]) == ("203.0.113.20", "termination", "0.300000")


def test_unbillable_records_are_listed_with_their_reason(busy: Billing) -> None:
    [found] = busy("xdrs", "--unbillable", "--json").document

    assert (found["call_id"], found["state"], found["reason"]) == ("stranger", "unbillable", "no_account")
    assert (found["client"], found["account"], found["amount"]) == (None, None, "0")


def test_only_the_last_revision_of_a_leg_is_listed(busy: Billing) -> None:
    handle(busy, stop(65, "done"), now=NOON + timedelta(seconds=75))

    found = busy("xdrs", "--call", "done", "--client", "Alice Telecom", "--json").document

    assert [(item["amount"], item["revision"]) for item in found] == [("0.650000", 2)]


def test_a_limit_leaves_the_newest_in_order_of_their_dates(busy: Billing) -> None:
    handle(busy, stop(1, "later"), now=NOON + timedelta(seconds=500))

    dates = [item["dated_at"] for item in busy("xdrs", "--json").document]
    limited = [item["dated_at"] for item in busy("xdrs", "--limit", "2", "--json").document]

    assert dates == sorted(dates)
    assert limited == dates[-2:]


def test_since_leaves_out_earlier_records(busy: Billing) -> None:
    assert busy("xdrs", "--since", "2026-03-02T12:01:11Z", "--json").document == []
    assert len(busy("xdrs", "--since", "2026-03-02", "--json").document) == 4


def test_an_unknown_client_is_not_an_empty_list(busy: Billing) -> None:
    result = busy("xdrs", "--client", "Nobody", "--json")

    assert (result.code, result.out) == (1, "")
    assert 'client "Nobody" is not known' in result.err


def test_calls_lists_what_is_under_way(busy: Billing) -> None:
    found = {(item["call_id"], item["leg"]): item for item in busy("calls", "--json").document}

    assert found.keys() == {
        ("under way", "origination"),
        ("under way", "termination"),
        ("accepted", "origination"),
    }
    accepted = found["accepted", "origination"]
    assert (accepted["client"], accepted["account"], accepted["state"]) == (
        "Alice Telecom",
        "alice",
        "reserved",
    )
    assert accepted["credit_time_seconds"] > 0
    assert found["under way", "origination"]["state"] == "active"


def test_a_client_shows_his_capacity_in_use_and_reserved_money(busy: Billing) -> None:
    alice = busy("clients", "show", "Alice Telecom", "--json").document
    vendor = busy("clients", "show", "Vendor", "--json").document

    assert alice["capacity"] == {"limit": None, "in_use": 2}
    assert alice["balance"]["live"] == "-0.810000"
    assert alice["balance"]["available"] == "99.190000"
    assert alice["balance"]["reserved"] != "0"
    assert vendor["term_capacity"] == {"limit": None, "in_use": 1}
    assert vendor["balance"]["available"] is None, "postpaid has no limit"


def test_clients_are_listed_by_name(busy: Billing) -> None:
    found = busy("clients", "list", "--json").document

    assert [(item["name"], item["reseller"]) for item in found] == [
        ("Alice Telecom", "Low"),
        ("Vendor", None),
    ]
    assert "Alice Telecom" in busy("clients", "list").out


def test_an_empty_list_is_still_one_document(billing: Billing) -> None:
    assert billing("clients", "list", "--json").document == []
    assert billing("xdrs", "--json").document == []


@pytest.mark.parametrize(
    "command",
    [
        ["clients", "list"],
        ["clients", "show", "Vendor"],
        ["xdrs"],
        ["calls"],
        ["verify"],
        ["quote", "--account", "alice", "--to", "442071234567"],
        ["rates", "lookup", "Sold", "442071234567"],
        ["payment", "Vendor", "5"],
    ],
)
def test_json_is_exactly_one_document_wherever_it_is_asked_for(busy: Billing, command: list[str]) -> None:
    before, behind, words = busy("--json", *command), busy(*command, "--json"), busy(*command)

    for result in (before, behind):
        assert (result.code, result.err) == (0, "")
        json.loads(result.out)
    assert words.code == 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(words.out)


def test_texts_of_strangers_cannot_steer_the_terminal(busy: Billing) -> None:
    busy.sql("UPDATE session SET called = E'44\\x1b[2J[red]' WHERE call_id = 'accepted'")

    out = busy("calls").out

    assert "\x1b" not in out
    assert "44\\x1b[2J[red]" in out


def test_a_quote_tells_time_and_cost_as_a_call_would_get_them(busy: Billing) -> None:
    reserved = busy.sql("SELECT reserved FROM balance ORDER BY client_id")
    busy("payment", "Alice Telecom", "50")

    answer = busy("quote", "--account", "alice", "--to", "+44207", "--seconds", "61", "--json").document

    assert (answer["client"], answer["authorized"], answer["denial"]) == ("Alice Telecom", True, None)
    assert answer["credit_time_seconds"] == 5000, "50 at a cent a second; the rest is reserved"
    assert (answer["cost"], answer["billed_seconds"], answer["rate"]["code"]) == ("0.610000", 61, "44")
    assert busy.sql("SELECT reserved FROM balance ORDER BY client_id") == reserved, "a quote reserves nothing"


def test_a_quote_tells_why_a_call_would_be_denied(busy: Billing) -> None:
    no_rate = busy("quote", "--account", "alice", "--to", "7095", "--json").document
    busy.apply('[[client]]\nname = "Alice Telecom"\ncapacity = 2\n')
    full = busy("quote", "--account", "alice", "--to", "4420", "--json").document
    off = busy("quote", "--account", "203.0.113.20", "--to", "4420", "--json").document

    assert (no_rate["authorized"], no_rate["denial"]) == (False, "no_rate")
    assert (full["denial"], full["credit_time_seconds"]) == ("capacity_client", None)
    assert off["denial"] == "account_off"


def test_a_quote_obeys_the_longest_call_of_the_configuration(busy: Billing) -> None:
    with (busy.directory / "radiusd.toml").open("a", encoding="utf-8") as config:
        config.write("[limits]\nmax_call_seconds = 60\n[radius]\nunknown = 1\n")
    busy("payment", "Alice Telecom", "50")

    answer = busy("quote", "--account", "alice", "--to", "4420", "--json").document

    assert answer["credit_time_seconds"] == 60


def test_a_quote_for_an_unknown_account_fails(busy: Billing) -> None:
    result = busy("quote", "--account", "bob", "--to", "4420")

    assert result.code == 1
    assert 'account "bob" is not known' in result.err
