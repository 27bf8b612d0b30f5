"""Kinds of value that definitions are made of, each with what is said when it is faulty."""

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from billing_core.admin.definitions.panel_password import is_hash
from billing_core.currency import CURRENCIES
from billing_core.money import ROUNDING_MODES
from billing_core.number import normalise
from billing_core.settings import Money, PathBeside, Text, address, nearest, words

NUMBER_LENGTH_MAX = 40

_PANEL_PASSWORD_MIN = 8

_NAME_OCTETS_MAX = 253  # What a User-Name can carry (RFC 2865 section 5).
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_LOCALE = re.compile(r"[A-Za-z]{2,3}([_-]([A-Za-z]{2}|[0-9]{3}))?")
_TECH_PREFIX = re.compile(r"[0-9*#]{0,32}")
_FACTOR = re.compile(r"[0-9]{1,9}(\.[0-9]{1,12})?")


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError(
            f'"{code}" is not a currency of ISO 4217, such as "EUR"{nearest(code.upper(), CURRENCIES)}'
        )
    return code


def email(text: str) -> str:
    """Return one email address, or the empty text for none; raise ValueError."""
    if text and not (_EMAIL.fullmatch(text) and len(text) <= 254):
        raise ValueError(f'"{text}" is not one email address in Latin letters, such as "noc@example.com"')
    return text


def _locale(text: str) -> str:
    if not _LOCALE.fullmatch(text):
        raise ValueError(f'"{text}" is not a locale, such as "en" or "en_US"')
    return text


def _account_name(text: str) -> str:
    if not 0 < len(text.encode()) <= _NAME_OCTETS_MAX:
        raise ValueError(f"must be 1 to {_NAME_OCTETS_MAX} octets, as a User-Name can carry")
    return text


def _password(text: str) -> str:
    if not 0 < len(text.encode()) <= 256:
        raise ValueError("must be 1 to 256 octets")
    return text


def ip(text: str) -> str:
    """Return an IP address in the form in which addresses are compared; raise ValueError."""
    return str(address(text))


def number(text: str) -> str:
    """Return a number in the form in which numbers are compared; raise ValueError."""
    found = normalise(text)
    if found is None or len(found) > NUMBER_LENGTH_MAX:
        raise ValueError(f'"{text}" is not a number; write digits only, such as "442071234567"')
    return found


def _tech_prefix(text: str) -> str:
    if not _TECH_PREFIX.fullmatch(text):
        raise ValueError(f'"{text}" is not a tech prefix; write at most 32 of the characters 0-9 * #')
    return text


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise ValueError(f"{file} is not there; paths are relative to this file")
    return file


def _not_negative(amount: Decimal) -> Decimal:
    if amount < 0:
        raise ValueError(f'"{amount:f}" is below zero; the least is "0"')
    return amount


def _factor(value: object) -> Decimal:
    match value:
        case float() if math.isfinite(value):
            raise ValueError(f'{value} is not exact without quotes; write it as a string: "{value}"')
        case int() | str() if not isinstance(value, bool):
            if _FACTOR.fullmatch(str(value)) and (found := Decimal(value)):
                return found
    raise ValueError(
        'must be a factor above 0 in quotes: at most 9 digits, and 12 more after a point, as in "0.92"'
    )


def moment(value: object) -> datetime:
    """Read a moment of RFC 3339, or a date, which begins at midnight UTC; TOML may write both unquoted."""
    found: object = value
    if isinstance(value, str):
        try:
            found = (
                date.fromisoformat(value)
                if len(value) <= len("2026-01-01")
                else datetime.fromisoformat(value)
            )
        except ValueError:
            found = None
    match found:
        case datetime(tzinfo=None):
            raise ValueError(f'"{found}" names no time zone; add Z for UTC, or an offset as +02:00')
        case datetime():
            return _utc(found)
        case date():
            return datetime(found.year, found.month, found.day, tzinfo=UTC)
    raise ValueError('must be a moment, such as "2026-12-31T22:00:00Z", or a date, such as "2026-12-31"')


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f'"{moment}" is out of reach; write a moment of the years 1 to 9999') from None


def day(value: object) -> date:
    """Read a date; TOML may write it unquoted."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and len(value) == len("2026-12-31"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f'"{value}" is not a date, such as "2026-12-31"')


def _panel_password(text: str) -> str:
    if len(text) < _PANEL_PASSWORD_MIN:
        raise ValueError(f"must have at least {_PANEL_PASSWORD_MIN} characters")
    return text


def _password_hash(text: str) -> str:
    if not is_hash(text):
        raise ValueError("is no hash of Argon2id as an export writes it; write `password` instead")
    return text


Capacity = Annotated[int, Field(ge=0, le=2_147_483_647)]
Currency = Annotated[str, AfterValidator(_currency)]
Email = Annotated[Text, AfterValidator(email)]
Locale = Annotated[str, AfterValidator(_locale)]
AccountName = Annotated[Text, AfterValidator(_account_name)]
Password = Annotated[Text, AfterValidator(_password)]
Ip = Annotated[str, AfterValidator(ip)]
Ani = Annotated[str, AfterValidator(number)]
TechPrefix = Annotated[str, AfterValidator(_tech_prefix)]
ExistingFile = Annotated[PathBeside, AfterValidator(_existing)]
MoneyNotNegative = Annotated[Money, AfterValidator(_not_negative)]
Factor = Annotated[Decimal, BeforeValidator(_factor)]
Day = Annotated[date, BeforeValidator(day)]
PanelPassword = Annotated[str, Field(max_length=1000), AfterValidator(_panel_password)]
PasswordHash = Annotated[str, AfterValidator(_password_hash)]
Instant = Annotated[datetime, BeforeValidator(moment)]
RoundingMode = Annotated[str, words(*ROUNDING_MODES)]
