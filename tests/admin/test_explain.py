"""`billing explain`: from the stored record alone, why a call was accepted, how long, and what it cost."""

from datetime import timedelta
from typing import Any

import pytest
from billing_command import Billing
from calls import NOON, at, stop
from calls import request as asked
from traffic import define, handle, place

from billing_core.admin.calls.explanation import BOUNDS, DENIALS
from billing_core.denial import Denial


@pytest.fixture
def busy(billing: Billing) -> Billing:
    define(billing)
    place(billing)
    return billing


def explained(billing: Billing, call: str) -> Any:
    return billing("explain", call, "--json").document


def told(billing: Billing, call: str) -> str:
    result = billing("explain", call)
    assert (result.code, result.err) == (0, "")
    return result.out


def test_an_accepted_call_tells_account_rate_money_places_and_time(busy: Billing) -> None:
    [leg] = explained(busy, "under way")["legs"][:1]

    facts = leg["decision"]
    assert (leg["client"], leg["account"], facts["by"]) == ("Alice Telecom", "alice", "name")
    assert (facts["code"], facts["price"], facts["volume"]) == ("44", "0.6", [1, 1, 0])
    assert (facts["policy"], facts["live"], facts["credit"], facts["usable"]) == (
        "full",
        "-0.81",
        "100",
        "99.19",
    )
    assert facts["capacity"]["account"] == [10, 0]
    assert facts["capacity"]["client"] == [None, 0]
    assert facts["capacity"]["resellers"] == [["Top", 100, 0]]
    assert (facts["seconds"], facts["bound"], facts["set_aside"]) == (7200, "max_call_seconds", "72")


def test_an_accepted_call_is_told_in_sentences(busy: Billing) -> None:
    out = told(busy, "done")

    assert "gw: origination leg accepted; from 1222333 to 442071234567" in out
    assert "account: alice of client Alice Telecom, matched by name" in out
    assert "rate: code 44, without a first date, 0.6 a minute, setup 0, first 1 s, then every 1 s" in out
    assert "money in USD: live 0, credit 100, reserved 0, 100 usable; policy full" in out
    assert "reseller Top 0 under way of 100" in out
    assert "granted: 7200 s, the longest call that is ever granted" in out
    assert "charge: (0 + 0.60 x 61 / 60) = 0.610000 USD, rounded to 6 places, half up; code 44" in out


def test_all_legs_of_a_call_are_told(busy: Billing) -> None:
    legs = explained(busy, "done")["legs"]

    assert sorted(leg["leg"] for leg in legs) == ["origination", "termination"]
    assert {leg["client"] for leg in legs} == {"Alice Telecom", "Vendor"}
    assert "termination leg not authorized, known from its records" in told(busy, "done")


def test_every_revision_of_a_charge_is_told_in_order(busy: Billing) -> None:
    [leg] = explained(busy, "corrected")["legs"]

    assert [(item["revision"], item["amount"]) for item in leg["revisions"]] == [
        (1, "0.100000"),
        (2, "0.200000"),
    ]
    assert leg["heard"]["stop_seconds"] == 20
    assert "xdr 1: rated" in told(busy, "corrected")
    assert "xdr 2: rated" in told(busy, "corrected")


def test_money_that_other_calls_held_is_told_with_their_names(busy: Billing) -> None:
    busy("payment", "Alice Telecom", "50")
    handle(busy, asked("second"), now=NOON + timedelta(seconds=100))

    [leg] = explained(busy, "second")["legs"]

    assert leg["decision"]["reserved"] != "0"
    held = {holder["call_id"]: holder["set_aside"] for holder in leg["held_by_others"]}
    assert held.keys() == {"under way", "accepted"}
    assert held["under way"] == "72"
    assert sum(float(amount) for amount in held.values()) == float(leg["decision"]["reserved"])
    assert "money held by call under way: 72 from 2026-03-02T12:00:00Z to now" in told(busy, "second")


def test_a_call_that_ended_before_held_nothing(busy: Billing) -> None:
    busy("payment", "Alice Telecom", "50")
    handle(busy, asked("second"), now=NOON + timedelta(seconds=100))

    [leg] = explained(busy, "second")["legs"]

    assert "done" not in {holder["call_id"] for holder in leg["held_by_others"]}


def test_a_refusal_tells_what_was_missing(busy: Billing) -> None:
    busy("payment", "Alice Telecom", "-99.19")
    handle(busy, asked("too poor"), now=NOON + timedelta(seconds=100))

    [refusal] = explained(busy, "too poor")["refusals"]

    assert (refusal["reason"], refusal["decision"]["needed"]) == ("credit_limit", "0.01")
    assert (refusal["client"], refusal["account"], refusal["decision"]["code"]) == (
        "Alice Telecom",
        "alice",
        "44",
    )
    assert explained(busy, "too poor")["legs"] == []
    out = told(busy, "too poor")
    assert "refused, credit_limit: the credit is used up" in out
    assert "needed: the first interval costs 0.01 USD" in out
    assert "missing: 99.20 USD" in out


def test_a_stranger_is_told_by_what_he_asked_with(busy: Billing) -> None:
    handle(busy, asked("strange", name="mallory\x1b[2J"))

    [refusal] = explained(busy, "strange")["refusals"]

    assert (refusal["reason"], refusal["client"], refusal["account"]) == ("unknown_account", None, None)
    out = told(busy, "strange")
    assert "asked by: name mallory\\x1b[2J, ip 198.51.100.1, calling 1222333" in out
    assert "\x1b" not in out


