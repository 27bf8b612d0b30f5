"""Clients in a list: who is searched for, in which order, and which page of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, Subquery, UnaryExpression, func, select

from billing_core.admin.clients.client_columns import CLIENTS, COLUMNS, Expression
from billing_core.admin.clients.client_search import Search
from billing_core.admin.definitions.client_fields import COMPUTED, FIELDS, Kind
from billing_core.admin.fixed_balance import fixed_sums
from billing_core.admin.output import NOTHING, CommandError, Record
from billing_core.money import grouped
from billing_core.settings import nearest
from billing_core.storage.tables import client, entry

PEOPLE = ("id", "name", "available", "live", "fixed", "payment_terms", "tags", "reseller", "role")
"""What a list shows people."""

PROGRAMS = (
    "id",
    "name",
    "status",
    "currency",
    "available",
    "live",
    "fixed",
    "reserved",
    "in_use",
    "term_in_use",
    "credit",
    "postpaid",
    "payment_terms",
    "tags",
    "reseller",
    "template",
    "role",
)
"""What it tells programs."""

ALL = (
    "id",
    "name",
    *(key for key in COMPUTED if key != "id"),
    *(key for key, field in FIELDS.items() if field.kind is not Kind.SECRET),
)
"""Everything that can be told of a client, but secrets."""

_FIXED = "fixed"
UNLIMITED = "No Limit"


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a list that are wanted: those of page `number`, of `rows` each; None is all of them."""

    rows: int | None = None
    number: int = 1

    @property
    def offset(self) -> int:
        """Return how many rows stand before the page."""
        return (self.rows or 0) * (self.number - 1)

    def title(self, total: int) -> str:
        """Write which rows of how many these are, and which page of how many."""
        rows = self.rows or total or 1
        first, last = self.offset + 1, min(self.offset + rows, total)
        pages = max(1, -(-total // rows))
        shown = f"{first} - {last}" if first <= last else "none"
        return f"Rows {shown} of {total} · page {self.number} of {pages}"


@dataclass(frozen=True, slots=True)
class Order:
    """By which field a list is sorted, as a flag says it: `-live` begins with the greatest."""

    text: str = "name"
    key: str = field(init=False)

    def __post_init__(self) -> None:
        """Raise CommandError if there is no such field."""
        key = self.text.removeprefix("-")
        if key not in ALL:
            raise CommandError(f'--sort: "{key}" is not a field of clients{nearest(key, ALL)}')
        object.__setattr__(self, "key", key)

    def of(self, column: Expression) -> UnaryExpression[Any]:
        """Return the order of *column*; what has no value comes last, but no limit is the greatest."""
        kind = COMPUTED.get(self.key) or (FIELDS[self.key].kind if self.key in FIELDS else Kind.TEXT)
        order = column.desc() if self.text.startswith("-") else column.asc()
        return order if kind in (Kind.MONEY, Kind.COUNT) else order.nulls_last()


_BY_NAME = Order()


def count(connection: Connection, search: Search) -> int:
    """Return how many clients fit."""
    return int(connection.scalar(select(func.count()).select_from(search.ids(connection).subquery())) or 0)


def listed(
    connection: Connection,
    search: Search,
    order: Order,
    page: Page,
    columns: Sequence[str] = PROGRAMS,
) -> Iterator[Record]:
    """Yield *columns* of the clients who fit; `available` is None for one without limit.

    Fixed balances are summed only for the page, unless it takes all of them to find or to sort it.
    """
    ids = search.ids(connection)
    if page.rows is not None:
        ids = _sorted(ids, order, fixed_sums().subquery()).limit(page.rows).offset(page.offset)
    return told(connection, ids, columns, order)


def told(
    connection: Connection, ids: Select[tuple[int]], columns: Sequence[str], order: Order = _BY_NAME
) -> Iterator[Record]:
    """Yield *columns* of the clients whose ids are selected by *ids*."""
    wanted = select(ids.cte("wanted").c.id)
    sums = fixed_sums().where(entry.c.client_id.in_(wanted)).subquery()
    shown = [(_fixed(sums) if key == _FIXED else COLUMNS[key]).label(key) for key in columns]
    statement = select(*shown).select_from(CLIENTS).where(client.c.id.in_(wanted))
    for row in connection.execute(_sorted(statement, order, sums).execution_options(yield_per=1000)):
        yield dict(row._mapping)


def _sorted(statement: Select[Any], order: Order, sums: Subquery) -> Select[Any]:
    """Sort a query of clients, joined with *sums* of their fixed balances; equals stand by name."""
    column = _fixed(sums) if order.key == _FIXED else COLUMNS[order.key]
    joined = statement.outerjoin(sums, sums.c.client_id == client.c.id)
    return joined.order_by(order.of(column), client.c.name)


def _fixed(sums: Subquery) -> Expression:
    return func.coalesce(sums.c.fixed, 0)


def for_people(record: Record) -> Record:
    """Return a row of a list as people read it."""
    available, currency = record["available"], record["currency"]
    return {
        **{key: NOTHING if value in (None, "", []) else value for key, value in record.items()},
        "available": f"{UNLIMITED if available is None else grouped(available)} {currency}",
        "live": grouped(record["live"]),
        "fixed": grouped(record["fixed"]),
    }
