"""What a leg costs: the billed volume and its price."""

from decimal import Decimal

from billing_core.money import ZERO, price_of
from billing_core.rate_table import Rate


def billed_seconds(rate: Rate, duration_seconds: int) -> int:
    """Return the seconds that are paid for: nothing within the grace, then whole intervals.

    The grace period is inclusive, and a call that outlasts it is billed from its first second.
    """
    if duration_seconds <= 0 or duration_seconds <= rate.grace_seconds:
        return 0
    beyond = max(0, duration_seconds - rate.min_volume_seconds)
    intervals = -(-beyond // rate.interval_seconds)
    return rate.min_volume_seconds + intervals * rate.interval_seconds


def cost(rate: Rate, duration_seconds: int) -> Decimal:
    """Return what a leg of *duration_seconds* costs, in the client's currency.

    It never falls with the duration as long as the price is not negative.
    """
    if duration_seconds <= 0 or duration_seconds <= rate.grace_seconds:
        return ZERO
    seconds = billed_seconds(rate, duration_seconds)
    return price_of(rate.setup_fee, rate.price_per_minute, seconds, rate.factor, rate.rounding)
