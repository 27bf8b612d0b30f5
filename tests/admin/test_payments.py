"""`billing payment`: exact amounts, booked once for each reference."""

from threading import Timer

import pytest
from billing_command import Billing

CLIENT = '[[client]]\nname = "Customer A"\ncurrency = "EUR"\n'


@pytest.fixture
def paying(billing: Billing) -> Billing:
    billing.apply(CLIENT)
    return billing


def balance(billing: Billing) -> dict[str, str]:
    found: dict[str, str] = billing("clients", "show", "Customer A", "--json").document["balance"]
    return found


def test_a_payment_raises_the_live_and_the_fixed_balance(paying: Billing) -> None:
    result = paying("payment", "Customer A", "100.50")

    assert result.code == 0
    assert result.out == "booked: 100.50 EUR of client Customer A (id 1); live balance 0.00 -> 100.50 EUR\n"
    expected = {"available": "100.50", "live": "100.50", "fixed": "100.50", "reserved": "0", "held": "0"}
    assert balance(paying) == expected
    assert [tuple(row) for row in paying.sql("SELECT kind, amount::text, reference FROM entry")] == [
        ("payment", "100.50", None)
    ]


@pytest.mark.parametrize("amount", ["-5", "-5.25"])
def test_a_negative_amount_is_taken_as_it_stands(paying: Billing, amount: str) -> None:
    assert paying("payment", "Customer A", amount).code == 0
    assert balance(paying)["live"] == amount


def test_options_may_stand_before_or_behind_a_negative_amount(paying: Billing) -> None:
    before = paying("payment", "--json", "--reference", "a", "Customer A", "-1").document
    behind = paying("payment", "Customer A", "-1", "--reference", "b", "--json").document
    first = paying("--json", "payment", "Customer A", "-1", "--reference", "c").document

    assert [before["live"], behind["live"], first["live"]] == ["-1", "-2", "-3"]


def test_the_same_reference_books_once(paying: Billing) -> None:
    first = paying("payment", "Customer A", "10", "--reference", "bank-1", "--json").document
    again = paying("payment", "Customer A", "10.00", "--reference", "bank-1", "--json")
    words = paying("payment", "Customer A", "10", "--reference", "bank-1")

    assert (first["already_booked"], again.document["already_booked"]) == (False, True)
    assert (again.code, words.code) == (0, 0)
    assert words.out.startswith("already booked: ")
    assert balance(paying)["live"] == "10"
    assert paying.sql("SELECT count(*) FROM entry") == [(1,)]


def test_an_empty_reference_is_refused_since_it_would_not_keep_a_second_one_out(paying: Billing) -> None:
    for reference in ("", " "):
        result = paying("payment", "Customer A", "10", "--reference", reference)
        assert (result.code, result.err.startswith("--reference")) == (1, True)

    assert paying.sql("SELECT count(*) FROM entry") == [(0,)]


def test_another_amount_under_the_same_reference_is_an_error(paying: Billing) -> None:
    paying("payment", "Customer A", "10", "--reference", "bank-1")

    result = paying("payment", "Customer A", "11", "--reference", "bank-1", "--json")

    assert (result.code, result.out) == (1, "")
    assert 'reference "bank-1" of client "Customer A" is a payment of 10, not of 11' in result.err
    assert balance(paying)["live"] == "10"


def test_references_belong_to_their_client(paying: Billing) -> None:
    paying.apply(CLIENT.replace("Customer A", "Customer B"))
    paying("payment", "Customer A", "10", "--reference", "bank-1")

    assert paying("payment", "Customer B", "20", "--reference", "bank-1").code == 0


@pytest.mark.parametrize(
    "amount",
    ["0", "0.00", "NaN", "Infinity", "1e3", "1,5", "1.2345678", "1234567890", "", "\u0661", " 1", "1_0"],
)
def test_what_is_not_an_exact_amount_is_refused(paying: Billing, amount: str) -> None:
    result = paying("payment", "Customer A", amount)

    assert result.code == 1
    assert result.err.startswith("AMOUNT ")
    assert paying.sql("SELECT count(*) FROM entry") == [(0,)]


def test_an_unknown_client_is_told_with_the_name_that_was_meant(paying: Billing) -> None:
    result = paying("payment", "Custommer A", "5")

    assert result.code == 1
    assert result.err == 'client "Custommer A" is not known; did you mean "Customer A"?\n'


def test_a_client_without_a_balance_is_told_in_a_sentence(paying: Billing) -> None:
    paying.sql("DELETE FROM balance")

    result = paying("payment", "Customer A", "5")

    assert (result.code, paying.sql("SELECT count(*) FROM entry")) == (1, [(0,)])
    assert 'client "Customer A" has no balance to book on' in result.err


def test_a_payment_waits_for_a_turn_that_holds_the_balance(paying: Billing) -> None:
    with paying.engine.connect() as turn:
        turn.exec_driver_sql("SELECT * FROM balance FOR UPDATE")
        # Longer than one attempt waits for the lock.
        release = Timer(1.5, turn.connection.rollback)
        release.start()
        result = paying("payment", "Customer A", "5")
        release.join()

    assert result.code == 0
    assert balance(paying)["live"] == "5"
