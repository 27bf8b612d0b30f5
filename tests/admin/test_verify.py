"""`billing verify`: sound books pass, and each rule that is broken is reported."""

import pytest
from billing_command import Billing
from traffic import define, place

from billing_core.admin.ledger.invariants import INVARIANTS
from billing_core.admin.ledger.verify import RATED_AGAIN, RECOMPUTED, SETTLED, TOLD
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
    RECOMPUTED: "UPDATE session SET price_per_minute = 0.61 WHERE posted > 0",
    SETTLED: "UPDATE session SET stop_seconds = stop_seconds + 1 WHERE posted > 0",
    TOLD: "UPDATE session SET disconnect_cause = '26' WHERE call_id = 'done'",
}


def test_there_is_a_breakage_for_every_invariant() -> None:
    assert BREAKAGES.keys() == {invariant.name for invariant in INVARIANTS} | RATED_AGAIN.keys()


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
