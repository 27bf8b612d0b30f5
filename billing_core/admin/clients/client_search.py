"""Which clients somebody is looking for: conditions on any of their fields, all of which must hold.

Values are read from their texts as people write them. A text fits whatever the case, with `*` for any
characters; a number or a date fits when it is in a range `5..10`; an empty text stands for no value.
"""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ARRAY, Connection, Select, Text, and_, false, func, literal, not_, select, true

from billing_core.admin.changes.client_edits import written_as
from billing_core.admin.clients.client_columns import (
    CLIENTS,
    COLUMNS,
    NAMED_BY,
    Expression,
    with_leg,
)
from billing_core.admin.command_line.client_selection import WHERE
from billing_core.admin.command_line.fields import given
from billing_core.admin.definitions.client_definition import Client
from billing_core.admin.definitions.client_fields import COMPUTED, FIELDS, Kind, flag
from billing_core.admin.definitions.definition_values import day
from billing_core.admin.definitions.inventory import among
from billing_core.admin.fixed_balance import fixed_sums
from billing_core.admin.output import CommandError, items
from billing_core.admin.wildcards import pattern
from billing_core.money import ZERO
from billing_core.settings import amount, nearest
from billing_core.storage.tables import client, reseller

_ANY = "all"
_RANGE = ".."


@dataclass(frozen=True, slots=True)
class Search:
    """The texts that are wanted, by the keys of fields, and of `name`, `id` and all that is computed."""

    wanted: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: Namespace) -> "Search":
        """Return the search that the flags of a selection ask for; raise CommandError for two names."""
        wanted = given(arguments, WHERE)
        begins = wanted.pop("begins", None)
        if begins is not None and wanted.setdefault("name", begins) != begins:
            raise CommandError("NAME and --name exclude each other: choose one")
        return cls({key: value for key, value in wanted.items() if (key, value) != ("status", _ANY)})

    def ids(self, connection: Connection) -> Select[tuple[int]]:
        """Select the ids of those who fit; raise CommandError for a value that nothing can fit."""
        conditions = [_condition(connection, key, value) for key, value in self.wanted.items()]
        return select(client.c.id).select_from(CLIENTS).where(true(), *conditions)


def _condition(connection: Connection, key: str, value: str) -> Expression:
    try:
        match key:
            case "name":
                return func.lower(client.c.name).like(func.lower(pattern(value) + "%"))
            case "under":
                return _under(connection, value)
            case "fixed":
                return _fixed(value)
            case "role":
                return _role(value)
        if key in NAMED_BY:
            return _reference(connection, key, value)
        kind = COMPUTED[key] if key in COMPUTED else FIELDS[key].kind
        return _BY_KIND[kind](key, value)
    except ValueError as error:
        raise CommandError(f"{flag(key)}: {error}") from None


# --- texts and words ----------------------------------------------------------------------------------


def _fits(column: Expression, value: str) -> Expression:
    if "*" in value:
        return func.lower(column).like(func.lower(pattern(value)))
    return func.lower(column) == func.lower(value)


def _text(key: str, value: str) -> Expression:
    if not value:
        return func.coalesce(COLUMNS[key], "") == ""
    return _fits(COLUMNS[key], value)


def _word(key: str, value: str) -> Expression:
    if not value:
        return COLUMNS[key].is_(None)
    return COLUMNS[key] == _defined(key, value)


def _role(value: str) -> Expression:
    legs = {"": (), "orig": ("orig",), "term": ("term",), "both": ("orig", "term")}
    if value not in legs:
        raise ValueError(f'"{value}" is not known{nearest(value, legs.keys() - {""})}')
    return and_(*(with_leg(leg) if leg in legs[value] else ~with_leg(leg) for leg in ("orig", "term")))


def _defined(key: str, value: str) -> str:
    """Return a word as a definition may have it; raise ValueError with the rule that it breaks."""
    section, _, part = key.partition(".")
    try:
        Client.model_validate({"name": "x", section: {part: value} if part else value})
    except ValidationError as error:
        cause = error.errors()[0].get("ctx", {}).get("error")
        raise ValueError(str(cause)) from None
    return value


