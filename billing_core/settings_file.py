"""Settings files: TOML that is read whole, every fault named as `file:line: key: what is wrong`.

`read` turns a file into a `Document`, which knows the line of each key; `validate` turns a document
into a frozen model or raises `SettingsError` with all faults at once. Below stand the kinds of value
that several files have in common.
"""

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache, cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails, core_schema

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys, and places in arrays, as `("nas", 0, "secret")`."""

_LISTED_MAX = 100

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at one place of a file, and what would be right; line 0 is the file as a whole."""

    file: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """Write the fault as compilers do, so that editors jump to it."""
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return ": ".join(part for part in (place, self.key, self.message) if part)


class SettingsError(Exception):
    """A file cannot be used; `faults` are all that was found, `more` counts those not kept."""

    def __init__(self, faults: Iterable[Fault], more: int = 0) -> None:
        """Keep *faults*, of which there is at least one."""
        self.faults = tuple(faults)
        self.more = more
        super().__init__(self.faults, more)

    def __str__(self) -> str:
        """List the faults, one to a line."""
        lines = [str(fault) for fault in self.faults[:_LISTED_MAX]]
        more = len(self.faults) - len(lines) + self.more
        return "\n".join([*lines, f"... and {more} more"] if more else lines)


@dataclass(frozen=True)
class Document:
    """A TOML file as read. Its content holds secrets, so it is never shown."""

    file: Path
    text: str = field(repr=False)
    data: dict[str, Any] = field(repr=False)

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return _lines_of(self.text)

    def line_of(self, path: KeyPath) -> int:
        """Return the line of *path*, as `("nas", 0, "secret")`, or of the nearest table around it."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def fault(self, path: KeyPath, message: str) -> Fault:
        """Return a fault at *path*; places in arrays are told by the line alone."""
        key = ".".join(part for part in path if isinstance(part, str))
        return Fault(self.file, self.line_of(path), key, message)

    def tables(self, key: str) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
        """Yield the tables of the array *key*, each with its path."""
        for index, table in enumerate(self.data.get(key) or ()):
            yield (key, index), table


def read(file: Path, octets_max: int = 10_000_000) -> Document:
    """Read and parse a TOML file; raise SettingsError when that cannot be done."""
    try:
        with file.open("rb") as stream:
            octets = stream.read(octets_max + 1)
    except OSError as error:
        raise SettingsError([Fault(file, 0, "", f"cannot be read: {error.strerror}")]) from None
    if len(octets) > octets_max:
        raise SettingsError([Fault(file, 0, "", f"is larger than {octets_max:,} octets")])
    try:
        text = octets.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        message = f"octet 0x{octets[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise SettingsError([Fault(file, line, "", message)]) from None
    return Document(file, text, _parsed(file, text))


def _parsed(file: Path, text: str) -> dict[str, Any]:
    """Return what *text* says; a TOML parser stops at the first error, so that is the only fault."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        fault = Fault(file, 0, "", "arrays or tables are nested too deeply")
    except ValueError as error:
        message, line = str(error), 0
        if place := re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message):
            message = message[: place.start()]
            line = int(place[1] or text.rstrip("\n").count("\n") + 1)
        fault = Fault(file, line, "", f"not valid TOML: {_plain_words(message)}")
    raise SettingsError([fault])


def _plain_words(message: str) -> str:
    """Explain the errors of the parser that do not explain themselves."""
    if message.startswith(("Cannot overwrite", "Cannot declare", "Duplicate inline", "Cannot mutate")):
        return f"this key or table is set twice; keep one ({message})"
    if message.startswith("Invalid value"):
        return "a value must be a string in quotes, a number, true, false, an array or a table"
    if message.startswith("Exceeds the limit"):
        return "a number has too many digits"
    return message


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