def test_a_leg_of_nobody_tells_by_what_it_may_be_recognised_later(busy: Billing) -> None:
    [leg] = explained(busy, "stranger")["legs"]

    assert leg["decision"] == {"unrecognised": {"name": "nobody", "ip": "198.51.100.1"}}
    assert "nobody was found for: name nobody, ip 198.51.100.1" in told(busy, "stranger")
    assert "unbillable (no_account)" in told(busy, "stranger")


def test_refusals_and_legs_of_a_call_come_in_order_of_time(busy: Billing) -> None:
    busy("payment", "Alice Telecom", "50")
    handle(busy, asked("again", called="7095"), now=NOON + timedelta(seconds=100))
    handle(busy, asked("again"), now=NOON + timedelta(seconds=101))
    handle(busy, stop(1, "again"), now=NOON + timedelta(seconds=103))

    out = told(busy, "again")

    assert out.index("refused, no_rate") < out.index("origination leg accepted")


def test_a_call_is_found_by_session_id_and_by_leg_key(busy: Billing) -> None:
    [leg] = explained(busy, "corrected")["legs"]

    assert explained(busy, "session of corrected")["legs"] == [leg]
    assert explained(busy, leg["leg_key"])["legs"] == [leg]
    assert explained(busy, leg["leg_key"].upper())["legs"] == [leg]


def test_a_guid_is_found_however_it_is_grouped(busy: Billing) -> None:
    call = "0123456789abcdef0123456789abcdef"
    busy("payment", "Alice Telecom", "50")
    handle(busy, asked(call))

    grouped = "01234567 89ABCDEF 01234567 89ABCDEF"

    assert [leg["call_id"] for leg in explained(busy, grouped)["legs"]] == [call]


def test_an_unknown_call_is_a_clear_error(busy: Billing) -> None:
    result = busy("explain", "no such call", "--json")

    assert (result.code, result.out) == (1, "")
    assert 'call "no such call" is not known; give a call id' in result.err


def test_a_block_names_itself_in_the_refusal(busy: Billing) -> None:
    busy.sql(
        "INSERT INTO block (kind, value, reason, who, created_at)"
        " VALUES ('code', '+4420', 'fraud', 'test', '2026-01-01')"
    )
    busy.sql("UPDATE catalogue SET version = version + 1")
    handle(busy, asked("barred"))

    [refusal] = explained(busy, "barred")["refusals"]

    assert (refusal["reason"], refusal["decision"]["because"]) == ("blocked", "code +4420 is blocked: fraud")
    assert "because: code +4420 is blocked: fraud" in told(busy, "barred")


def test_every_denial_and_every_bound_has_words() -> None:
    assert DENIALS.keys() == {denial.value for denial in Denial}
    assert BOUNDS.keys() == {"money", "charge_max", "share", "max_call_seconds"}


# --- several legs of one call id ------------------------------------------------------------------------


@pytest.fixture
def twins(busy: Billing) -> Billing:
    """Give two conversations under one call id, told apart by their dialogs; the second has ended."""
    busy("payment", "Alice Telecom", "500")
    handle(busy, asked("twin", tags=("a",)), now=at(200))
    handle(busy, asked("twin", tags=("x",), called="442079999999"), now=at(201))
    handle(busy, stop(5, "twin", tags=("x", "y"), called="442079999999"), now=at(206))
    return busy


def test_each_leg_of_a_call_id_is_told_with_what_tells_it_apart(twins: Billing) -> None:
    first, second = explained(twins, "twin")["legs"]

    assert [(leg["generation"], leg["tags"]) for leg in (first, second)] == [(0, ["a"]), (1, ["x", "y"])]
    assert first["id"] == f"{first['leg_key']}-0"
    assert second["id"] == f"{first['leg_key']}-1"
    assert "conversation: generation 1, session session of twin, dialog x y" in told(twins, "twin")
    assert f"leg {second['id']}" in told(twins, "twin")


def test_a_leg_has_the_records_of_its_own_and_not_of_its_twin(twins: Billing) -> None:
    first, second = explained(twins, "twin")["legs"]

    assert [item["amount"] for item in second["revisions"]] == ["0.050000"]
    assert first["revisions"] == []


def test_money_that_a_twin_held_is_told_with_its_leg(twins: Billing) -> None:
    first, second = explained(twins, "twin")["legs"]

    assert first["id"] in {holder["id"] for holder in second["held_by_others"]}
    assert second["id"] not in {holder["id"] for holder in second["held_by_others"]}
    assert f"money held by call twin, leg {first['id']} to 442071234567: " in told(twins, "twin")


def test_the_other_numbers_that_a_leg_was_accepted_for_are_told(busy: Billing) -> None:
    busy("payment", "Alice Telecom", "500")
    handle(busy, asked("moved", tags=("a",)), now=at(200))
    handle(busy, asked("moved", tags=("a",), called="442079999999"), now=at(201))

    [leg] = explained(busy, "moved")["legs"]

    assert leg["also_asked"] == [{"number": "442079999999", "code": "44", "price_per_minute": "0.60"}]
    assert "also accepted for 442079999999, code 44, 0.60 a minute" in told(busy, "moved")


def test_money_that_waits_for_a_decision_is_told(busy: Billing) -> None:
    busy("payment", "Alice Telecom", "500")
    handle(busy, asked("odd"), now=at(200))
    handle(busy, stop(4000, "odd"), now=at(201))
    handle(busy, asked("next"), now=at(300))

    out = told(busy, "next")

    assert "money held by call odd: 72.000000 from 2026-03-02T12:03:20Z to a decision about it" in out
