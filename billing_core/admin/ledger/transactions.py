"""A client's ledger as people read it: every change of his money, and the balance it led to."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from billing_core.admin.calls.hidden_numbers import hidden
from billing_core.admin.fixed_balance import FIXED_PART
from billing_core.admin.found import found_client
from billing_core.admin.output import Record

COLUMNS = (
    "at",
    "kind",
    "amount",
    "balance",
    "fixed_amount",
    "fixed_balance",
    "call_id",
    "reference",
    "reason",
    "who",
)

# A carried sum stands where the month stood whose entries it replaces, so that balances stay what they were.
_LEDGER = f"""
    SELECT at, kind, amount, balance, fixed_amount, fixed_balance, currency, call_id, called, leg,
        reference, reason, who, hidden_numbers
    FROM (
        SELECT entry.*, client.currency, client.hidden_numbers, session.call_id, session.called, session.leg,
            sum(entry.amount) OVER (ORDER BY stands_at, entry.id) AS balance,
            sum(fixed_amount) OVER (ORDER BY stands_at, entry.id) AS fixed_balance,
            row_number() OVER (ORDER BY stands_at, entry.id) AS place
        FROM (
            SELECT *, CASE kind WHEN 'carried'
                THEN (to_date(right(reference, 7), 'YYYY-MM') + interval '1 month') AT TIME ZONE 'UTC'
                ELSE at END AS stands_at, {FIXED_PART} AS fixed_amount
            FROM entry WHERE client_id = :client_id
        ) AS entry
        JOIN client ON client.id = entry.client_id
        LEFT JOIN session ON session.leg_key = entry.leg_key AND session.generation = entry.generation
    ) AS ledger
    WHERE (CAST(:since AS timestamptz) IS NULL OR at >= :since)
        AND (CAST(:until AS timestamptz) IS NULL OR at < :until)"""  # noqa: S608


def transactions(
    connection: Connection,
    name: str,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    *,
    shows_numbers: bool = False,
) -> Iterator[Record]:
    """Yield the entries of the client *name* from *since* to before *until*, the oldest first.

    `balance` is the live balance after each, `fixed_balance` the fixed one. A *limit* leaves the newest.
    Raises CommandError when there is no such client.
    """
    values = {"client_id": found_client(connection, name).id, "since": since, "until": until}
    if limit is None:
        return hidden(_records(connection, f"{_LEDGER} ORDER BY place", values), are_shown=shows_numbers)
    newest = f"{_LEDGER} ORDER BY place DESC LIMIT :limit"
    found = list(_records(connection, newest, values | {"limit": limit}))
    return hidden(reversed(found), are_shown=shows_numbers)


def _records(connection: Connection, statement: str, values: dict[str, object]) -> Iterator[dict[str, Any]]:
    for row in connection.execution_options(yield_per=1000).execute(text(statement), values):
        yield {key: +value if isinstance(value, Decimal) else value for key, value in row._mapping.items()}
