"""One client, as people and programs ask for him: all his fields, and where each comes from."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, literal, select, text

from billing_core.admin.clients.client_list import ALL, told
from billing_core.admin.definitions.client_fields import FIELDS
from billing_core.admin.found import found_client
from billing_core.admin.output import MASK, Record
from billing_core.storage.held import HELD_LEGS
from billing_core.storage.tables import account, client, reseller, template

_OWN, _DEFAULT = "client", "default"
_BALANCE = ("available", "live", "fixed", "reserved")
_LEGS = {"capacity": "in_use", "term_capacity": "term_in_use"}
_ACCOUNT = tuple(column for column in account.columns if column.name not in ("client_id", "password"))


def shown(connection: Connection, name: str, *, with_origin: bool = False) -> Record:
    """Return everything about one client but his passwords; raise CommandError if there is none.

    Fields stand in their sections, as in a definitions file; `resellers` are his own and those above.
    `origin` tells of each field who sets it: `client`, `template NAME`, or nobody: `default`.
    """
    row = found_client(connection, name)
    [found] = told(connection, select(client.c.id).where(client.c.id == row.id), ALL)
    fields = {**{key: found.get(key) for key in FIELDS}, "panel.password": row.panel_password and MASK}
    record = {
        "id": row.id,
        "name": name,
        "status": row.status,
        "currency": row.currency,
        "role": found["role"],
        "version": row.changed_in,
        "balance": {**{key: found[key] for key in _BALANCE}, "held": held(connection, row.id)},
        **_nested(fields),
        **{key: {"limit": found[key], "in_use": found[legs]} for key, legs in _LEGS.items()},
        "resellers": list(_resellers(connection, row.reseller_id)),
        "accounts": list(_accounts(connection, row.id)),
    }
    return {**record, "origin": _origin(connection, row)} if with_origin else record


def held(connection: Connection, client_id: int) -> Decimal:
    """Return what of the reserved money is kept for ended calls, until somebody decides what they cost."""
    total = f"SELECT COALESCE(sum(reserved), 0) FROM ({HELD_LEGS}) AS held WHERE client_id = :id"  # noqa: S608
    amount: Decimal = connection.execute(text(total), {"id": client_id}).scalar_one()
    return amount


def _nested(fields: Record) -> Record:
    """Return fields with sections as objects of their own."""
    nested: dict[str, Any] = {}
    for key, value in fields.items():
        section, _, part = key.partition(".")
        if part:
            nested.setdefault(section, {})[part] = value
        else:
            nested[key] = value
    return nested


def _origin(connection: Connection, row: Row[Any]) -> Record:
    found = select(template.c.name, template.c.fields).where(template.c.id == row.template_id)
    named = connection.execute(found).first()
    of_template = dict.fromkeys(named.fields, f"template {named.name}") if named else {}
    return {key: _OWN if key in row.own else of_template.get(key, _DEFAULT) for key in FIELDS}


def _resellers(connection: Connection, reseller_id: int | None) -> Iterator[str]:
    """Yield the name of a reseller, and of those above him, one after the other."""
    first = select(reseller.c.name, reseller.c.parent_id, literal(0).label("level"))
    chain = first.where(reseller.c.id == reseller_id).cte("chain", recursive=True)
    above = select(reseller.c.name, reseller.c.parent_id, chain.c.level + 1)
    chain = chain.union_all(above.join(chain, reseller.c.id == chain.c.parent_id))
    yield from connection.execute(select(chain.c.name).order_by(chain.c.level)).scalars()


def _accounts(connection: Connection, client_id: int) -> Iterator[Record]:
    statement = select(*_ACCOUNT).where(account.c.client_id == client_id).order_by(account.c.id)
    for row in connection.execute(statement):
        yield dict(row._mapping)
