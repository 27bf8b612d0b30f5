"""The numbers that one leg was accepted for before it was heard of: call forwarding, fail-over. Pure.

The leg holds the dearest of them. The first record that names one of them tells which was talked to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from billing_core.money import plain, read_rounding
from billing_core.rate_table import Rate


@dataclass(frozen=True, slots=True)
class Asked:
    """A number in its normal form, and the rate at which it was accepted."""

    number: str
    rate: Rate


def asked_text(numbers: Sequence[Asked]) -> str | None:
    """Return *numbers* as JSON text, None for none: what `Session.asked` keeps."""
    return orjson.dumps([_told(item) for item in numbers]).decode() if numbers else None


def asked_numbers(text: str | None) -> list[Asked]:
    """Read them again from `Session.asked`."""
    return [_read(item) for item in orjson.loads(text)] if text else []


def _told(item: Asked) -> dict[str, Any]:
    rate = item.rate
    return {
        "number": item.number,
        "code": rate.code,
        "destination": rate.destination,
        "price": plain(rate.price_per_minute),
        "setup_fee": plain(rate.setup_fee),
        "volume": [rate.min_volume_seconds, rate.interval_seconds, rate.grace_seconds],
        "factor": plain(rate.factor),
        "rounding": str(rate.rounding),
    }


def _read(told: dict[str, Any]) -> Asked:
    minimum, interval, grace = told["volume"]
    rate = Rate(
        code=told["code"],
        destination=told["destination"],
        price_per_minute=Decimal(told["price"]),
        setup_fee=Decimal(told["setup_fee"]),
        min_volume_seconds=minimum,
        interval_seconds=interval,
        grace_seconds=grace,
        factor=Decimal(told["factor"]),
        rounding=read_rounding(told["rounding"]),
    )
    return Asked(told["number"], rate)