def nearest(word: str, words: Iterable[str]) -> str:
    """Return the end of a sentence: which of *words* was probably meant, or which few there are."""
    known = sorted(words)
    if close := difflib.get_close_matches(word, known, n=1):
        return f'; did you mean "{close[0]}"?'
    return f"; known here: {', '.join(known)}" if len(known) <= 20 else ""


def repeated(values: Iterable[tuple[KeyPath, Hashable]]) -> Iterator[tuple[KeyPath, KeyPath]]:
    """Yield each place whose value stood at an earlier place, with that place; None is no value."""
    first: dict[Hashable, KeyPath] = {}
    for path, value in values:
        if value is not None and first.setdefault(value, path) != path:
            yield path, first[value]


# --- values that several files have in common -------------------------------------------------------

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
        raise ValueError("must be 1 to 255 characters without spaces around them")
    return text


def _timezone(name: str) -> str:
    if name not in _timezones():
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


# --- where things stand in a TOML text: the parser of the standard library does not tell ------------

_TOKEN = re.compile(
    r"""
    (?P<blank>  [ \t]+ | \#[^\n]* )
  | (?P<newline> \n )
  | (?P<string> \"{3} (?:\\.|[^\\])*? \"{3,5}    # Up to two quotes may stand before the closing three.
              | '{3} .*? '{3,5}
              | " (?:\\.|[^"\\])* "
              | ' [^']* ' )
  | (?P<mark>   [\[\]{}=,.] )
  | (?P<bare>   [^\s\[\]{}=,.\#"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)


def _lines_of(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, on which each table, key and element of an array stands."""
    scan = _Scan(text)
    # Too deep a nesting ends the search; what is found by then is still right.
    with suppress(RecursionError, StopIteration):
        scan.document()
    return scan.lines


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "blank":
            yield match[0], line
        line += match[0].count("\n")
    yield "", line


class _Scan:
    """One walk over the tokens of a text; running out of them raises StopIteration."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self._last: dict[KeyPath, int] = {}  # Array of tables: the place of its latest table.
        self._tokens = _tokens(text)
        self._advance()

    def document(self) -> None:
        table: KeyPath = ()
        while self.token:
            if self.token == "\n":
                self._advance()
            elif self.token == "[":
                table = self._header()
            else:
                self._pair(table)

    def _advance(self) -> None:
        self.token, self.line = next(self._tokens)

    def _header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]`; return where the table stands."""
        line = self.line
        self._advance()
        is_array = self.token == "["
        if is_array:
            self._advance()
        *around, last = self._key()
        table: KeyPath = ()
        for part in around:
            table = self._latest((*table, part))
            self.lines.setdefault(table, line)
        table = (*table, last)
        self.lines.setdefault(table, line)
        if is_array:
            self._last[table] = self._last.get(table, -1) + 1
        table = self._latest(table)
        self.lines[table] = line
        while self.token == "]":
            self._advance()
        return table

    def _latest(self, path: KeyPath) -> KeyPath:
        return (*path, self._last[path]) if path in self._last else path

    def _key(self) -> list[str]:
        """Read a key up to its `=` or `]`."""
        parts = []
        while self.token not in ("=", "]"):
            if self.token != ".":
                parts.append(self.token)
            self._advance()
        return [_unquoted(part) for part in parts]

    def _pair(self, table: KeyPath) -> None:
        line = self.line
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._advance()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        match self.token:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                self._advance()
                while self.token not in (",", "]", "}", "\n", ""):
                    self._advance()

    def _array(self, path: KeyPath) -> None:
        self._advance()
        place = 0
        while self.token != "]":
            if self.token in ("\n", ","):
                self._advance()
                continue
            self.lines[(*path, place)] = self.line
            self._value((*path, place))
            place += 1
        self._advance()

    def _inline_table(self, path: KeyPath) -> None:
        self._advance()
        while self.token != "}":
            if self.token in ("\n", ","):
                self._advance()
            else:
                self._pair(path)
        self._advance()


def _unquoted(key: str) -> str:
    return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key
