"""`billing invoice`: what was billed moves the fixed balance, and nothing else."""

from decimal import Decimal

import pytest
from billing_command import Billing

CLIENT = '[[client]]\nname = "Voxbone"\ncurrency = "USD"\ncredit = 10\n'


@pytest.fixture
def billed(billing: Billing) -> Billing:
    billing.apply(CLIENT)
    return billing


def balance(billing: Billing) -> dict[str, Decimal]:
    found = billing("clients", "show", "Voxbone", "--json").document["balance"]
    return {name: Decimal(value) for name, value in found.items()}


def test_an_invoice_moves_the_fixed_balance_alone(billed: Billing) -> None:
    billed("charge", "Voxbone", "2.97", "--reason", "calls")
    result = billed("invoice", "Voxbone", "1.60", "--reference", "1")

    assert (result.code, result.out) == (
        0,
        "booked: invoice of 1.60 USD of client Voxbone (id 1); fixed balance 0.00 -> -1.60 USD,"
        " live balance -2.97 USD as before\n",
    )
    expected = {"available": "7.03", "live": "-2.97", "fixed": "-1.60", "reserved": "0", "held": "0"}
    assert balance(billed) == {name: Decimal(value) for name, value in expected.items()}
    assert billed("verify").code == 0


def test_fixed_is_payments_less_invoices(billed: Billing) -> None:
    billed("payment", "Voxbone", "20")
    billed("invoice", "Voxbone", "12.50", "--reference", "1", "--reason", "March")
    billed("invoice", "Voxbone", "-2.50", "--reference", "2", "--reason", "one line too much")

    found = balance(billed)
    assert (found["live"], found["fixed"]) == (20, 10)
    assert [client["fixed"] for client in billed("clients", "list", "--json").document] == ["10.00"]


def test_the_ledger_shows_both_balances_after_each_entry(billed: Billing) -> None:
    billed("payment", "Voxbone", "20")
    billed("charge", "Voxbone", "5", "--reason", "a number")
    billed("invoice", "Voxbone", "7", "--reference", "2026-03", "--reason", "March")

    keys = ("kind", "amount", "balance", "fixed_amount", "fixed_balance")
    assert [
        tuple(item[key] for key in keys) for item in billed("transactions", "Voxbone", "--json").document
    ] == [
        ("payment", "20", "20", "20", "20"),
        ("charge", "-5", "15", "0", "20"),
        ("invoice", "0", "15", "-7", "13"),
    ]


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (("invoice", "7"), "already booked: "),
        (("invoice", "8"), 'reference "2026-03" of client "Voxbone" is an invoice of 7, not of 8'),
        (("invoice", "-7"), "not of -7"),
        (("payment", "-7"), "is an invoice of 7, not a payment of -7"),
    ],
)
def test_a_reference_books_one_invoice_once(billed: Billing, again: tuple[str, str], said: str) -> None:
    billed("invoice", "Voxbone", "7", "--reference", "2026-03")

    command, amount = again
    result = billed(command, "Voxbone", amount, "--reference", "2026-03")

    assert said in result.out + result.err
    assert balance(billed)["fixed"] == -7
    assert billed("verify").code == 0


def test_a_dropped_month_carries_what_was_invoiced(billed: Billing) -> None:
    billed("payment", "Voxbone", "20")
    billed("invoice", "Voxbone", "7", "--reference", "2026-03")
    billed.sql("UPDATE entry SET at = '2026-03-31 23:59:59+00'")
    billed.sql("UPDATE entry_reference SET at = '2026-03-31 23:59:59+00'")
    before = balance(billed)

    dropped = billed("months", "drop", "2026-03", "--yes")

    assert dropped.code == 0
    assert billed.sql("SELECT kind FROM entry") == [("carried",)]
    assert balance(billed) == before
    assert billed("verify").code == 0


def test_a_changed_invoice_is_found(billed: Billing) -> None:
    """Its amount is nothing, so the sum of the live balance would not tell."""
    billed("invoice", "Voxbone", "7", "--reference", "2026-03")
    billed.sql("UPDATE entry SET fixed = -6")

    found = billed("verify", "--json").document

    assert [item["invariant"] for item in found["invariants"] if item["differences"]] == [
        "a_reference_is_used_once"
    ]


def test_an_invoice_without_a_reference_is_refused_for_it_could_be_booked_twice(billed: Billing) -> None:
    result = billed("invoice", "Voxbone", "1.60")

    assert (result.code, result.out) == (1, "")
    assert "--reference is missing; name the invoice, as --reference 2026-0042" in result.err
    assert balance(billed)["fixed"] == 0


def test_what_moves_the_fixed_balance_tells_it_before_and_after(billed: Billing) -> None:
    def told(*arguments: str) -> tuple[str, ...]:
        document = billed(*arguments, "--json").document
        return tuple(document[key] for key in ("live_before", "live", "fixed_before", "fixed"))

    assert told("payment", "Voxbone", "20") == ("0", "20", "0", "20")
    assert told("charge", "Voxbone", "5", "--reason", "a number") == ("20", "15", "20", "20")
    assert told("invoice", "Voxbone", "7", "--reference", "1") == ("15", "15", "20", "13")
    assert told("invoice", "Voxbone", "7", "--reference", "1") == ("15", "15", "13", "13"), "booked already"
    assert told("refund", "Voxbone", "3", "--reason", "closed") == ("15", "12", "13", "10")
    assert balance(billed)["fixed"] == 10
