"""Writes a difference of definitions: what is new, what changes, the audit, the version, the counters."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_core.admin import bulk
from billing_core.admin.changes.counters import counter_changes, write_counters
from billing_core.admin.changes.renames import renamed_ids
from billing_core.admin.definitions.audit import Author, Owners, write_audit
from billing_core.admin.definitions.client_fields import IN_COMPANY, PLAIN, json_form
from billing_core.admin.definitions.definition import Fields
from billing_core.admin.definitions.difference import Diff, label
from billing_core.admin.definitions.inventory import RATE_TABLE_COLUMNS, Inventory, Item, Named, among
from billing_core.admin.definitions.week_spans import read_span
from billing_core.admin.rates.rates_changes import RatesPlan
from billing_core.admin.rates.rates_changes import write as write_rates
from billing_core.admin.steps import Progress, no_progress
from billing_core.money import ZERO
from billing_core.storage import tables
from billing_core.storage.definition_rows import stored_span


def record(
    connection: Connection,
    before: Inventory,
    after: Inventory,
    rates: Mapping[str, RatesPlan],
    diff: Diff,
    author: Author,
    now: datetime,
    progress: Progress = no_progress,
) -> None:
    """Make the database hold *after*; the caller has locked the row of `catalogue`, and commits.

    Only rows that change are touched. Whatever changes bears the new version, by which workers find it.
    """
    progress("writing", None)
    after = _with_ids(connection, after)
    version = diff.version
    with_rates = {name for name, planned in rates.items() if planned.change}
    _write(connection, tables.reseller, before.resellers, after.resellers, _reseller_row(after))
    _write(connection, tables.time_profile, before.time_profiles, after.time_profiles, _time_profile_row)
    _write_exchange_rates(connection, before, after)
    _write(connection, tables.rate_table, before.rate_tables, after.rate_tables, _table_row(after, version))
    _write(connection, tables.template, before.templates, after.templates, _template_row)
    _write(connection, tables.client, before.clients, after.clients, _client_row(after, version))
    _write(connection, tables.watch, before.watches, after.watches, _watch_row)
    _write_balances(connection, before, after)
    _write_accounts(connection, before, after)
    for name in with_rates:
        table_id = after.rate_tables[name].id
        assert table_id is not None
        write_rates(connection, table_id, rates[name], author)
    renamed = renamed_ids(diff.changes)
    _mark_changed(connection, before, after, with_rates, {*renamed.values()}, version)
    write_audit(connection, diff, author, now, _owners(after, renamed), progress)
    connection.execute(update(tables.catalogue).values(version=version))
    write_counters(connection, counter_changes(before, after))


def _with_ids(connection: Connection, after: Inventory) -> Inventory:
    return Inventory(
        _named_with_ids(connection, tables.reseller, after.resellers),
        _named_with_ids(connection, tables.rate_table, after.rate_tables),
        _named_with_ids(connection, tables.client, after.clients),
        _accounts_with_ids(connection, after.accounts),
        _named_with_ids(connection, tables.time_profile, after.time_profiles),
        after.exchange_rates,
        _named_with_ids(connection, tables.template, after.templates),
        _named_with_ids(connection, tables.watch, after.watches),
    )


def _named_with_ids(connection: Connection, table: Table, items: Named) -> Named:
    ids = bulk.new_ids(connection, table, sum(item.id is None for item in items.values()))
    return {
        name: item if item.id is not None else replace(item, id=next(ids)) for name, item in items.items()
    }


def _accounts_with_ids(connection: Connection, accounts: dict[str, list[Item]]) -> dict[str, list[Item]]:
    count = sum(item.id is None for items in accounts.values() for item in items)
    ids = bulk.new_ids(connection, tables.account, count)
    return {
        client: [item if item.id is not None else replace(item, id=next(ids)) for item in items]
        for client, items in accounts.items()
    }


_RowOf = Callable[[str, Item], Fields]
"""Makes the row of a table from a name and an item."""


def _write(connection: Connection, table: Table, before: Named, after: Named, row_of: _RowOf) -> None:
    """Insert what is new and update what differs."""
    bulk.insert(connection, table, (row_of(name, item) for name, item in after.items() if name not in before))
    changed = (name for name, item in before.items() if after[name] is not item)
    bulk.update(connection, table, (row_of(name, after[name]) for name in changed))


def _reseller_row(after: Inventory) -> _RowOf:
    ids = _ids(after.resellers)
    return lambda name, item: {
        "id": item.id,
        "name": name,
        "parent_id": ids[item.fields["parent"]],
        "capacity": item.fields["capacity"],
    }


def _time_profile_row(name: str, item: Item) -> Fields:
    spans = [stored_span(read_span(span)) for span in item.fields["spans"]]
    return {"id": item.id, "name": name, "spans": json.dumps(spans)}


def _table_row(after: Inventory, version: int) -> _RowOf:
    ids = _ids(after.rate_tables)
    return lambda name, item: {
        "id": item.id,
        "name": name,
        **{column: item.fields[field] for field, column in RATE_TABLE_COLUMNS.items()},
        "parent_id": ids[item.fields["parent"]],
        "changed_in": version,
    }


def _client_row(after: Inventory, version: int) -> _RowOf:
    resellers, rate_tables, templates = map(_ids, (after.resellers, after.rate_tables, after.templates))
    return lambda name, item: {
        "id": item.id,
        "name": name,
        **{field.column: item.fields[field.key] for field in PLAIN},
        "template_id": templates[item.fields["template"]],
        "reseller_id": resellers[item.fields["reseller"]],
        "rate_table_id": rate_tables[item.fields["rate_table"]],
        "term_rate_table_id": rate_tables[item.fields["term_rate_table"]],
        "company": _company(item.fields),
        "own": sorted(item.own),
        "changed_in": version,
    }


def _template_row(name: str, item: Item) -> Fields:
    return {
        "id": item.id,
        "name": name,
        "fields": {key: json_form(value) for key, value in item.fields.items()},
    }


def _watch_row(name: str, item: Item) -> Fields:
    return {"id": item.id, "name": name, **item.fields}


def _company(fields: Fields) -> dict[str, Any]:
    """Return what is kept of the parts of `company`: those that say something."""
    return {field.column: fields[field.key] for field in IN_COMPANY if fields[field.key]}


def _ids(items: Named) -> dict[str | None, int | None]:
    return {None: None} | {name: item.id for name, item in items.items()}


def _write_exchange_rates(connection: Connection, before: Inventory, after: Inventory) -> None:
    """Write the few factors that are new or other than before; their key is all but the factor."""
    changed = [
        item.fields
        for name, item in after.exchange_rates.items()
        if before.exchange_rates.get(name) is not item
    ]
    if changed:
        statement = upsert(tables.exchange_rate)
        key = list(tables.exchange_rate.primary_key)
        factor = {"factor": statement.excluded.factor}
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=factor), changed)


def _write_balances(connection: Connection, before: Inventory, after: Inventory) -> None:
    rows = (
        {"client_id": item.id, "live": ZERO, "reserved": ZERO, "in_use": 0, "term_in_use": 0}
        for name, item in after.clients.items()
        if name not in before.clients
    )
    bulk.insert(connection, tables.balance, rows)


def _write_accounts(connection: Connection, before: Inventory, after: Inventory) -> None:
    known = {item.id: item for items in before.accounts.values() for item in items}
    pairs = [(client, item) for client, items in after.accounts.items() for item in items]
    new = [(client, item) for client, item in pairs if item.id not in known]
    rows = ({"id": item.id, "client_id": after.clients[client].id, **item.fields} for client, item in new)
    bulk.insert(connection, tables.account, rows)
    changed = [item for _, item in pairs if item.id in known and known[item.id] is not item]
    bulk.update(connection, tables.account, ({"id": item.id, **item.fields} for item in changed))


def _owners(after: Inventory, renamed: Mapping[str, int | None]) -> Owners:
    """Return of every client and account its id, and the id of the client whom it concerns."""
    ids = dict(renamed) | {name: item.id for name, item in after.clients.items()}
    accounts = {
        ("account", f"{client}/{label(item)}", place): (item.id, ids[client])
        for client, items in after.accounts.items()
        for place, item in enumerate(items)
    }
    return accounts | {("client", name, None): (id, id) for name, id in ids.items()}


# --- what workers and people follow changes by ------------------------------------------------------


def _mark_changed(
    connection: Connection,
    before: Inventory,
    after: Inventory,
    with_rates: set[str],
    renamed: set[int | None],
    version: int,
) -> None:
    """Mark what changed without a change of its row here: by its name, accounts, rates or resellers."""
    table, client, reseller = tables.rate_table, tables.client, tables.reseller
    if with_rates:
        connection.execute(update(table).where(among(table.c.name, with_rates)).values(changed_in=version))
    by_accounts = [
        name
        for name, items in before.accounts.items()
        if len(items) != len(after.accounts[name])
        or any(item is not other for item, other in zip(items, _by_id(after.accounts[name]), strict=True))
    ]
    marked = update(client).where(client.c.changed_in != version).values(changed_in=version)
    if by_accounts:
        connection.execute(marked.where(among(client.c.name, by_accounts)))
    if renamed:
        connection.execute(marked.where(among(client.c.id, renamed)))
    moved = [item.id for name, item in after.resellers.items() if _is_moved(before.resellers.get(name), item)]
    if moved:
        below = select(reseller.c.id).where(among(reseller.c.id, moved)).cte("below", recursive=True)
        below = below.union(select(reseller.c.id).join(below, reseller.c.parent_id == below.c.id))
        connection.execute(marked.where(client.c.reseller_id.in_(select(below.c.id))))


def _by_id(accounts: list[Item]) -> list[Item]:
    return sorted(accounts, key=lambda item: item.id or 0)


def _is_moved(before: Item | None, after: Item) -> bool:
    return before is not None and before.fields["parent"] != after.fields["parent"]
