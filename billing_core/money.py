"""Amounts of money: exact decimals, rounded here and nowhere else."""

import decimal
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

ZERO = Decimal(0)
ONE = Decimal(1)

# Wide enough that no product of a price, a duration and a currency factor is ever shortened.
_EXACT = decimal.Context(prec=60, traps=[decimal.InvalidOperation, decimal.DivisionByZero])

_SECONDS_PER_MINUTE = Decimal(60)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = Decimal(1_000_000)
_CENT = Decimal("0.01")

ROUNDING_MODES = {
    "half_up": decimal.ROUND_HALF_UP,
    "half_even": decimal.ROUND_HALF_EVEN,
    "up": decimal.ROUND_UP,
    "down": decimal.ROUND_DOWN,
}


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a rate table rounds: the cost of a leg to `places` decimals, and its duration to whole seconds.

    The modes are names of `ROUNDING_MODES`.
    """

    places: int = 6
    mode: str = "half_up"
    durations: str = "up"

    def apply(self, amount: Decimal) -> Decimal:
        """Return *amount* with exactly `places` decimals."""
        mode = ROUNDING_MODES[self.mode]
        return amount.quantize(ONE.scaleb(-self.places), rounding=mode, context=_EXACT)

    def whole_seconds(self, duration: timedelta) -> int:
        """Return a duration in whole seconds; a clock that went backwards makes no debt."""
        seconds = _EXACT.divide(Decimal(duration // _MICROSECOND), _MICROSECONDS)
        return max(0, int(seconds.quantize(ONE, rounding=ROUNDING_MODES[self.durations], context=_EXACT)))

    def __str__(self) -> str:
        """Write it as `read_rounding` reads it."""
        return f"{self.places} {self.mode} {self.durations}"


DEFAULT_ROUNDING = Rounding()


def read_rounding(text: str) -> Rounding:
    """Return the rounding that `str` wrote."""
    places, mode, durations = text.split()
    return Rounding(int(places), mode, durations)


def price_of(
    setup_fee: Decimal, price_per_minute: Decimal, seconds: int, factor: Decimal, rounding: Rounding
) -> Decimal:
    """Return the fee plus the price of *seconds*, converted by *factor* and rounded once.

    Multiplied first and divided once, so that nothing is lost before the rounding.
    """
    by_time = _EXACT.multiply(price_per_minute, Decimal(seconds))
    sixtyfold = _EXACT.add(_EXACT.multiply(setup_fee, _SECONDS_PER_MINUTE), by_time)
    if factor != ONE:
        sixtyfold = _EXACT.multiply(sixtyfold, factor)
    return rounding.apply(_EXACT.divide(sixtyfold, _SECONDS_PER_MINUTE))


def converted(price: Decimal, factor: Decimal) -> Decimal:
    """Return *price* in the other currency, with all its places."""
    return price if factor == ONE else _EXACT.multiply(price, factor)


def shown(amount: Decimal) -> str:
    """Return *amount* with two decimals, rounded down: an announcement never promises too much."""
    return f"{amount.quantize(_CENT, rounding=decimal.ROUND_FLOOR, context=_EXACT):f}"


def grouped(amount: Decimal) -> str:
    """Return *amount* for a list that people read: `1 000.00`, rounded half up to two decimals."""
    cents = amount.quantize(_CENT, rounding=decimal.ROUND_HALF_UP, context=_EXACT) + ZERO  # No -0.00.
    return f"{cents:,f}".replace(",", " ")


def plain(amount: Decimal) -> str:
    """Return *amount* as people and switches read it: no exponent, no thousands separator."""
    text = str(amount)
    return f"{amount:f}" if "E" in text else text
