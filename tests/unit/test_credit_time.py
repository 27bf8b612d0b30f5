"""The longest call that the money pays: found with the cost itself, so the two cannot disagree."""

from dataclasses import replace
from decimal import Decimal

import pytest
from calls import rate, rows
from hypothesis import given
from hypothesis import strategies as st

from billing_core.credit_time import credit_time, highest_cost
from billing_core.money import ONE, ROUNDING_MODES, ZERO, Rounding
from billing_core.rate_table import Rate
from billing_core.rating import cost


def rates(lowest_price, highest_price=3):
    return st.builds(
        Rate,
        code=st.just("44"),
        destination=st.just(""),
        price_per_minute=st.decimals(lowest_price, highest_price, places=4),
        setup_fee=st.decimals(0, 1, places=4),
        min_volume_seconds=st.integers(0, 90),
        interval_seconds=st.integers(1, 90),
        grace_seconds=st.integers(0, 10),
        factor=st.sampled_from([ONE, Decimal("0.92"), Decimal("1.0875")]),
        rounding=st.builds(Rounding, st.integers(0, 6), st.sampled_from(sorted(ROUNDING_MODES))),
    )


money = st.decimals(0, 50, places=6)


@pytest.mark.parametrize(("written", "usable", "longest", "expected", "costing"), rows("credit_time.txt"))
def test_a_call_may_last_as_the_table_says(written, usable, longest, expected, costing):
    price = rate(written)
    seconds = credit_time(price, Decimal(usable), int(longest.removesuffix(" s")))

    assert (f"{seconds} s" if seconds > price.grace_seconds else "none") == expected
    assert cost(price, seconds) == Decimal(costing)


@given(rates(-3), money, st.integers(1, 20_000))
def test_credit_time_is_the_longest_that_the_money_pays(rate, usable, longest):
    seconds = credit_time(rate, usable, longest)

    assert 0 <= seconds <= longest
    assert highest_cost(rate, seconds) <= usable
    assert seconds == longest or highest_cost(rate, seconds + 1) > usable


@given(rates(-3), money, st.integers(1, 120), st.data())
def test_no_second_at_which_the_call_may_end_costs_more_than_the_money(rate, usable, longest, data):
    seconds = credit_time(rate, usable, longest)
    ended = data.draw(st.integers(0, seconds))

    assert cost(rate, ended) <= usable


@given(rates(-3), st.integers(0, 200))
def test_the_highest_cost_is_that_of_the_dearest_second_so_far(rate, seconds):
    assert highest_cost(rate, seconds) == max(cost(rate, second) for second in range(seconds + 1))


@given(rates(-3), st.decimals(-5, 5, places=3), st.integers(1, 150))
def test_credit_time_is_what_trying_every_second_finds(rate, usable, longest):
    seconds = 0
    while seconds < longest and max(cost(rate, s) for s in range(seconds + 2)) <= usable:
        seconds += 1

    assert credit_time(rate, usable, longest) == seconds


@given(rates(0, 0), money, st.integers(1, 7200))
def test_at_no_price_a_call_that_can_pay_its_fee_may_last_as_long_as_any(rate, usable, longest):
    rate = replace(rate, factor=ONE, rounding=Rounding())
    seconds = credit_time(rate, usable, longest)

    assert seconds == (longest if rate.setup_fee <= usable else min(longest, rate.grace_seconds))


@given(rates(-3), st.decimals(-5, "-0.000001", places=6), st.integers(1, 7200))
def test_who_is_in_debt_may_not_call_at_any_price(rate, usable, longest):
    assert credit_time(rate, usable, longest) == 0


def test_cents_that_are_rounded_up_are_not_granted():
    up = Rounding(places=2, mode="up")

    cheap = replace(rate("0.0133/min 6/6"), rounding=up)

    assert credit_time(cheap, Decimal("0.055"), 7200) == 222
    assert credit_time(replace(rate("0.05/min 6/6"), rounding=up), Decimal("1.005"), 7200) == 1200
    assert highest_cost(cheap, 0) == ZERO
