"""Taking a change back: definitions that give every field the value which the audit says it had.

What somebody changed since is left as it is, and told; so is what cannot come back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from billing_core.admin.changes.changes import Source
from billing_core.admin.changes.client_edits import Edit, as_written, definitions_of, sectioned
from billing_core.admin.changes.renames import NAME
from billing_core.admin.changes.undo_client import Changed, Since, undone
from billing_core.admin.changes.undo_values import (
    Notes,
    Was,
    client_value,
    value,
    verdict,
    whole,
    whole_words,
)
from billing_core.admin.definitions.client_fields import FIELDS, WHOLE_SECTIONS, Kind
from billing_core.admin.definitions.definition import Fields
from billing_core.admin.definitions.difference import CREATED, OWN
from billing_core.admin.definitions.inventory import Inventory, Item, Named, among, inventory
from billing_core.admin.output import CommandError, readable
from billing_core.storage.tables import audit, client

_ROUNDING = {"rounding": ("rounding.places", "rounding.mode")}
_OF_CLIENTS = ("client", "account")
_WHOLE = ("watch",)
"""What is defined as a whole: a field that is not named goes to its default."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """What takes a change back: `left` is what somebody changed since, `told` what cannot come back."""

    source: Source
    left: tuple[str, ...]
    told: tuple[str, ...]


def reversal(connection: Connection, version: int) -> Reversal:
    """Return what takes the change of that version of the definitions back, by what holds now.

    The caller has locked the definitions. Raises CommandError when the audit knows of no such change.
    """
    rows = list(_rows(connection, version))
    if not rows:
        raise CommandError(f"the audit has no change of version {version}; see: billing audit")
    notes = Notes()
    edits, renames = _clients(connection, version, rows, notes)
    before = inventory(connection, ())
    others: dict[str, list[Fields]] = {}
    for kind, name, fields in _objects(rows):
        if table := _undone(before, kind, name, fields, notes):
            others.setdefault(kind, []).append(table)
    source = Source(definitions_of(edits, others), renames=renames)
    return Reversal(source, tuple(notes.left), tuple(notes.told))


def client_reversal(connection: Connection, version: int, client_id: int, wanted: Iterable[str]) -> Reversal:
    """Return what takes back only the *wanted* fields of one client and of his accounts."""
    notes = Notes()
    rows = [
        row
        for row in _rows(connection, version)
        if row.client_id == client_id and row.field in {*wanted, OWN}
    ]
    edits, _ = _clients(connection, version, rows, notes, wanted)
    return Reversal(Source(definitions_of(edits)), tuple(notes.left), tuple(notes.told))


def _rows(connection: Connection, version: int) -> Iterator[Was]:
    columns = (
        audit.c.object_kind,
        audit.c.object_name,
        audit.c.field,
        audit.c.before,
        audit.c.after,
        audit.c.object_id,
        audit.c.client_id,
    )
    statement = select(*columns).where(audit.c.version == version).order_by(audit.c.id)
    for row in connection.execute(statement):
        yield Was(*row)


# --- clients ----------------------------------------------------------------------------------------


def _clients(
    connection: Connection,
    version: int,
    rows: Iterable[Was],
    notes: Notes,
    wanted: Iterable[str] = FIELDS,
) -> tuple[list[Edit], dict[str, str]]:
    """Return what gives clients back what they had, and those who get their old names again."""
    edits: list[Edit] = []
    renames: dict[str, str] = {}
    for changed in _changed(connection, version, rows, notes, frozenset(wanted)):
        edit = undone(changed, notes)
        was = changed.fields.get(NAME)
        if was and was.before and notes.judged(verdict(was, changed.name), was, changed.name, changed.name):
            renames[changed.name] = was.before
            edit = replace(edit or Edit(changed.name), name=was.before)
        if edit is not None:
            edits.append(edit)
    return edits, renames


def _changed(
    connection: Connection, version: int, rows: Iterable[Was], notes: Notes, wanted: frozenset[str]
) -> Iterable[Changed]:
    """Return the clients whom the rows are about, as they are now, with what changed of them."""
    found = [row for row in rows if row.kind in _OF_CLIENTS]
    ids = {row.client_id for row in found}
    named = select(client.c.id, client.c.name).where(among(client.c.id, ids))
    names = {row.id: row.name for row in connection.execute(named)}
    now = inventory(connection, names.values())
    since = _since(connection, version, found)
    changed = {
        id: Changed(name, now.clients[name], now.accounts[name], since, wanted) for id, name in names.items()
    }
    for row in found:
        of_client = changed.get(row.client_id)
        if of_client is None:
            notes.told.append(f"{row.kind} {readable(row.name)}: {row.field} stays: he was removed since")
        elif row.kind == "client":
            of_client.fields[row.field] = row
        else:
            of_client.of_accounts.setdefault(row.object_id, {})[row.field] = row
    return changed.values()


def _since(connection: Connection, version: int, rows: Iterable[Was]) -> Since:
    """Return what later versions changed of those fields of which the audit does not tell the values."""
    secrets = {"password"} | {key for key, field in FIELDS.items() if field.kind is Kind.SECRET}
    ids = {row.client_id for row in rows if row.field in secrets | {OWN}}
    if not ids:
        return ()
    columns = (audit.c.object_kind, audit.c.object_id, audit.c.field, audit.c.before, audit.c.after)
    statement = select(*columns).where(among(audit.c.client_id, ids), audit.c.version > version)
    found = set()
    for row in connection.execute(statement):
        texts = (row.before, row.after) if row.field == OWN else ()
        for field in (row.field, *(key for text in texts for key in (text or "").split(", "))):
            found.add((row.object_kind, row.object_id, field))
    return found


# --- everything else --------------------------------------------------------------------------------


def _objects(rows: Iterable[Was]) -> Iterator[tuple[str, str, dict[str, Was]]]:
    """Yield kind, name and changed fields of everything but clients and their accounts."""
    found: dict[tuple[str, str], dict[str, Was]] = {}
    for row in rows:
        if row.kind not in _OF_CLIENTS:
            found.setdefault((row.kind, row.name), {})[row.field] = row
    for (kind, name), fields in found.items():
        yield kind, name, fields


def _undone(now: Inventory, kind: str, name: str, fields: Mapping[str, Was], notes: Notes) -> Fields | None:
    """Return the table of a definitions file that gives something what it had; None for nothing."""
    item = _named(now, kind).get(name)
    object = f"{kind} {readable(name)}"
    if kind == "block":
        notes.told.append(f"{object} stays as it is; see: billing block")
    elif "rates" in fields:
        notes.told.append(f"{object}: its rates stay; see: billing rates rollback")
    if item is None:
        return None
    if CREATED in fields:
        notes.told.append(f"{object} was new, and nothing is removed by this: it stays")
        return None
    back = {
        key: was.before
        for key, was in fields.items()
        if key != "rates"
        and notes.judged(verdict(was, item.fields.get(key)), was, name, item.fields.get(key))
    }
    return _table(kind, name, item, back) if back else None


def _table(kind: str, name: str, item: Item, back: Mapping[str, str | None]) -> Fields:
    """Return the table that gives something these values back, as the audit writes them."""
    if kind == "template":
        return _template(name, item, back)
    values = {key: value(key, text) for key, text in back.items()}
    if kind == "exchange_rate":
        return {**item.fields, "factor": values["factor"]}
    if kind in _WHOLE:
        fields = {key: as_written(current) for key, current in item.fields.items()} | values
        return {"name": name, **{key: found for key, found in fields.items() if found is not None}}
    return {"name": name, **sectioned(whole(values, item.fields, _ROUNDING))}


def _template(name: str, item: Item, back: Mapping[str, str | None]) -> Fields:
    """Return the table of a template: what it did not set it does not set again."""
    unset = {key for key, text in back.items() if text is None}
    values = {key: client_value(key, text) for key, text in back.items() if text is not None}
    if any(part in values for parts in WHOLE_SECTIONS.values() for part in parts):
        unset -= {part for parts in WHOLE_SECTIONS.values() for part in parts}
    table = sectioned(whole(values, item.fields, WHOLE_SECTIONS))
    return {"name": name, **table, "unset": list(whole_words(unset))}


def _named(now: Inventory, kind: str) -> Named:
    return {
        "reseller": now.resellers,
        "rate_table": now.rate_tables,
        "time_profile": now.time_profiles,
        "exchange_rate": now.exchange_rates,
        "template": now.templates,
        "watch": now.watches,
    }.get(kind, {})
