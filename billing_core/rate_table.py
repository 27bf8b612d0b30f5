"""Prices: a rate is what calls to one code cost from one moment on; a rate table finds it."""

from collections.abc import Iterable, Mapping
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
    rates: Mapping[str, tuple[Rate, ...]]
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


def rate_table(id: int, name: str, currency: str, rates: Iterable[Rate]) -> RateTable:
    """Build a rate table; *rates* may come in any order."""
    by_code: dict[str, tuple[Rate, ...]] = {}
    for rate in rates:
        by_code[rate.code] = (*by_code.get(rate.code, ()), rate)
    for code, versions in by_code.items():
        if len(versions) > 1:
            by_code[code] = tuple(sorted(versions, key=_effective_timestamp, reverse=True))
    return RateTable(id, name, currency, by_code, max(map(len, by_code), default=0))


def _effective_timestamp(rate: Rate) -> float:
    return rate.effective_from.timestamp() if rate.effective_from else float("-inf")
