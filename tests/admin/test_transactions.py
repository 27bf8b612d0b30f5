"""Money booked by hand in all its kinds, and the ledger as people read it."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from billing_command import Billing
from calls import report, request, start, stop
from traffic import define, handle, place

from billing_core.admin.ledger.payments import Order, book
from billing_core.ledger import EntryKind
from billing_core.report import Kind
from billing_core.session import Leg
from billing_core.storage.schema import engine

CLIENT = '[[client]]\nname = "Customer A"\ncurrency = "EUR"\n'


@pytest.fixture
def paying(billing: Billing) -> Billing:
    billing.apply(CLIENT)
    return billing


def balance(billing: Billing, name: str = "Customer A") -> tuple[Decimal, Decimal]:
    found = billing("clients", "show", name, "--json").document["balance"]
    return Decimal(found["live"]), Decimal(found["fixed"])


def test_each_kind_changes_what_it_should(paying: Billing) -> None:
    """Fixed is money in and out; what is charged or put right by hand belongs to the live balance."""
    paying("payment", "Customer A", "100")
    assert balance(paying) == (100, 100)
    paying("refund", "Customer A", "30", "--reason", "paid twice")
    assert balance(paying) == (70, 70)
    paying("charge", "Customer A", "5.50", "--reason", "a number for March")
    assert balance(paying) == (Decimal("64.5"), 70)
    result = paying("correction", "Customer A", "-4.50", "--reason", "goodwill was booked twice")

    assert balance(paying) == (60, 70)
    assert (
        result.out
        == "booked: correction of -4.50 EUR of client Customer A (id 1); live balance 64.50 -> 60.00 EUR\n"
    )
    assert paying("verify").code == 0


@pytest.mark.parametrize("kind", ["refund", "charge"])
def test_what_is_taken_is_written_without_a_sign(paying: Billing, kind: str) -> None:
    result = paying(kind, "Customer A", "-5", "--reason", "x")

    assert (result.code, paying.sql("SELECT count(*) FROM entry")) == (1, [(0,)])
    assert f"AMOUNT -5 of a {kind} is negative" in result.err


@pytest.mark.parametrize("kind", ["refund", "charge", "correction"])
def test_no_money_but_a_payment_is_booked_without_a_reason(paying: Billing, kind: str) -> None:
    with pytest.raises(SystemExit) as ended:
        paying(kind, "Customer A", "5")

    assert ended.value.code == 2


def test_a_reference_is_for_one_kind_and_one_amount(paying: Billing) -> None:
    first = paying("refund", "Customer A", "5", "--reason", "x", "--reference", "r1", "--json").document
    again = paying("refund", "Customer A", "5.00", "--reason", "x", "--reference", "r1", "--json").document
    other = paying("payment", "Customer A", "-5", "--reference", "r1")

    assert (first["already_booked"], again["already_booked"]) == (False, True)
    assert (first["kind"], first["reason"], first["amount"]) == ("refund", "x", "5")
    assert other.code == 1
    assert 'reference "r1" of client "Customer A" is a refund of 5, not a payment of -5' in other.err
    assert balance(paying) == (-5, -5)


def test_of_many_who_book_one_reference_at_once_one_does(paying: Billing) -> None:
    order = Order(EntryKind.PAYMENT, "Customer A", Decimal(10), "bank 1")

    def once(_: int) -> bool:
        own = engine(paying.url)
        try:
            return book(own, order).already_booked
        finally:
            own.dispose()

    with ThreadPoolExecutor(6) as threads:
        already = list(threads.map(once, range(6)))

    assert sorted(already) == [False, True, True, True, True, True]
    assert balance(paying)[0] == 10


@pytest.fixture
def busy(billing: Billing) -> Billing:
    define(billing)
    billing("payment", "Alice Telecom", "100", "--reference", "bank 1")
    place(billing)
    billing("charge", "Alice Telecom", "9", "--reason", "a number")
    return billing


def ledger(billing: Billing, *options: str, name: str = "Alice Telecom") -> list[dict[str, str]]:
    found: list[dict[str, str]] = billing("transactions", name, *options, "--json").document
    return found


def test_the_ledger_tells_every_change_and_the_balance_it_led_to(busy: Billing) -> None:
    found = ledger(busy)

    amounts = [Decimal(item["amount"]) for item in found]
    assert [Decimal(item["balance"]) for item in found] == [sum(amounts[: n + 1]) for n in range(len(found))]
    assert Decimal(found[-1]["balance"]) == balance(busy, "Alice Telecom")[0]
    assert [(item["kind"], item["call_id"]) for item in found if item["kind"] == "charge"] == [
        ("charge", "corrected"),
        ("charge", "corrected"),
        ("charge", "done"),
        ("charge", None),
    ]
    assert [(item["reference"], item["reason"]) for item in found if not item["call_id"]] == [
        ("bank 1", None),
        (None, "a number"),
    ]


def test_a_part_of_the_ledger_keeps_the_balances_of_the_whole(busy: Billing) -> None:
    whole = ledger(busy)

    assert ledger(busy, "--limit", "2") == whole[-2:]
    assert ledger(busy, "--from", "2026-03-03") == [item for item in whole if item["at"] >= "2026-03-03"]
    assert ledger(busy, "--to", "2026-03-03") == [item for item in whole if item["at"] < "2026-03-03"]


def test_an_unknown_client_is_told(busy: Billing) -> None:
    result = busy("transactions", "Alice Telekom")

    assert (result.code, result.err) == (
        1,
        'client "Alice Telekom" is not known; did you mean "Alice Telecom"?\n',
    )


def test_both_sides_of_a_client_who_is_a_vendor_too_come_to_one_balance(busy: Billing) -> None:
    """What his calls cost him and what his terminations earn him are entries of one ledger."""
    busy.sql("UPDATE account SET client_id = 1 WHERE term")
    busy.sql("UPDATE client SET term_rate_table_id = 2, changed_in = 99 WHERE id = 1")
    busy.sql("UPDATE catalogue SET version = 99")
    before = balance(busy, "Alice Telecom")[0]
    _call_on_both_legs(busy)

    changes = [Decimal(item["amount"]) for item in ledger(busy) if item["call_id"] == "both"]
    assert sorted(changes) == [Decimal("-0.6"), Decimal("0.3")]
    assert balance(busy, "Alice Telecom")[0] == before - Decimal("0.3")
    assert busy("verify").code == 0


def _call_on_both_legs(billing: Billing) -> None:
    handle(billing, request("both"), start("both"))
    handle(billing, stop(60, "both"))
    handle(billing, report(Kind.STOP, "both", Leg.TERMINATION, session_seconds=60))
