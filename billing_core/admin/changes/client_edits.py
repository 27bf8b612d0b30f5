"""Changes of clients that are given by flags instead of files, as definitions that go the same way.

A fault names the client and the flag, where one of a file names the line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from billing_core.admin.definitions.client_fields import FIELDS, Kind, flag
from billing_core.admin.definitions.definition import Fields
from billing_core.admin.definitions.definitions import Definitions, understood
from billing_core.admin.definitions.inventory import Item
from billing_core.admin.output import CommandError, items
from billing_core.money import plain
from billing_core.settings import Document, Fault, KeyPath

_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be set and unset of the client `name`, each field by its key; nothing if he is newer.

    `accounts` are all that he shall have, as tables of a definitions file; None leaves them alone.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    if_version: int | None = None
    accounts: Sequence[Fields] | None = None


def written(key: str, text: str) -> Any:
    """Return the value of a field that *text* says on a command line, as a definitions file would have it.

    Raises CommandError, naming the flag, when no file could say it.
    """
    return written_as(FIELDS[key].kind, FIELDS[key].flag, text)


def written_as(kind: Kind, flag: str, text: str) -> Any:
    """Return what *text* says of any field of that kind, which has this flag; raise CommandError."""
    match kind:
        case Kind.FLAG:
            if text not in _FLAGS:
                raise CommandError(f'{flag}: "{text}" is neither "true" nor "false"')
            return _FLAGS[text]
        case Kind.COUNT if text:
            if not (text.isascii() and text.isdigit() and len(text) <= 10):
                raise CommandError(f'{flag}: "{text}" is not a whole number, such as 60')
            return int(text)
        case Kind.LIST:
            return items(text)
    return text


def account_table(account: Item) -> Fields:
    """Return what a definitions file says of an account that exists."""
    fields = {key: value for key, value in account.fields.items() if value is not None}
    return {"id": account.id, **{key: as_written(value) for key, value in fields.items()}}


def as_written(value: Any) -> Any:
    """Return a value that is kept as a definitions file writes it."""
    return plain(value) if isinstance(value, Decimal) else value


def definitions_of(
    edits: Iterable[Edit], others: Mapping[str, Sequence[Fields]] | None = None
) -> Definitions:
    """Return definitions that say the same as *edits*, and as the tables of *others* by their kinds.

    Raises SettingsError with the faults of all.
    """
    tables = {**(others or {}), "client": [_table(edit) for edit in edits]}
    return understood(_FlagDocument(Path(), "", tables))


def sectioned(values: Mapping[str, Any]) -> Fields:
    """Return the table of a definitions file that says the same as values by their flat keys."""
    table: Fields = {}
    for key, value in values.items():
        section, _, part = key.partition(".")
        if part:
            table.setdefault(section, {})[part] = value
        else:
            table[section] = value
    return table


def _table(edit: Edit) -> Fields:
    table = {"name": edit.name, **sectioned(edit.values)}
    if edit.unset:
        table["unset"] = list(edit.unset)
    if edit.if_version is not None:
        table["if_version"] = edit.if_version
    if edit.accounts is not None:
        table["account"] = list(edit.accounts)
    return table


class _FlagDocument(Document):
    """Definitions that no file holds: a place in them is an object, most often a client, and a flag."""

    def line_of(self, path: KeyPath) -> int:
        """Return that there is no line."""
        return 0

    def fault(self, path: KeyPath, message: str) -> Fault:
        """Return a fault of the object at *path* and of the flag that said what is wrong."""
        kind, place, *keys = path
        table = self.data[str(kind)][place]
        name = f"{kind} {table['name']}" if "name" in table else str(kind)
        if keys[:1] == ["account"] and len(keys) > 1:
            account = table["account"][keys[1]]
            called = account.get("name") or account.get("ip") or account.get("ani")
            name += f", account {called}" if called else ", new account"
            keys = keys[2:]
        key = ".".join(part for part in keys if isinstance(part, str))
        return Fault(name, 0, flag(key) if key else "", message)
