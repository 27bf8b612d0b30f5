"""Prices: a rate is what calls to one code cost from one moment on; a rate table finds it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing_core.money import DEFAULT_ROUNDING, ONE, Rounding


@dataclass(frozen=True, slots=True)
class Rate:
    """What a call to numbers that begin with `code` costs.

    `effective_from` absent reaches back to the start, `end_date` absent is until replaced; the
    end itself is no longer covered. With a `time_profile` it holds only at those times. It is for
    numbers of `number_length_min` to `number_length_max` digits, where 0 is no bound. No call may
    start to a `blocked` code. `factor` converts the table's currency into the client's.
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
    time_profile: str | None = None
    number_length_min: int = 0
    number_length_max: int = 0
    blocked: bool = False
    factor: Decimal = ONE
    rounding: Rounding = DEFAULT_ROUNDING

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

    def fits(self, digits: int) -> bool:
        """Tell whether it is for numbers of so many digits."""
        return self.number_length_min <= digits and (
            self.number_length_max == 0 or digits <= self.number_length_max
        )


@dataclass(frozen=True, slots=True)
class RateTable:
    """All rates of one price list, by code; of one code the newest comes first."""

    id: int
    name: str
    currency: str
    rates: dict[str, tuple[Rate, ...]]
    code_length_max: int
    parent_id: int | None = None
    rounding: Rounding = DEFAULT_ROUNDING

    def find(
        self, number: str, at: datetime, profiles: Collection[str] = (), *, longer_than: int = 0
    ) -> Rate | None:
        """Return the rate of the longest code of *number* that is in force at *at*.

        Only codes of more than *longer_than* digits count. Of one code the rates of one time profile
        follow each other, and only the last that has begun counts: one that it replaced does not come
        back when it ends. A rate of one of *profiles*, which are those in force at *at*, is preferred to
        one without.
        """
        for length in range(min(len(number), self.code_length_max), longer_than, -1):
            versions = self.rates.get(number[:length], ())
            if versions and (found := _in_force(versions, len(number), at, profiles)):
                return found
        return None


def _in_force(
    versions: tuple[Rate, ...], digits: int, at: datetime, profiles: Collection[str]
) -> Rate | None:
    """Return which of one code's *versions*, the newest first, holds for a number of so many *digits*."""
    seen: set[str | None] = set()
    without_profile = None
    for rate in versions:
        if rate.time_profile in seen or not rate.has_begun(at) or not rate.fits(digits):
            continue
        seen.add(rate.time_profile)
        if rate.has_ended(at):
            continue
        if rate.time_profile in profiles:
            return rate
        if rate.time_profile is None:
            without_profile = rate
    return without_profile


class RateTableBuilder:
    """Builds a rate table piece by piece, since nobody can wait for a large one."""

    def __init__(
        self,
        id: int,
        name: str,
        currency: str,
        parent_id: int | None = None,
        rounding: Rounding = DEFAULT_ROUNDING,
    ) -> None:
        """Begin a table without rates."""
        self._parent_id = parent_id
        self._rounding = rounding
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
        return RateTable(
            self._id,
            self._name,
            self._currency,
            self._rates,
            self._code_length_max,
            self._parent_id,
            self._rounding,
        )


def rate_table(
    id: int,
    name: str,
    currency: str,
    rates: Iterable[Rate],
    parent_id: int | None = None,
    rounding: Rounding = DEFAULT_ROUNDING,
) -> RateTable:
    """Build a rate table at once; *rates* may come in any order."""
    builder = RateTableBuilder(id, name, currency, parent_id, rounding)
    builder.add(rates)
    return builder.build()


def _effective_timestamp(rate: Rate) -> float:
    return rate.effective_from.timestamp() if rate.effective_from else float("-inf")
