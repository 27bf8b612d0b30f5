"""The longest call that the money pays."""

from decimal import Decimal

from billing_core.money import ZERO
from billing_core.rate_table import Rate
from billing_core.rating import cost


def credit_time(rate: Rate, usable: Decimal, max_call_seconds: int) -> int:
    """Return the longest duration, up to *max_call_seconds*, that *usable* pays.

    Found with ``cost`` itself, on the rounded amount, so that the two cannot disagree. A result
    not above the rate's grace means that the money does not pay for the first interval.
    """
    if highest_cost(rate, max_call_seconds) <= usable:
        return max_call_seconds
    affordable, too_long = 0, max_call_seconds
    while too_long - affordable > 1:
        middle = (affordable + too_long) // 2
        if highest_cost(rate, middle) <= usable:
            affordable = middle
        else:
            too_long = middle
    return affordable


def highest_cost(rate: Rate, duration_seconds: int) -> Decimal:
    """Return the most that a call can cost if it ends at any second up to *duration_seconds*.

    A negative price makes a longer call cheaper, so there the dearest is the first billed second.
    It is never below zero: a call that ends within the grace costs nothing.
    """
    dearest_second = duration_seconds
    if rate.price_per_minute < 0:
        dearest_second = min(duration_seconds, rate.grace_seconds + 1)
    return max(ZERO, cost(rate, dearest_second))


def dearer(one: Rate, other: Rate, seconds: int) -> Rate:
    """Return the rate at which a call of up to *seconds* can cost more; *one* if it makes no difference."""
    return other if highest_cost(other, seconds) > highest_cost(one, seconds) else one
