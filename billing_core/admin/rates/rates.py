"""Rate tables by name, and the rate that one of them has for a number."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from billing_core.admin.output import CommandError, Record
from billing_core.admin.rates.prices import put_prices
from billing_core.catalogue import Catalogue
from billing_core.client import Client, Status
from billing_core.money import ZERO
from billing_core.number import normalise
from billing_core.rate_table import RATE_FIELDS
from billing_core.settings import nearest
from billing_core.storage import tables


def unknown_rate_table(connection: Connection, name: str) -> CommandError:
    """Return the error that there is no rate table *name*, with the name that was probably meant."""
    names = connection.execute(select(tables.rate_table.c.name)).scalars()
    return CommandError(f'rate table "{name}" is not known{nearest(name, names)}')


def found_rate_table(connection: Connection, name: str) -> Row[Any]:
    """Return the row of a rate table; raise CommandError if there is none."""
    row = connection.execute(select(tables.rate_table).where(tables.rate_table.c.name == name)).first()
    if row is None:
        raise unknown_rate_table(connection, name)
    return row


def lookup(
    connection: Connection, table_name: str, dialled: str, at: datetime, client: Client | None = None
) -> Record:
    """Return the rate of a number at *at* as a client pays it, by default one of the table's currency in UTC.

    Raises CommandError where there is none.
    """
    number = normalise(dialled)
    if number is None:
        raise CommandError(f'NUMBER "{dialled}" is not a number; write digits, such as 442071234567')
    table = found_rate_table(connection, table_name)
    payer = client or _anybody(table.currency)
    catalogue = Catalogue()
    put_prices(connection, catalogue, [table.id], [number])
    rate = catalogue.rate(payer, table.id, number, at)
    if rate is None:
        raise CommandError(
            f'rate table "{table_name}" has no rate for {number} at {at:%Y-%m-%dT%H:%M:%SZ}'
            f"{_without_factor(catalogue, payer, table, number, at)}"
        )
    return {
        "rate_table": table.name,
        "currency": table.currency,
        "number": number,
        **{name: getattr(rate, name) for name in RATE_FIELDS},
        "factor": rate.factor,
        "paid_in": payer.currency,
        "rounding": str(rate.rounding),
    }


def _anybody(currency: str) -> Client:
    return Client(0, "", Status.ACTIVE, currency, postpaid=False, credit=ZERO)


def _without_factor(catalogue: Catalogue, client: Client, table: Row[Any], number: str, at: datetime) -> str:
    """Return the end of a sentence: that only the conversion is missing, if so."""
    same_currency = replace(client, currency=table.currency)
    if client.currency == table.currency or catalogue.rate(same_currency, table.id, number, at) is None:
        return ""
    return f" in {client.currency}; define an exchange rate from {table.currency}"
