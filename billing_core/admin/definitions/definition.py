"""What all definitions have in common: they know which of their fields were named, and how to write one flat.

A flat field is called as in a file, with a point before the parts of a section: `low_balance.threshold`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any, get_args

from pydantic import ValidationInfo, field_validator

from billing_core.admin.definitions.week_spans import written_span
from billing_core.admin.output import instant
from billing_core.settings import Section
from billing_core.time_profile import Span

Fields = dict[str, Any]


class Definition(Section):
    """A part of a definitions file that remembers which of its fields were named."""

    @property
    def fields(self) -> Mapping[str, object]:
        """Return the fields that the file names: these are set, all others are left alone."""
        return {key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}


class Whole(Definition):
    """A section that is set as a whole: who names it sets the parts that are not named to their defaults."""


class Emptiable(Definition):
    """A definition where empty text stands for no value: TOML has no word for it."""

    @field_validator("*", mode="before")
    @classmethod
    def _nothing(cls, value: object, info: ValidationInfo) -> object:
        """Take empty text for no value, where a field may have none."""
        return None if value == "" and info.field_name in _optional(cls) else value


class Parts(Emptiable):
    """A section whose parts are fields of their own: those that are not named are left alone."""


def flat(fields: Mapping[str, object]) -> Fields:
    """Return named fields with the parts of their sections, each with a value as the database gives it."""
    found: Fields = {}
    for name, value in fields.items():
        match value:
            case Whole():
                parts = type(value).model_fields
                found |= {f"{name}.{part}": plain(getattr(value, part)) for part in parts}
            case Parts():
                found |= {f"{name}.{part}": plain(item) for part, item in value.fields.items()}
            case _:
                found[name] = plain(value)
    return found


def default_fields(model: type[Definition], fields: Collection[str]) -> Fields:
    """Return the *fields* of a new thing of *model* where nothing is named, with the parts of sections."""
    new = model.model_validate({"name": "new"})
    found = flat({name: getattr(new, name) for name in fields if name not in _sections(model)})
    for name, section in _sections(model).items():
        if name in fields:
            parts = section()
            found |= {f"{name}.{part}": plain(getattr(parts, part)) for part in section.model_fields}
    return found


@cache
def _sections(model: type[Definition]) -> dict[str, type[Parts]]:
    """Return the sections of a model whose parts are fields of their own."""
    return {
        name: kind
        for name, field in model.model_fields.items()
        for kind in get_args(field.annotation)
        if isinstance(kind, type) and issubclass(kind, Parts)
    }


@cache
def _optional(model: type[Definition]) -> frozenset[str]:
    """Return the fields of a model that may have no value."""
    absent = {name for name, field in model.model_fields.items() if field.default is None}
    return frozenset(absent - _sections(model).keys())


def plain(value: Any) -> Any:
    """Return a value as the database gives it."""
    match value:
        case tuple():
            return [plain(item) for item in value]
        case Span():
            return written_span(value)
        case str():
            return str(value)
    return value


def exchange_rate_name(currency: str, into: str, effective_from: datetime) -> str:
    """Return what an exchange rate is called, as it has no name of its own."""
    return f"{currency} into {into} from {instant(effective_from)}"
