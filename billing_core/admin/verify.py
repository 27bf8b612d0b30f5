"""The rules of the money, checked against the whole database in one snapshot.

Every invariant is one query that lists what breaks it. Nothing is locked, so that it can run beside
a daemon under load; PostgreSQL shows all queries the same moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from billing_core.admin.counted import COUNTED_SCOPES
from billing_core.admin.output import Record
from billing_core.money import ZERO
from billing_core.rate_table import Rate
from billing_core.rating import billed_seconds, cost
from billing_core.xdr import XdrState


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule, the table whose rows it is checked for, and the query that lists what breaks it."""

    name: str
    table: str
    offenders: str


@dataclass(frozen=True, slots=True)
class Finding:
    """How many rows were checked for an invariant, and what breaks it."""

    invariant: str
    checked: int
    differences: tuple[Record, ...]

    def record(self) -> Record:
        """Return the finding for a JSON document."""
        return {"invariant": self.invariant, "checked": self.checked, "differences": list(self.differences)}


def _sum_of_sessions(column: str, expression: str, condition: str) -> str:
    """Compare a column of `balance` with what the sessions of that client add up to."""
    return f"""
        SELECT client.name AS client, balance.{column} AS stated, COALESCE(found.total, 0) AS found
        FROM balance JOIN client ON client.id = balance.client_id
        LEFT JOIN (
            SELECT client_id, {expression} AS total FROM session WHERE {condition} GROUP BY client_id
        ) AS found USING (client_id)
        WHERE balance.{column} <> COALESCE(found.total, 0) ORDER BY client.name"""  # noqa: S608


# The last revision of each generation of a leg.
_LAST_XDRS = """
    SELECT DISTINCT ON (leg_key, generation) leg_key, generation, revision, client_id, leg, call_id, amount
    FROM xdr ORDER BY leg_key, generation, revision DESC"""

INVARIANTS = (
    Invariant(
        "live_is_the_sum_of_entries",
        "entry",
        """
        SELECT client.name AS client, client_id, balance.live AS stated, COALESCE(found.total, 0) AS found
        FROM balance
        FULL JOIN (SELECT client_id, sum(amount) AS total FROM entry GROUP BY client_id) AS found
            USING (client_id)
        LEFT JOIN client ON client.id = client_id
        WHERE balance.live IS DISTINCT FROM COALESCE(found.total, 0) ORDER BY client_id""",
    ),
    Invariant(
        "reserved_is_the_sum_of_open_reservations",
        "balance",
        _sum_of_sessions("reserved", "sum(reserved)", "state <= 1"),
    ),
    Invariant(
        "in_use_counts_open_origination_legs",
        "balance",
        _sum_of_sessions("in_use", "count(*)", "state <= 1 AND leg = 'origination'"),
    ),
    Invariant(
        "term_in_use_counts_open_termination_legs",
        "balance",
        _sum_of_sessions("term_in_use", "count(*)", "state <= 1 AND leg = 'termination'"),
    ),
    Invariant(
        "shared_counters_count_open_origination_legs",
        "capacity_counter",
        f"""
        SELECT scope, owner_id, counter.in_use AS stated, COALESCE(found.in_use, 0) AS found
        FROM capacity_counter AS counter LEFT JOIN ({COUNTED_SCOPES}) AS found USING (scope, owner_id)
        WHERE counter.in_use <> COALESCE(found.in_use, 0) ORDER BY scope, owner_id""",  # noqa: S608
    ),
    Invariant(
        "shared_counters_are_where_capacities_are",
        "capacity_counter",
        """
        SELECT scope, owner_id, counter.capacity AS stated, limits.capacity AS found
        FROM capacity_counter AS counter
        FULL JOIN (
            SELECT 1 AS scope, id AS owner_id, capacity FROM account WHERE capacity IS NOT NULL
            UNION ALL SELECT 2, id, capacity FROM reseller WHERE capacity IS NOT NULL
        ) AS limits USING (scope, owner_id)
        WHERE counter.capacity IS DISTINCT FROM limits.capacity ORDER BY scope, owner_id""",
    ),
    Invariant(
        "posted_is_the_amount_of_the_last_xdr",
        "session",
        f"""
        SELECT session.call_id, session.session_id, session.posted AS stated, last.amount AS found,
            session.revision AS stated_revision, last.revision AS found_revision
        FROM session LEFT JOIN ({_LAST_XDRS}) AS last USING (leg_key, generation)
        WHERE session.posted <> COALESCE(last.amount, 0) OR session.revision <> COALESCE(last.revision, 0)
        ORDER BY session.leg_key""",  # noqa: S608
    ),
    Invariant(
        "charges_add_up_to_the_last_xdr",
        "xdr",
        f"""
        SELECT encode(leg_key, 'hex') AS leg_key, generation, client.name AS client, last.call_id,
            COALESCE(charged.total, 0) AS stated, COALESCE(last.owed, 0) AS found
        FROM (
            SELECT leg_key, generation, COALESCE(client_id, 0) AS client_id, call_id,
                CASE leg WHEN 'origination' THEN -amount WHEN 'termination' THEN amount ELSE 0 END AS owed
            FROM ({_LAST_XDRS}) AS newest
        ) AS last
        FULL JOIN (
            SELECT leg_key, generation, client_id, sum(amount) AS total FROM entry
            WHERE kind = 'charge' GROUP BY leg_key, generation, client_id
        ) AS charged USING (leg_key, generation, client_id)
        LEFT JOIN client ON client.id = client_id
        WHERE COALESCE(charged.total, 0) <> COALESCE(last.owed, 0) ORDER BY leg_key, generation""",  # noqa: S608
    ),
    Invariant(
        "ended_legs_reserve_nothing",
        "session",
        "SELECT call_id, session_id, reserved FROM session WHERE state > 1 AND reserved <> 0",
    ),
    Invariant(
        "every_client_has_a_balance",
        "client",
        """
        SELECT client.id, client.name AS client FROM client
        LEFT JOIN balance ON balance.client_id = client.id
        WHERE balance.client_id IS NULL ORDER BY client.id""",
    ),
    Invariant(
        "nothing_reserved_is_negative",
        "session",
        """
        SELECT client.name AS client, NULL AS call_id, balance.reserved
        FROM balance JOIN client ON client.id = balance.client_id WHERE balance.reserved < 0
        UNION ALL
        SELECT client.name, session.call_id, session.reserved
        FROM session LEFT JOIN client ON client.id = session.client_id WHERE session.reserved < 0""",
    ),
)

