"""Prices: a rate is what calls to one code cost from one moment on; a rate table finds it."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter

from billing_core.compiled_rates import CompiledRates, RateFields, compiled
from billing_core.money import DEFAULT_ROUNDING, ONE, Rounding

# Of so many codes a table keeps the rates at hand: a few MiB, and no time to let go of.
_RECENT_MAX = 2048


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

    def converted(self, factor: Decimal, rounding: Rounding) -> "Rate":
        """Return it for a client of another currency, or as another table rounds."""
        if factor == self.factor and (rounding is self.rounding or rounding == self.rounding):
            return self
        # Field by field, for this is done for every call, and `dataclasses.replace` takes thrice the time.
        return Rate(*_fields(self), factor, rounding)

    def fits(self, digits: int) -> bool:
        """Tell whether it is for numbers of so many digits."""
        return self.number_length_min <= digits and (
            self.number_length_max == 0 or digits <= self.number_length_max
        )


@dataclass(frozen=True, slots=True)
class RateTable:
    """All rates of one price list; `rates` are its compiled form, which never changes."""

    id: int
    name: str
    currency: str
    rates: CompiledRates
    parent_id: int | None = None
    rounding: Rounding = DEFAULT_ROUNDING
    _recent: dict[int, tuple[Rate, ...]] = field(default_factory=dict, repr=False, compare=False)

    def find(
        self, number: str, at: datetime, profiles: Container[str] = (), *, longer_than: int = 0
    ) -> Rate | None:
        """Return the rate of the longest code of *number* that is in force at *at*.

        Only codes of more than *longer_than* digits count. Of one code the rates of one time profile
        follow each other, and only the last that has begun counts: one that it replaced does not come
        back when it ends. A rate of one of *profiles*, which are those in force at *at*, is preferred to
        one without. It is rounded as the table says.
        """
        for code, code_number in reversed(self.rates.prefixes(number)):
            if len(code) <= longer_than:
                return None
            versions = self._recent.get(code_number) or self._remember(code, code_number)
            if found := _in_force(versions, len(number), at, profiles):
                return found
        return None

    def _remember(self, code: str, code_number: int) -> tuple[Rate, ...]:
        """Keep the rates of a code for the next call to it, but never those of all codes."""
        if len(self._recent) >= _RECENT_MAX:
            self._recent.clear()
        fields = self.rates.versions(code, code_number)
        versions = tuple([Rate(*one, ONE, self.rounding) for one in fields])
        self._recent[code_number] = versions
        return versions


def _in_force(versions: tuple[Rate, ...], digits: int, at: datetime, profiles: Container[str]) -> Rate | None:
    """Return which of one code's *versions*, the newest first, holds for a number of so many *digits*."""
    seen: set[str | None] = set()
    without_profile = None
    for rate in versions:
        if rate.time_profile in seen or not rate.has_begun(at) or not rate.fits(digits):
            continue
        seen.add(rate.time_profile)
        if rate.has_ended(at):
            continue
        if rate.time_profile is None:
            without_profile = rate
        elif rate.time_profile in profiles:
            return rate
    return without_profile


def rate_table(
    id: int,
    name: str,
    currency: str,
    rates: Iterable[Rate],
    parent_id: int | None = None,
    rounding: Rounding = DEFAULT_ROUNDING,
) -> RateTable:
    """Build a rate table at once; *rates* may come in any order."""
    return RateTable(id, name, currency, compiled(map(_fields, rates)), parent_id, rounding)


# All that a list of rates says of one; the rest is the client's and the table's.
RATE_FIELDS = tuple(field.name for field in fields(Rate) if field.name not in ("factor", "rounding"))
_fields: Callable[[Rate], RateFields] = attrgetter(*RATE_FIELDS)
