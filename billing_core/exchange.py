"""Factors between currencies, each in force from its date on."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from billing_core.money import ONE


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """One unit of `currency` is `factor` units of `into`, from `effective_from` on."""

    currency: str
    into: str
    factor: Decimal
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class Exchange:
    """All factors, by pair of currencies in order of date."""

    rates: dict[tuple[str, str], list[ExchangeRate]] = field(default_factory=dict)

    def factor(self, currency: str, into: str, at: datetime) -> Decimal | None:
        """Return by what an amount of *currency* is multiplied at *at*; None when nobody has said."""
        if currency == into:
            return ONE
        dated = self.rates.get((currency, into), [])
        place = bisect_right(dated, at, key=lambda rate: rate.effective_from)
        return dated[place - 1].factor if place else None


def exchange(rates: Iterable[ExchangeRate]) -> Exchange:
    """Return the factors of *rates*, which may come in any order."""
    found: dict[tuple[str, str], list[ExchangeRate]] = {}
    for rate in sorted(rates, key=lambda rate: rate.effective_from):
        found.setdefault((rate.currency, rate.into), []).append(rate)
    return Exchange(found)
