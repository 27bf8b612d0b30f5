"""Kinds of value that several settings files have in common."""

import math
import os
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    ValidationInfo,
)
from pydantic_core import core_schema

from billing_core.settings.suggestions import nearest

T = TypeVar("T")


Array = Annotated[tuple[T, ...], Field(strict=False)]
"""A TOML array, as a tuple."""


def section() -> Any:
    """Return the field of a section that may be absent: then its defaults hold, checked as if written."""
    return Field(default_factory=dict, validate_default=True)


def default(text: object, repr: bool = True) -> Any:
    """Return a field whose default is given as a file would write it, and read the same way."""
    return Field(default=text, repr=repr)


def written(parse: Callable[[str], object]) -> GetPydanticSchema:
    """Mark a value that is written as a string and read by *parse*, which raises ValueError."""
    schema = core_schema.no_info_after_validator_function(parse, core_schema.str_schema(strict=True))
    return GetPydanticSchema(lambda _source, _handler: schema)


def one_of(choices: Mapping[str, object]) -> GetPydanticSchema:
    """Mark a value that is written as one of the words of *choices*, and means what stands there."""

    def choose(word: str) -> object:
        if word not in choices:
            raise ValueError(f'"{word}" is not known{nearest(word, choices)}')
        return choices[word]

    return written(choose)


def words(*choices: str) -> GetPydanticSchema:
    """Mark a value that is one of *choices*, which stand for themselves."""
    return one_of({str(choice): choice for choice in choices})


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a character that cannot be shown, such as a line break; remove it")
    return text


def _name(text: str) -> str:
    if not text or text != text.strip() or len(text) > 255:
        told = text if len(text) <= 40 else f"{text[:40]}..."
        raise ValueError(f'"{told}" must be 1 to 255 characters without spaces around them')
    return text


def _timezone(name: str) -> str:
    if name not in _timezones():
        if name.isupper() and "/" not in name:
            # The nearest abbreviation is of another part of the world: MSK is no MST.
            raise ValueError(
                f'"{name}" is an abbreviation, which several zones may share;'
                ' write region and city of an IANA time zone, such as "Europe/Paris"'
            )
        raise ValueError(
            f'"{name}" is not an IANA time zone, such as "Europe/Paris"{nearest(name, _timezones())}'
        )
    return name


@cache
def _timezones() -> frozenset[str]:
    """Return the zones of the world; the machine's own would mean something else on the next machine."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def different(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return *values*; raise ValueError when one is there twice."""
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f'"{value}" is named twice')
    return values


Text = Annotated[str, AfterValidator(_printable)]
Name = Annotated[Text, AfterValidator(_name)]
Timezone = Annotated[str, AfterValidator(_timezone)]

_AMOUNT = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,8})?")


def amount(text: str) -> Decimal:
    """Return the amount or price that *text* writes: 1 to 9 digits, and up to 8 after a point."""
    if _AMOUNT.fullmatch(text):
        return Decimal(text) + 0  # There is no negative zero of money.
    if "," in text:
        raise ValueError(f'"{text}" has a comma; use a point, and nothing between thousands')
    raise ValueError(
        f'"{text}" is not an amount; write at most 9 digits, and 8 more after a point, as in "12.50"'
    )


def _money(value: object) -> Decimal:
    match value:
        case bool():
            raise ValueError('must be an amount in quotes, such as "12.50", not true or false')
        case float() if math.isfinite(value):
            raise ValueError(f'{value} is not exact without quotes; write it as a string: "{value}"')
        case int() | str():
            return amount(str(value))
        case _:
            raise ValueError('must be an amount in quotes, such as "12.50"')


Money = Annotated[Decimal, BeforeValidator(_money)]


def address(text: str) -> IPv4Address | IPv6Address:
    """Return an IP address; IPv4 in IPv6 is IPv4, a scope id is left out. Raise ValueError."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        raise ValueError(f'"{text}" is not an IP address') from None
    return getattr(found, "ipv4_mapped", None) or found


def _beside(name: str, info: ValidationInfo[Any]) -> Path:
    """Return the path *name*, relative to the file that names it."""
    if not name or "\0" in name:
        raise ValueError("must be the path of a file or directory")
    return Path(os.path.abspath(info.context["directory"] / name))


PathBeside = Annotated[
    Path,
    GetPydanticSchema(
        lambda _source, _handler: core_schema.with_info_after_validator_function(
            _beside, core_schema.str_schema(strict=True)
        )
    ),
]
"""A path, relative to the file that names it."""
