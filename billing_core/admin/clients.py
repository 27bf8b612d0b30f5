"""Clients with their money and calls under way, as people and programs ask for them."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, ScalarSelect, Select, func, literal_column, select, text

from billing_core.admin.fixed_balance import FIXED_PART, MOVES_FIXED
from billing_core.admin.output import CommandError, Record
from billing_core.settings import nearest
from billing_core.storage.tables import account, balance, client, entry, rate_table, reseller

_fixed = select(entry.c.client_id, func.sum(literal_column(FIXED_PART)).label("fixed")).where(
    text(MOVES_FIXED)
)
_term_rate_table = rate_table.alias("term_rate_table")


def _clients(name: str | None = None) -> Select[Any]:
    """Select the client *name*, or all: one reading of the ledger sums the fixed balances of all."""
    fixed = _fixed
    if name is not None:
        fixed = fixed.where(entry.c.client_id == _id_of(name))
    sums = fixed.group_by(entry.c.client_id).subquery()
    return (
        select(
            client,
            balance.c.live,
            balance.c.reserved,
            balance.c.in_use,
            balance.c.term_in_use,
            func.coalesce(sums.c.fixed, 0).label("fixed"),
            reseller.c.name.label("reseller"),
            rate_table.c.name.label("rate_table"),
            _term_rate_table.c.name.label("term_rate_table"),
        )
        .join(balance, balance.c.client_id == client.c.id)
        .outerjoin(sums, sums.c.client_id == client.c.id)
        .outerjoin(reseller, reseller.c.id == client.c.reseller_id)
        .outerjoin(rate_table, rate_table.c.id == client.c.rate_table_id)
        .outerjoin(_term_rate_table, _term_rate_table.c.id == client.c.term_rate_table_id)
    )


def _id_of(name: str) -> ScalarSelect[int]:
    named = client.alias("named")
    return select(named.c.id).where(named.c.name == name).scalar_subquery()


def found_client(connection: Connection, name: str) -> Row[Any]:
    """Return the row of a client; raise CommandError if there is none."""
    row = connection.execute(select(client).where(client.c.name == name)).first()
    if row is None:
        raise unknown_client(connection, name)
    return row


def unknown_client(connection: Connection, name: str) -> CommandError:
    """Return the error that there is no client *name*, with the name that was probably meant."""
    names = connection.execute(select(client.c.name)).scalars()
    return CommandError(f'client "{name}" is not known{nearest(name, names)}')


def shown(connection: Connection, name: str) -> Record:
    """Return everything about one client but his passwords; raise CommandError if there is none."""
    row = connection.execute(_clients(name).where(client.c.name == name)).first()
    if row is None:
        raise unknown_client(connection, name)
    low_balance = {"threshold": row.low_balance_threshold, "capacity": row.low_balance_capacity}
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "currency": row.currency,
        "balance": {
            "available": _available(row),
            "live": row.live,
            "fixed": row.fixed,
            "reserved": row.reserved,
        },
        "capacity": {"limit": row.capacity, "in_use": row.in_use},
        "term_capacity": {"limit": row.term_capacity, "in_use": row.term_in_use},
        "credit": row.credit,
        "postpaid": row.postpaid,
        "low_balance": low_balance if row.low_balance_threshold is not None else None,
        "reseller": row.reseller,
        "rate_table": row.rate_table,
        "term_rate_table": row.term_rate_table,
        "bill_by": row.bill_by,
        "timezone": row.timezone,
        "concurrency": _concurrency(row),
        "charge_max": row.charge_max,
        "refuse_losses": row.refuse_losses,
        "locale": row.locale,
        "tags": row.tags,
        "company": row.company,
        "accounts": list(_accounts(connection, row.id)),
    }


def _concurrency(row: Row[Any]) -> Record:
    """Return the policy and its part, as a definition names them."""
    parts = {"calls": row.concurrency_calls, "seconds": row.concurrency_seconds}
    return {"policy": row.concurrency} | {key: part for key, part in parts.items() if part is not None}


def _available(row: Row[Any]) -> Any:
    return None if row.postpaid else row.live + row.credit


def _accounts(connection: Connection, client_id: int) -> Iterator[Record]:
    columns = [column for column in account.columns if column.name not in ("client_id", "password")]
    statement = select(*columns).where(account.c.client_id == client_id).order_by(account.c.id)
    for row in connection.execute(statement):
        yield dict(row._mapping)
