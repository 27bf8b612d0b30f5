"""`billing verify`: sound books pass, and each rule that is broken is reported."""

import pytest
from billing_command import Billing
from traffic import define, place

from billing_core.admin.verify import INVARIANTS, RECOMPUTED


@pytest.fixture
def busy(billing: Billing) -> Billing:
    define(billing)
    billing("payment", "Alice Telecom", "100")
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
    RECOMPUTED: "UPDATE session SET price_per_minute = 0.61 WHERE posted > 0",
}


def test_there_is_a_breakage_for_every_invariant() -> None:
    assert BREAKAGES.keys() == {invariant.name for invariant in INVARIANTS} | {RECOMPUTED}


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
