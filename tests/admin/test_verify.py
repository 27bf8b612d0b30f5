"""`billing verify`: sound books pass, and each rule that is broken is reported."""

from datetime import timedelta
from typing import Any

import pytest
from billing_command import Billing
from calls import NOON, at, report, request, start, stop
from traffic import define, handle, place

from billing_core.admin.ledger.invariants import INVARIANTS
from billing_core.admin.ledger.verify import DEAREST, RATED_AGAIN, RECOMPUTED, SETTLED, TOLD
from billing_core.report import Kind
from billing_core.storage import tables


@pytest.fixture
def busy(billing: Billing) -> Billing:
    define(billing)
    billing("payment", "Alice Telecom", "100", "--reference", "bank 1")
    place(billing)
    return billing


def broken(billing: Billing) -> set[str]:
    result = billing("verify", "--json")
    document = result.document
    found = {item["invariant"] for item in document["invariants"] if item["differences"]}
    assert result.code == (1 if found else 0)
    assert document["ok"] is (not found)
    return found


def test_sound_books_pass_and_every_invariant_has_rows_to_check(busy: Billing) -> None:
    document = busy("verify", "--json").document

    assert document["ok"] is True
    assert all(item["checked"] > 0 and not item["differences"] for item in document["invariants"])


XDR = ", ".join(column.name for column in tables.xdr.columns if column.name != "recorded_at")

# What is broken by hand, and which invariants must notice.
BREAKAGES = {
    "live_is_the_sum_of_entries": "UPDATE balance SET live = live + 0.000001 WHERE client_id = 1",
    "reserved_is_the_sum_of_open_reservations": "UPDATE balance SET reserved = reserved + 1",
    "in_use_counts_open_origination_legs": "UPDATE balance SET in_use = in_use + 1 WHERE client_id = 1",
    "term_in_use_counts_open_termination_legs": "UPDATE balance SET term_in_use = 0",
    "shared_counters_count_open_origination_legs": "UPDATE capacity_counter SET in_use = 0 WHERE scope = 2",
    "shared_counters_are_where_capacities_are": "DELETE FROM capacity_counter WHERE scope = 1",
    "posted_is_the_amount_of_the_last_xdr": "UPDATE session SET posted = posted + 1 WHERE posted > 0",
    "charges_add_up_to_the_last_xdr": (
        "INSERT INTO entry (client_id, kind, amount, at, leg_key, generation, revision)"
        " SELECT client_id, kind, amount, at, leg_key, generation, 9 FROM entry"
        " WHERE kind = 'charge' AND amount < 0"
    ),
    "ended_legs_reserve_nothing": "UPDATE session SET reserved = 1 WHERE call_id = 'done'",
    "every_client_has_a_balance": "DELETE FROM balance WHERE client_id = 2",
    "nothing_reserved_is_negative": "UPDATE session SET reserved = -1 WHERE state = 0",
    "a_revision_is_recorded_and_charged_once": (
        "INSERT INTO entry (client_id, kind, amount, at, leg_key, generation, revision)"
        " SELECT client_id, kind, amount, at, leg_key, generation, revision FROM entry WHERE amount < 0"
    ),
    "a_reference_is_used_once": "DELETE FROM entry_reference",
    "ended_legs_are_on_record": "UPDATE session SET revision = 0 WHERE call_id = 'done'",
    "charges_name_their_record": "DELETE FROM xdr WHERE call_id = 'done'",
    "open_reservations_are_covered": "UPDATE client SET credit = -90 WHERE id = 1",
    "no_leg_is_forgotten": "UPDATE session SET look_at = look_at - interval '1 day' WHERE closed_at IS NULL",
    "amounts_are_numbers": "UPDATE session SET posted = 'NaN' WHERE posted > 0",
    "what_explains_money_cannot_be_edited": "ALTER TABLE entry_reference DISABLE TRIGGER ALL",
    "legs_are_priced_by_their_number": "UPDATE session SET code = '882' WHERE call_id = 'done'",
    DEAREST: (
        'UPDATE session SET asked = \'[{"number": "88212345", "code": "882", "destination": "",'
        ' "price": "6", "setup_fee": "0", "volume": [1, 1, 0], "factor": "1",'
        " \"rounding\": \"6 half_up up\"}]' WHERE call_id = 'under way' AND leg = 'origination'"
    ),
    RECOMPUTED: "UPDATE session SET price_per_minute = 0.61 WHERE posted > 0",
    SETTLED: "UPDATE session SET stop_seconds = stop_seconds + 1 WHERE posted > 0",
    TOLD: "UPDATE session SET disconnect_cause = '26' WHERE call_id = 'done'",
}


def test_there_is_a_breakage_for_every_invariant() -> None:
    assert BREAKAGES.keys() == {invariant.name for invariant in INVARIANTS} | RATED_AGAIN.keys() | {DEAREST}


def test_every_rule_that_a_ledger_should_keep_is_checked() -> None:
    rules = [*(invariant.rule for invariant in INVARIANTS if invariant.rule), *RATED_AGAIN.values()]

    assert sorted(rules, key=lambda rule: int(rule[1:])) == [f"I{number}" for number in range(1, 11)]


