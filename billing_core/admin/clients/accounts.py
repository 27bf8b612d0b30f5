"""The accounts of clients, and changes of one: his others are read under the lock and stay as they are."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from billing_core.admin.changes.changes import Source
from billing_core.admin.changes.client_edits import Edit, account_table, definitions_of, written_as
from billing_core.admin.definitions.client_fields import Kind, flag
from billing_core.admin.definitions.definition import Fields
from billing_core.admin.definitions.difference import label
from billing_core.admin.definitions.inventory import ACCOUNT_FIELDS, Item, inventory
from billing_core.admin.found import found_client
from billing_core.admin.output import CommandError, Record
from billing_core.settings import nearest
from billing_core.storage.tables import account, client

SHOWN = tuple(field for field in ACCOUNT_FIELDS if field != "password")
COLUMNS = ("id", "client", *SHOWN)


def listed(connection: Connection, name: str | None = None, limit: int | None = None) -> Iterator[Record]:
    """Yield all accounts, or those of one client, without their passwords; raise CommandError for nobody."""
    columns = (account.c.id, client.c.name.label("client"), *(account.c[field] for field in SHOWN))
    statement = select(*columns).join(client, client.c.id == account.c.client_id)
    if name is not None:
        statement = statement.where(account.c.client_id == found_client(connection, name).id)
    statement = statement.order_by(client.c.name, account.c.id).limit(limit)
    for row in connection.execute(statement.execution_options(yield_per=1000)):
        yield dict(row._mapping)


def given_fields(texts: Mapping[str, str]) -> Fields:
    """Return fields that flags say, as a definitions file would have them; None is no value.

    Raises CommandError, naming the flag, when no file could say it.
    """
    return {
        key: written_as(KINDS[key], flag(key), text) if text or key == "tech_prefix" else None
        for key, text in texts.items()
    }


KINDS: Mapping[str, Kind] = {
    "name": Kind.TEXT,
    "password": Kind.SECRET,
    "ip": Kind.TEXT,
    "ani": Kind.TEXT,
    "tech_prefix": Kind.TEXT,
    "capacity": Kind.COUNT,
    "orig": Kind.FLAG,
    "term": Kind.FLAG,
    "price_per_minute_max": Kind.MONEY,
}
"""What kind of value each field of an account has."""


def added(connection: Connection, name: str, fields: Fields) -> Source:
    """Return what gives a client one more account; the caller has locked the definitions."""
    known = [account_table(item) for item in _accounts(connection, name, {"orig": True, **fields})]
    return _source(name, [*known, fields])


def changed(connection: Connection, name: str, wanted: str, id: int | None, fields: Fields) -> Source:
    """Return what sets fields of the account that is called so; of several, the one with this *id*.

    The caller has locked the definitions. Raises CommandError unless it is exactly one.
    """
    items = _accounts(connection, name, fields)
    chosen = _chosen(name, items, wanted, id)
    tables = [account_table(item) for item in items]
    return _source(name, [{**table, **fields} if table["id"] == chosen.id else table for table in tables])


def _source(name: str, accounts: list[dict[str, Any]]) -> Source:
    tables = [{key: value for key, value in table.items() if value is not None} for table in accounts]
    return Source(definitions_of([Edit(name, accounts=tables)]))


def _accounts(connection: Connection, name: str, wanted: Fields) -> list[Item]:
    """Return his accounts; raise CommandError where *wanted* asks one of a deleted client to be on."""
    if found_client(connection, name).status == "deleted" and (wanted.get("orig") or wanted.get("term")):
        raise CommandError(
            f'client "{name}" is deleted, so no account of his can be on; see: billing clients undelete'
        )
    return inventory(connection, {name}).accounts[name]


def _chosen(name: str, items: list[Item], wanted: str, id: int | None) -> Item:
    found = [item for item in items if label(item) == wanted and id in (None, item.id)]
    if len(found) == 1:
        return found[0]
    if found:
        told = ", ".join(f'{item.id} (tech prefix "{item.fields["tech_prefix"]}")' for item in found)
        raise CommandError(
            f'client "{name}" has {len(found)} accounts "{wanted}"; choose one with --id: {told}'
        )
    if id is not None and wanted in map(label, items):
        raise CommandError(
            f'client "{name}" has no account "{wanted}" with id {id}; see: billing accounts list'
        )
    raise CommandError(f'client "{name}" has no account "{wanted}"{nearest(wanted, map(label, items))}')
