"""A settings file as read: TOML whose every key knows its line, and faults that name it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli

from billing_core.settings.toml_lines import KeyPath, lines_of

_LISTED_MAX = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at one place of a file, and what would be right; line 0 is the file as a whole.

    What no file says has a place in words, such as `client Customer A`.
    """

    file: Path | str
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
        return lines_of(self.text)

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
        return tomli.loads(text)
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