@pytest.mark.parametrize("invariant", BREAKAGES)
def test_a_broken_rule_is_reported(busy: Billing, invariant: str) -> None:
    busy.sql(BREAKAGES[invariant])

    assert invariant in broken(busy)


@pytest.mark.parametrize(
    ("statement", "invariants"),
    [
        ("UPDATE xdr SET amount = amount + 1 WHERE leg = 'termination'", {"charges_add_up_to_the_last_xdr"}),
        ("DELETE FROM xdr WHERE amount > 0", {"posted_is_the_amount_of_the_last_xdr"}),
        ("UPDATE xdr SET billed_seconds = 60 WHERE amount > 0.5", {RECOMPUTED}),
        ("UPDATE entry SET client_id = 2 WHERE amount < 0", {"charges_add_up_to_the_last_xdr"}),
        ("DELETE FROM entry WHERE kind = 'payment'", {"live_is_the_sum_of_entries"}),
        ("UPDATE capacity_counter SET capacity = 1", {"shared_counters_are_where_capacities_are"}),
        ("UPDATE session SET factor = 2 WHERE posted > 0", {RECOMPUTED, SETTLED}),
        ("UPDATE session SET rounding = '0 up up' WHERE posted > 0", {RECOMPUTED, SETTLED}),
        (
            f"INSERT INTO xdr ({XDR}, recorded_at)"  # noqa: S608
            f" SELECT {XDR}, recorded_at + interval '1 month' FROM xdr WHERE amount > 0",
            {"a_revision_is_recorded_and_charged_once"},
        ),
        ("DROP TRIGGER xdr_is_never_edited ON xdr", {"what_explains_money_cannot_be_edited"}),
        ("UPDATE entry SET reference = 'bank 2' WHERE kind = 'payment'", {"a_reference_is_used_once"}),
    ],
)
def test_other_ways_to_break_the_books_are_reported_too(
    busy: Billing, statement: str, invariants: set[str]
) -> None:
    busy.sql(statement)

    assert invariants <= broken(busy)


def test_people_read_which_client_differs_by_how_much(busy: Billing) -> None:
    busy.sql("UPDATE balance SET live = 7 WHERE client_id = 1")

    result = busy("verify")

    assert result.code == 1
    assert "live_is_the_sum_of_entries: client Alice Telecom, client_id 1, stated 7, found 99.190000" in (
        result.err
    )


# --- what looks like cheating, although no sum is broken ------------------------------------------------


def warnings(billing: Billing) -> dict[str, list[Any]]:
    result = billing("verify", "--json")
    assert (result.code, result.document["ok"]) == (0, True)
    return {item["warning"]: item["found"] for item in result.document["warnings"] if item["found"]}


def test_honest_calls_are_no_reason_to_warn(busy: Billing) -> None:
    handle(busy, request("moved", tags=("a",)))
    handle(busy, request("moved", tags=("a",), called="442079999999"))
    handle(busy, start("moved", tags=("a", "b"), called="442079999999"))
    handle(busy, stop(5, "moved", tags=("a", "b"), called="442079999999"), now=at(5))

    assert warnings(busy) == {}
    assert busy("verify").err == ""


def test_a_stop_for_a_number_that_nobody_asked_for_is_told(busy: Billing) -> None:
    handle(busy, request("twin"))
    handle(busy, stop(50, "twin", called="447000111222", session_id="another"), now=at(60))

    [found] = warnings(busy)["numbers_of_stops_were_asked_for"]

    assert (found["call_id"], found["called"], found["asked"]) == ("twin", "447000111222", "442071234567")
    assert found["client"] == "Alice Telecom"
    assert "warning: numbers_of_stops_were_asked_for: id " in busy("verify").err


def test_an_answered_call_that_failed_is_told(busy: Billing) -> None:
    busy.sql(
        "UPDATE session SET failed = true, stopped = false, stop_seconds = NULL, known_seconds = 61"
        " WHERE call_id = 'done' AND leg = 'origination'"
    )

    found = {item["warning"]: item["found"] for item in busy("verify", "--json").document["warnings"]}

    assert [item["call_id"] for item in found["answered_calls_do_not_fail"]] == ["done"]


def test_a_further_leg_is_no_longer_than_the_leg_beside_it(busy: Billing) -> None:
    for call, seconds in (("two sides", 61), ("longer", 600)):
        handle(busy, request(call, session_id="s1"), start(call, session_id="s1", call_type="VoIP"))
        handle(busy, stop(60, call, session_id="s1", call_type="VoIP"), now=at(60))
        handle(busy, stop(seconds, call, session_id="s2", call_type="Telephony"), now=at(60))

    [found] = warnings(busy)["further_legs_stand_beside_as_long_a_leg"]

    assert (found["call_id"], found["seconds"], found["beside"]) == ("longer", 600, 60)


def test_a_failure_of_another_leaves_the_books_sound_while_the_call_goes_on(busy: Billing) -> None:
    handle(busy, request("forked"), report(Kind.FAILED, "forked", disconnect_cause="17"))
    handle(busy, start("forked"), now=NOON + timedelta(seconds=5))

    assert broken(busy) == set()

    handle(busy, stop(30, "forked"), now=NOON + timedelta(seconds=40))
    assert broken(busy) == set()
