"""Changes of clients that are given by flags instead of files, as definitions that go the same way.

A fault names the client and the flag, where one of a file names the line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from billing_core.admin.client_fields import FIELDS, Kind, flag
from billing_core.admin.definitions import Definitions, understood
from billing_core.admin.output import CommandError, items
from billing_core.settings import Document, Fault, KeyPath

_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be set and unset of the client `name`, each field by its key; nothing if he is newer."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    if_version: int | None = None


def written(key: str, text: str) -> Any:
    """Return the value of a field that *text* says on a command line, as a definitions file would have it.

    Raises CommandError, naming the flag, when no file could say it.
    """
    found = FIELDS[key]
    match found.kind:
        case Kind.FLAG:
            if text not in _FLAGS:
                raise CommandError(f'{found.flag}: "{text}" is neither "true" nor "false"')
            return _FLAGS[text]
        case Kind.COUNT if text:
            if not (text.isascii() and text.isdigit() and len(text) <= 10):
                raise CommandError(f'{found.flag}: "{text}" is not a whole number, such as 60')
            return int(text)
        case Kind.LIST:
            return items(text)
    return text


def definitions_of(edits: Iterable[Edit]) -> Definitions:
    """Return definitions that say the same as *edits*; raise SettingsError with the faults of all."""
    return understood(_FlagDocument(Path(), "", {"client": [_table(edit) for edit in edits]}))


def _table(edit: Edit) -> dict[str, Any]:
    table: dict[str, Any] = {"name": edit.name}
    for key, value in edit.values.items():
        section, _, part = key.partition(".")
        if part:
            table.setdefault(section, {})[part] = value
        else:
            table[section] = value
    if edit.unset:
        table["unset"] = list(edit.unset)
    if edit.if_version is not None:
        table["if_version"] = edit.if_version
    return table


class _FlagDocument(Document):
    """Definitions that no file holds: a place in them is a client and a flag."""

    def line_of(self, path: KeyPath) -> int:
        """Return that there is no line."""
        return 0

    def fault(self, path: KeyPath, message: str) -> Fault:
        """Return a fault of the client at *path* and of the flag that said what is wrong."""
        _, place, *keys = path
        key = ".".join(part for part in keys if isinstance(part, str))
        assert isinstance(place, int), "all that flags define is clients"
        name = self.data["client"][place]["name"]
        return Fault(f"client {name}", 0, flag(key) if key else "", message)
