"""What the columns of a rates file may hold, and what their texts mean."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from billing_core.money import ZERO
from billing_core.number import normalise
from billing_core.settings import amount, nearest

_SECONDS_MAX = 86_400
_DIGITS_MAX = 40
_REMEMBERED_MAX = 4096

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)
_PLAIN_CODE = re.compile(r"(?!00)[0-9*#]{1,40}")
_TRUTHS = {"true": True, "false": False}


class RateRow(NamedTuple):
    """A rate as written on `line`; see `billing_core.rate_table.Rate` for what its fields mean.

    A tuple, since a million of them go through COPY one after the other.
    """

    line: int
    code: str
    price_per_minute: Decimal
    destination: str = ""
    setup_fee: Decimal = ZERO
    min_volume_seconds: int = 1
    interval_seconds: int = 1
    grace_seconds: int = 0
    effective_from: datetime | None = None
    end_date: datetime | None = None
    time_profile: str | None = None
    number_length_min: int = 0
    number_length_max: int = 0
    blocked: bool = False


# --- one parser for each kind of field; they raise ValueError ---------------------------------------


def _fee(text: str) -> Decimal:
    fee = amount(text)
    if fee < 0:
        raise ValueError(f'"{text}" is negative; only price_per_minute may be')
    return fee


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > _SECONDS_MAX:
        raise ValueError(f'"{text}" is not a whole number of seconds from 0 to {_SECONDS_MAX}')
    return int(text)


def _interval(text: str) -> int:
    seconds = _seconds(text)
    if seconds == 0:
        raise ValueError("an interval of 0 would never end; write 1 for billing by the second")
    return seconds


def _digits(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", text) or int(text) > _DIGITS_MAX:
        raise ValueError(f'"{text}" is not a number of digits from 0 (no bound) to {_DIGITS_MAX}')
    return int(text)


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise ValueError(f'"{text}" is neither true nor false')
    return _TRUTHS[text.lower()]


def _instant(text: str) -> datetime:
    """Read a date, which begins at midnight UTC, or an instant of RFC 3339."""
    form = _INSTANT.fullmatch(text)
    if form is None:
        raise ValueError(f'"{text}" is not a date; write "2026-12-31" or "2026-12-31T22:00:00Z"')
    if form[1] and not form[2]:
        raise ValueError(f'"{text}" names no time zone; add Z for UTC, or an offset as +02:00')
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(UTC) if form[2] else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text}" is a date that does not exist') from None


def _code(text: str) -> str:
    if _PLAIN_CODE.fullmatch(text):
        return text
    number = normalise(text)
    if number is None or len(text) > _DIGITS_MAX:
        raise ValueError(f'"{text}" is not a code; write 1 to {_DIGITS_MAX} of the characters 0-9 * #')
    raise ValueError(f'"{text}" has a prefix that numbers are compared without; write "{number}"')


def _destination(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a character that cannot be shown; remove it")
    return text


def _time_profile(known: Collection[str] | None) -> Callable[[str], str]:
    """Return the parser of names of time profiles; None is for somebody who does not know them."""

    def read(text: str) -> str:
        if known is not None and text not in known:
            hint = nearest(text, known) if known else "; none is defined yet: define it, or leave it empty"
            raise ValueError(f'there is no time profile "{text}"{hint}')
        return _destination(text)

    return read


@dataclass(frozen=True, slots=True)
class _Column:
    """How a column is read; `repeats` if so few different texts stand in it that they are remembered."""

    read: Callable[[str], Any]
    is_required: bool = False
    repeats: bool = True


_COLUMNS: dict[str, _Column] = {
    "code": _Column(_code, is_required=True, repeats=False),
    "destination": _Column(_destination),
    "price_per_minute": _Column(amount, is_required=True),
    "setup_fee": _Column(_fee),
    "min_volume_seconds": _Column(_seconds),
    "interval_seconds": _Column(_interval),
    "grace_seconds": _Column(_seconds),
    "effective_from": _Column(_instant),
    "end_date": _Column(_instant),
    "time_profile": _Column(_time_profile(None)),
    "number_length_min": _Column(_digits),
    "number_length_max": _Column(_digits),
    "blocked": _Column(_truth),
}
NAMES = tuple(_COLUMNS)
REQUIRED = tuple(name for name, column in _COLUMNS.items() if column.is_required)


class Meanings(dict[str, Any]):
    """What the texts of one column mean; a text that means nothing raises ValueError.

    Most columns hold a few values over and over, so a bounded number of texts is read only once.
    """

    def __init__(self, name: str, time_profiles: Collection[str] | None) -> None:
        """Begin with nothing remembered; *time_profiles* are the names that may stand there, if known."""
        super().__init__()
        column = _COLUMNS[name]
        self._read = _time_profile(time_profiles) if name == "time_profile" else column.read
        self._remembered_max = _REMEMBERED_MAX if column.repeats else 0
        self._is_required = column.is_required
        self._default = RateRow._field_defaults.get(name)

    def __missing__(self, text: str) -> Any:
        """Read a text that is not remembered; an empty one is the default."""
        value = self._read(text) if text or self._is_required else self._default
        if len(self) >= self._remembered_max:
            self.clear()
        if self._remembered_max:
            self[text] = value
        return value
