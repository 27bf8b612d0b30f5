"""Amounts of money: exact decimals, rounded here and nowhere else."""

import decimal
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)

# Wide enough that no product of a price, a duration and a currency factor is ever shortened.
_EXACT = decimal.Context(prec=60, traps=[decimal.InvalidOperation, decimal.DivisionByZero])

_SECONDS_PER_MINUTE = Decimal(60)
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a rate table rounds the cost of a leg: decimal places and the mode of `decimal`."""

    places: int = 6
    mode: str = decimal.ROUND_HALF_UP

    def apply(self, amount: Decimal) -> Decimal:
        """Return *amount* with exactly `places` decimals."""
        return amount.quantize(Decimal(1).scaleb(-self.places), rounding=self.mode, context=_EXACT)


DEFAULT_ROUNDING = Rounding()


def price_of(setup_fee: Decimal, price_per_minute: Decimal, seconds: int, rounding: Rounding) -> Decimal:
    """Return the fee plus the price of *seconds*, rounded once.

    Multiplied first and divided once, so that nothing is lost before the rounding.
    """
    minutes_price = _EXACT.divide(_EXACT.multiply(price_per_minute, Decimal(seconds)), _SECONDS_PER_MINUTE)
    return rounding.apply(_EXACT.add(setup_fee, minutes_price))


def shown(amount: Decimal) -> str:
    """Return *amount* with two decimals, rounded down: an announcement never promises too much."""
    return f"{amount.quantize(_CENT, rounding=decimal.ROUND_FLOOR, context=_EXACT):f}"


def plain(amount: Decimal) -> str:
    """Return *amount* as people and switches read it: no exponent, no thousands separator."""
    return f"{amount:f}"
