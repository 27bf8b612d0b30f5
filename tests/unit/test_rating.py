"""What a call costs: the clerk's table, and the laws behind it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from calls import rate, rows
from hypothesis import given
from hypothesis import strategies as st

from billing_core.money import ZERO, Rounding
from billing_core.rate_table import Rate
from billing_core.rating import billed_seconds, cost

prices = st.decimals(-3, 3, places=8)
fees = st.decimals(0, 2, places=8)
intervals = st.integers(1, 90)
durations = st.integers(0, 20_000)
rates = st.builds(
    Rate,
    code=st.just("44"),
    destination=st.just(""),
    price_per_minute=prices,
    setup_fee=fees,
    min_volume_seconds=st.integers(0, 90),
    interval_seconds=intervals,
    grace_seconds=st.integers(0, 10),
)


@pytest.mark.parametrize(("written", "duration", "expected"), rows("cost.txt"))
def test_a_call_costs_what_the_table_says(written, duration, expected):
    assert cost(rate(written), int(duration.removesuffix(" s"))) == Decimal(expected)


@given(rates, durations)
def test_the_billed_volume_is_the_minimum_and_whole_intervals_that_just_cover_the_call(rate, seconds):
    billed = billed_seconds(rate, seconds)

    if seconds <= rate.grace_seconds:
        assert billed == 0
    else:
        beyond = billed - rate.min_volume_seconds
        assert billed >= seconds
        assert beyond % rate.interval_seconds == 0
        assert beyond == 0 or billed - seconds < rate.interval_seconds


@given(rates, durations)
def test_the_cost_is_the_exact_price_rounded_once_to_the_nearest_millionth(rate, seconds):
    billed = billed_seconds(rate, seconds)
    sixty_fold = rate.setup_fee * 60 + rate.price_per_minute * billed if billed else ZERO

    assert abs(cost(rate, seconds) * 60 - sixty_fold) <= Decimal("0.00003")
    assert cost(rate, seconds).as_tuple().exponent == -6 or cost(rate, seconds) == 0


@given(rates.filter(lambda rate: rate.price_per_minute >= 0), durations, st.integers(0, 200))
def test_a_longer_call_never_costs_less_unless_the_price_is_negative(rate, seconds, more):
    assert cost(rate, seconds) <= cost(rate, seconds + more)


def test_a_rate_table_may_round_to_cents_and_half_a_cent_goes_up():
    by_the_cent = replace(rate("0.30/min 1/1"), rounding=Rounding(places=2))

    assert cost(by_the_cent, 1) == Decimal("0.01")
    assert cost(by_the_cent, 3) == Decimal("0.02")


def test_an_amount_of_more_digits_than_a_float_or_a_default_context_holds_stays_exact():
    dear = rate("123456789012345678901234567890.12345678/min 60/60")

    assert cost(dear, 60) == Decimal("123456789012345678901234567890.123457")
