"""From a document to a frozen model, or to all of its faults at once, each in a plain sentence."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
)
from pydantic_core import ErrorDetails

from billing_core.settings.document import Document, Fault, SettingsError
from billing_core.settings.suggestions import nearest
from billing_core.settings.toml_lines import KeyPath

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """A table of a settings file: frozen, exact about types, closed to unknown keys."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True
    )


Check = Callable[[Document], Iterable[Fault]]


def validate(model: type[Model], document: Document, *checks: Check) -> Model:
    """Return *document* as a *model*, or raise SettingsError with every fault, in the order of lines.

    A check looks at what no single value tells. It is given the document with None in place of each
    value that is faulty by itself, so that one run finds the faults of both kinds.
    """
    settings: Model | None = None
    faults: list[Fault] = []
    try:
        settings = model.model_validate(document.data, context={"directory": document.file.parent})
    except ValidationError as error:
        # Raised from outside this block: the original shows values, and some are secrets.
        paths = []
        for detail in error.errors(include_url=False):
            path = tuple(part for part in detail["loc"] if part != "[key]")
            paths.append(path)
            faults.append(document.fault(path, _sentence(model, path, detail)))
        document = _without(document, paths)
    for check in checks:
        faults.extend(check(document))
    if settings is None or faults:
        raise SettingsError(sorted(faults, key=lambda fault: fault.line))
    return settings


def _without(document: Document, paths: Iterable[KeyPath]) -> Document:
    """Return *document* with None at each of *paths*, or at the array that has the faulty element."""
    sound = replace(document, data=deepcopy(document.data))
    for path in paths:
        table, key = _holder(sound.data, path)
        if key in table:
            table[key] = None
    return sound


def _holder(data: dict[str, Any], path: KeyPath) -> tuple[dict[str, Any], str]:
    """Return the innermost table on the way to *path* that exists, and the key taken there."""
    found: Any = data
    table, key = data, ""
    for part in path:
        if isinstance(part, str) and isinstance(found, dict):
            table, key, found = found, part, found.get(part)
        elif isinstance(part, int) and isinstance(found, list):
            found = found[part]
        else:
            break
    return table, key


_SENTENCES = {
    "missing": "missing",
    "string_type": "must be a string in quotes, not {kind}",
    "int_type": "must be a whole number without quotes, not {kind}",
    "float_type": "must be a number without quotes, not {kind}",
    "finite_number": "must be a number, which {input} is not",
    "bool_type": "must be true or false without quotes, not {kind}",
    "tuple_type": "must be an array in [ ], not {kind}",
    "dict_type": "must be a table, not {kind}",
    "model_type": "must be a table, not {kind}",
    "greater_than_equal": "{input} is too small; the least is {ge}",
    "less_than_equal": "{input} is too large; the most is {le}",
    "too_short": "must name at least {min_length}",
    "value_error": "{error}",
}

_KINDS: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a point",
    list: "an array (or a table in double brackets)",
    dict: "a single table (an array of tables has double brackets)",
    datetime: "a date",
    date: "a date",
    time: "a time",
}


def _sentence(model: type[BaseModel], path: KeyPath, detail: ErrorDetails) -> str:
    """Say in plain words what pydantic found at *path*; strings are never repeated: some are secrets."""
    if detail["type"] == "extra_forbidden":
        return f"unknown key{nearest(str(path[-1]), _keys_around(model, path))}"
    sentence = _SENTENCES.get(detail["type"], "{msg}")
    kind = _KINDS.get(type(detail["input"]), "this")
    return sentence.format(kind=kind, msg=detail["msg"], input=detail["input"], **detail.get("ctx", {}))


def _keys_around(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that the table around *path* may have."""
    for part in path[:-1]:
        if isinstance(part, str):
            model = next(_models_in(model.model_fields[part].annotation))
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def repeated(values: Iterable[tuple[KeyPath, Hashable]]) -> Iterator[tuple[KeyPath, KeyPath]]:
    """Yield each place whose value stood at an earlier place, with that place; None is no value."""
    first: dict[Hashable, KeyPath] = {}
    for path, value in values:
        if value is not None and first.setdefault(value, path) != path:
            yield path, first[value]
