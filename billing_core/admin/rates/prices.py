"""So much of rate tables, time profiles and currencies as the prices of a few numbers take."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, select

from billing_core.admin.definitions.inventory import among
from billing_core.catalogue import Catalogue
from billing_core.exchange import ExchangeRate, exchange
from billing_core.money import Rounding
from billing_core.rate_table import RATE_FIELDS, Rate, RateTable, rate_table
from billing_core.rates_file import RateRow
from billing_core.storage import tables
from billing_core.storage.definition_rows import time_profile_of

assert set(RATE_FIELDS) == set(RateRow._fields[1:])


def put_prices(
    connection: Connection, catalogue: Catalogue, table_ids: Collection[int | None], numbers: Collection[str]
) -> None:
    """Put into *catalogue* what the prices of *numbers* by these rate tables and their parents depend on."""
    table = tables.rate_table
    chain = select(table.c.id, table.c.parent_id).where(among(table.c.id, table_ids)).cte(recursive=True)
    chain = chain.union(select(table.c.id, table.c.parent_id).join(chain, table.c.id == chain.c.parent_id))
    for row in connection.execute(select(table).where(table.c.id.in_(select(chain.c.id)))).all():
        catalogue.put_rate_table(_rates_for(connection, row, numbers))
    for profile in connection.execute(select(tables.time_profile)):
        catalogue.time_profiles[profile.name] = time_profile_of(profile.name, profile.spans)
    factor = tables.exchange_rate.c
    rates = connection.execute(select(factor.currency, factor.into, factor.factor, factor.effective_from))
    catalogue.exchange = exchange(ExchangeRate(*row) for row in rates)


def _rates_for(connection: Connection, row: Row[Any], numbers: Collection[str]) -> RateTable:
    """Return the rate table of *row* with only those rates that *numbers* can meet."""
    codes = {number[:length] for number in numbers for length in range(1, len(number) + 1)}
    rate = tables.rate
    columns = [rate.c[name] for name in RATE_FIELDS]
    in_force = rate.c.until_import.is_(None)
    statement = select(*columns).where(rate.c.rate_table_id == row.id, in_force, among(rate.c.code, codes))
    rates = [Rate(*values) for values in connection.execute(statement)]
    rounding = Rounding(row.rounding_places, row.rounding_mode, row.duration_rounding)
    return rate_table(row.id, row.name, row.currency, rates, row.parent_id, rounding)
