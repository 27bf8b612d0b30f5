"""Prices: a rate is what calls to one code cost from one moment on; a rate table finds it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rate:
    """What a call to numbers that begin with `code` costs.

    `effective_from` absent reaches back to the start, `end_date` absent is until replaced; the
    end itself is no longer covered.
    """

    code: str
    destination: str
    price_per_minute: Decimal
    setup_fee: Decimal
    min_volume_seconds: int
    interval_seconds: int
    grace_seconds: int
    effective_from: datetime | None = None
    end_date: datetime | None = None

    def __post_init__(self) -> None:
        """An interval of nothing would never end, and a negative volume would pay the caller."""
        assert self.interval_seconds >= 1
        assert self.min_volume_seconds >= 0

    def has_begun(self, at: datetime) -> bool:
        """Tell whether the rate has taken the place of those before it by *at*."""
        return self.effective_from is None or self.effective_from <= at

    def has_ended(self, at: datetime) -> bool:
        """Tell whether the rate no longer holds at *at*."""
        return self.end_date is not None and self.end_date <= at


@dataclass(frozen=True, slots=True)
class RateTable:
    """All rates of one price list, by code; of one code the newest comes first."""

    id: int
    name: str
    currency: str
    rates: dict[str, tuple[Rate, ...]]
    code_length_max: int

    def find(self, number: str, at: datetime) -> Rate | None:
        """Return the rate of the longest code of *number* that is in force at *at*.

        Of one code only the last rate that has begun counts: one that it replaced does not come back
        when it ends.
        """
        for length in range(min(len(number), self.code_length_max), 0, -1):
            versions = self.rates.get(number[:length], ())
            newest = next((rate for rate in versions if rate.has_begun(at)), None)
            if newest is not None and not newest.has_ended(at):
                return newest
        return None


class RateTableBuilder:
    """Builds a rate table piece by piece, since nobody can wait for a large one."""

    def __init__(self, id: int, name: str, currency: str) -> None:
        """Begin a table without rates."""
        self._id = id
        self._name = name
        self._currency = currency
        self._rates: dict[str, tuple[Rate, ...]] = {}
        self._code_length_max = 0

    def add(self, rates: Iterable[Rate]) -> None:
        """Add rates, in any order."""
        for rate in rates:
            others = self._rates.get(rate.code)
            versions = (rate,) if others is None else (*others, rate)
            if others is not None:
                versions = tuple(sorted(versions, key=_effective_timestamp, reverse=True))
            self._rates[rate.code] = versions
            self._code_length_max = max(self._code_length_max, len(rate.code))

    def build(self) -> RateTable:
        """Return the table of all rates added."""
        return RateTable(self._id, self._name, self._currency, self._rates, self._code_length_max)


def rate_table(id: int, name: str, currency: str, rates: Iterable[Rate]) -> RateTable:
    """Build a rate table at once; *rates* may come in any order."""
    builder = RateTableBuilder(id, name, currency)
    builder.add(rates)
    return builder.build()


def _effective_timestamp(rate: Rate) -> float:
    return rate.effective_from.timestamp() if rate.effective_from else float("-inf")
