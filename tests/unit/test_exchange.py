"""Factors between currencies, by date."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from billing_core.exchange import ExchangeRate, exchange

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def _rate(day: int, factor: str, into: str = "USD") -> ExchangeRate:
    return ExchangeRate("EUR", into, Decimal(factor), MONDAY + timedelta(days=day))


RATES = exchange([_rate(2, "1.12"), _rate(0, "1.10"), _rate(1, "0.86", "GBP")])


def test_a_factor_holds_from_its_date_until_the_next():
    days = {-0.001: None, 0: "1.10", 1.999: "1.10", 2: "1.12", 1000: "1.12"}

    for day, factor in days.items():
        expected = None if factor is None else Decimal(factor)
        assert RATES.factor("EUR", "USD", MONDAY + timedelta(days=day)) == expected


def test_the_same_currency_needs_no_factor():
    assert RATES.factor("CHF", "CHF", MONDAY) == 1


def test_a_factor_is_for_one_direction_and_never_made_of_others():
    assert RATES.factor("USD", "EUR", MONDAY) is None
    assert RATES.factor("GBP", "USD", MONDAY + timedelta(days=5)) is None


@given(st.lists(st.integers(-5, 5), unique=True), st.integers(-6, 6))
def test_the_last_factor_that_has_begun_counts(days, day):
    rates = exchange(_rate(begin, str(begin + 10)) for begin in days)
    begun = [begin for begin in days if begin <= day]

    factor = rates.factor("EUR", "USD", MONDAY + timedelta(days=day))
    assert factor == (Decimal(max(begun) + 10) if begun else None)