RECOMPUTED = "amounts_are_the_cost_of_the_duration"

# The rate that priced a leg is pinned in its session, as long as the session is of that generation.
_PRICED = """
    SELECT session.call_id, session.session_id, xdr.state, xdr.duration_seconds,
        xdr.amount, xdr.billed_seconds,
        session.code, session.destination, session.price_per_minute, session.setup_fee,
        session.min_volume_seconds, session.interval_seconds, session.grace_seconds
    FROM session JOIN xdr USING (leg_key, generation, revision)
    ORDER BY session.leg_key"""

_RATE_FIELDS = 7


def verify(engine: Engine) -> list[Finding]:
    """Check every invariant in one snapshot, which locks nothing."""
    with engine.connect() as connection:
        snapshot = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return [*(_finding(snapshot, invariant) for invariant in INVARIANTS), _recomputed(snapshot)]


def _finding(connection: Connection, invariant: Invariant) -> Finding:
    counted = f"SELECT count(*) FROM {invariant.table}"  # noqa: S608 - one of the constants above
    checked = connection.execute(text(counted)).scalar_one()
    differences = tuple(dict(row._mapping) for row in connection.execute(text(invariant.offenders)))
    return Finding(invariant.name, checked, differences)


def _recomputed(connection: Connection) -> Finding:
    """Rate every finished leg again whose rate is still known."""
    checked = 0
    differences: list[Record] = []
    for row in connection.execute(text(_PRICED).execution_options(yield_per=1000)):
        checked += 1
        differences += _wrong_price(row)
    return Finding(RECOMPUTED, checked, tuple(differences))


def _wrong_price(row: Row[Any]) -> Iterator[Record]:
    rate = Rate(*row[-_RATE_FIELDS:]) if row.price_per_minute is not None else None
    expected, billed = ZERO, 0
    if row.state in _CHARGED and rate is not None:
        expected = cost(rate, row.duration_seconds or 0)
        billed = billed_seconds(rate, row.duration_seconds or 0)
    if (row.amount, row.billed_seconds) != (expected, billed):
        yield {
            "call_id": row.call_id,
            "session_id": row.session_id,
            "stated": row.amount,
            "found": expected,
            "stated_billed_seconds": row.billed_seconds,
            "found_billed_seconds": billed,
        }


_CHARGED = {XdrState.RATED.value, XdrState.ESTIMATED.value}