def _list(key: str, value: str) -> Expression:
    column = COLUMNS[key]
    wanted = items(value)
    return column.contains(literal(wanted, ARRAY(Text))) if wanted else func.cardinality(column) == 0


# --- numbers, dates and flags ---------------------------------------------------------------------------


def _read(key: str, kind: Kind, text: str) -> Any:
    match kind:
        case Kind.MONEY:
            return amount(text)
        case Kind.DATE:
            return day(text)
    return written_as(kind, flag(key), text)


@dataclass(frozen=True, slots=True)
class _Range:
    """Values from `least` to `most`, both included; None is without end."""

    least: Any
    most: Any

    def holds(self, value: Any) -> bool:
        return (self.least is None or self.least <= value) and (self.most is None or value <= self.most)

    def condition(self, column: Expression) -> Expression:
        return and_(
            true() if self.least is None else column >= self.least,
            true() if self.most is None else column <= self.most,
            column.is_not(None),
        )


def _range(key: str, kind: Kind, value: str) -> _Range:
    """Read `5`, `5..10`, `..10` or `5..`; raise ValueError."""
    if _RANGE not in value:
        found = _read(key, kind, value)
        return _Range(found, found)
    first, _, last = value.partition(_RANGE)
    if not (first or last):
        raise ValueError('".." has no end; write one value, or a range as 5..10, ..10 or 5..')
    found = _Range(*(_read(key, kind, end) if end else None for end in (first, last)))
    if first and last and found.most < found.least:
        raise ValueError(f'"{value}" holds nothing: {last} is before {first}')
    return found


def _number(key: str, value: str) -> Expression:
    if not value:
        return COLUMNS[key].is_(None)
    kind = COMPUTED[key] if key in COMPUTED else FIELDS[key].kind
    return _range(key, kind, value).condition(COLUMNS[key])


def _fixed(value: str) -> Expression:
    """Return the condition on the fixed balance: all entries are read once, not once for each client."""
    if not value:
        return false()
    sums = fixed_sums().subquery()
    wanted = _range("fixed", Kind.MONEY, value)
    fitting = wanted.condition(sums.c.fixed)
    if wanted.holds(ZERO):  # Who has no entries, fits.
        return client.c.id.not_in(select(sums.c.client_id).where(not_(fitting)))
    return client.c.id.in_(select(sums.c.client_id).where(fitting))


def _flag(key: str, value: str) -> Expression:
    return COLUMNS[key].is_(written_as(Kind.FLAG, flag(key), value))


def _secret(key: str, value: str) -> Expression:
    """A secret itself is nothing to search for: only whether there is one."""
    is_there = value and written_as(Kind.FLAG, flag(key), value)
    return COLUMNS[key].is_not(None) if is_there else COLUMNS[key].is_(None)


_BY_KIND: Mapping[Kind, Callable[[str, str], Expression]] = {
    Kind.TEXT: _text,
    Kind.WORD: _word,
    Kind.LIST: _list,
    Kind.MONEY: _number,
    Kind.COUNT: _number,
    Kind.DATE: _number,
    Kind.FLAG: _flag,
    Kind.SECRET: _secret,
}


# --- references -----------------------------------------------------------------------------------------


def _reference(connection: Connection, key: str, value: str) -> Expression:
    column = client.c[FIELDS[key].column]
    return among(column, _ids(connection, key, value)) if value else column.is_(None)


def _ids(connection: Connection, key: str, value: str) -> list[int]:
    """Return the ids of what *value* names; raise ValueError if there is no such name."""
    table = NAMED_BY[key]
    found = connection.execute(select(table.c.id).where(_fits(table.c.name, value))).scalars().all()
    if not found:
        names = connection.execute(select(table.c.name)).scalars()
        what = key.removeprefix("term_").replace("_", " ")
        raise ValueError(f'there is no {what} "{value}"{nearest(value, names)}')
    return list(found)


def _under(connection: Connection, value: str) -> Expression:
    """Return the condition to belong to a reseller or to one of those below it."""
    top = select(reseller.c.id).where(among(reseller.c.id, _ids(connection, "reseller", value)))
    tree = top.cte("tree", recursive=True)
    tree = tree.union(select(reseller.c.id).join(tree, reseller.c.parent_id == tree.c.id))
    return client.c.reseller_id.in_(select(tree.c.id))
