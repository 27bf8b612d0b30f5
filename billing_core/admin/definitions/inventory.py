"""Definitions as they stand in the database, and as they shall be: by name, with names as references.

Two inventories, before and after, are all that a difference is found from. A field is named as in
a definitions file; the parts of a section have a point: `low_balance.threshold`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Connection, Row, any_, literal, or_, select

from billing_core.admin.definitions.client_definition import DEFAULTS
from billing_core.admin.definitions.client_fields import COMPANY, IN_COMPANY, PLAIN, value_of
from billing_core.admin.definitions.definition import Fields, exchange_rate_name
from billing_core.admin.definitions.watch_definition import Watch
from billing_core.admin.definitions.week_spans import written_span
from billing_core.storage import tables
from billing_core.storage.definition_rows import kept_span

ACCOUNT_FIELDS = (
    "name",
    "password",
    "ip",
    "ani",
    "tech_prefix",
    "capacity",
    "orig",
    "term",
    "price_per_minute_max",
)

# Fields of a rate table but its parent, with their columns.
RATE_TABLE_COLUMNS = {
    "currency": "currency",
    "rounding.places": "rounding_places",
    "rounding.mode": "rounding_mode",
    "duration_rounding": "duration_rounding",
}


WATCH_FIELDS = tuple(name for name in Watch.model_fields if name != "name")


@dataclass(frozen=True, slots=True)
class Item:
    """One definition; `id` is None until it is in the database.

    `own` are those fields of a client that he sets himself; all others are his template's or default.
    `version` is the catalogue's that last changed a client.
    """

    id: int | None
    fields: Fields
    own: frozenset[str] = frozenset()
    version: int = 0

    def changed(self, fields: Mapping[str, Any]) -> "Item":
        """Return the item with these fields set."""
        return replace(self, fields={**self.fields, **fields})


@lru_cache(maxsize=1000)
def shared(own: frozenset[str]) -> frozenset[str]:
    """Return one and the same set for all clients who set the same fields."""
    return own


Named = dict[str, Item]


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that many have in common, the clients that matter, and their accounts by client.

    An exchange rate never has an id; its name is all of its key. A template has only the fields it sets.
    """

    resellers: Named = field(default_factory=dict)
    rate_tables: Named = field(default_factory=dict)
    clients: Named = field(default_factory=dict)
    accounts: dict[str, list[Item]] = field(default_factory=dict)
    time_profiles: Named = field(default_factory=dict)
    exchange_rates: Named = field(default_factory=dict)
    templates: Named = field(default_factory=dict)
    watches: Named = field(default_factory=dict)


def inventory(
    connection: Connection,
    client_names: Collection[str],
    rate_table_names: Collection[str] = (),
    template_names: Collection[str] = (),
) -> Inventory:
    """Read all but clients, and the clients with these names or using these rate tables or templates."""
    resellers = _resellers(connection)
    rate_tables = _rate_tables(connection)
    templates = _templates(connection)
    references = _References(resellers, rate_tables, templates)
    table_ids = {rate_tables[name].id for name in rate_table_names if name in rate_tables}
    template_ids = {templates[name].id for name in template_names if name in templates}
    client = tables.client
    wanted = or_(
        among(client.c.name, client_names),
        among(client.c.rate_table_id, table_ids),
        among(client.c.term_rate_table_id, table_ids),
        among(client.c.template_id, template_ids),
    )
    clients = {
        row.name: Item(row.id, references.client_fields(row), shared(frozenset(row.own)), row.changed_in)
        for row in connection.execute(select(client).where(wanted))
    }
    return Inventory(
        resellers,
        rate_tables,
        clients,
        _accounts(connection, clients),
        _time_profiles(connection),
        _exchange_rates(connection),
        templates,
        _watches(connection),
    )


def among(column: Column[Any], values: Collection[object]) -> ColumnElement[bool]:
    """Return the condition that *column* is one of *values*, however many: they travel as one array."""
    return column == any_(literal(list(values), ARRAY(column.type)))


def _resellers(connection: Connection) -> Named:
    rows = connection.execute(select(tables.reseller)).all()
    names = {row.id: row.name for row in rows}
    return {
        row.name: Item(row.id, {"parent": names.get(row.parent_id), "capacity": row.capacity}) for row in rows
    }


def _rate_tables(connection: Connection) -> Named:
    rows = connection.execute(select(tables.rate_table)).all()
    names = {row.id: row.name for row in rows}
    return {
        row.name: Item(
            row.id,
            {field: getattr(row, column) for field, column in RATE_TABLE_COLUMNS.items()}
            | {"parent": names.get(row.parent_id)},
        )
        for row in rows
    }


def _templates(connection: Connection) -> Named:
    return {
        row.name: Item(row.id, {key: value_of(key, kept) for key, kept in row.fields.items()})
        for row in connection.execute(select(tables.template))
    }


def _time_profiles(connection: Connection) -> Named:
    return {
        row.name: Item(row.id, {"spans": [written_span(kept_span(span)) for span in row.spans]})
        for row in connection.execute(select(tables.time_profile))
    }


def _watches(connection: Connection) -> Named:
    return {
        row.name: Item(row.id, {key: getattr(row, key) for key in WATCH_FIELDS})
        for row in connection.execute(select(tables.watch))
    }


def _exchange_rates(connection: Connection) -> Named:
    return {
        exchange_rate_name(row.currency, row.into, row.effective_from): Item(None, dict(row._mapping))
        for row in connection.execute(select(tables.exchange_rate))
    }


def _accounts(connection: Connection, clients: Named) -> dict[str, list[Item]]:
    names = {item.id: name for name, item in clients.items()}
    found: dict[str, list[Item]] = {name: [] for name in clients}
    account = tables.account
    statement = select(account).where(among(account.c.client_id, list(names))).order_by(account.c.id)
    for row in connection.execute(statement):
        found[names[row.client_id]].append(Item(row.id, {key: getattr(row, key) for key in ACCOUNT_FIELDS}))
    return found


class _References:
    """The names that ids in a row of `client` stand for."""

    def __init__(self, resellers: Named, rate_tables: Named, templates: Named) -> None:
        self._resellers = {item.id: name for name, item in resellers.items()}
        self._rate_tables = {item.id: name for name, item in rate_tables.items()}
        self._templates = {item.id: name for name, item in templates.items()}

    def client_fields(self, row: Row[Any]) -> Fields:
        found = {field.key: getattr(row, field.column) for field in PLAIN}
        company = {COMPANY + key: value for key, value in row.company.items()}
        references = {
            "reseller": self._resellers.get(row.reseller_id),
            "template": self._templates.get(row.template_id),
            "rate_table": self._rate_tables.get(row.rate_table_id),
            "term_rate_table": self._rate_tables.get(row.term_rate_table_id),
        }
        return found | references | _EMPTY_COMPANY | company


# The column `company` has only what somebody wrote there.
_EMPTY_COMPANY: Fields = {field.key: DEFAULTS[field.key] for field in IN_COMPANY}
