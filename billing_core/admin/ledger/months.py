"""Months whose records are no longer needed: listed, and dropped without a change to any balance."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, Engine, text

from billing_core.admin.fixed_balance import FIXED_PART
from billing_core.admin.locks import ATTEMPTS, StillBusyError, when_free
from billing_core.admin.output import CommandError, Record
from billing_core.ledger import EntryKind
from billing_core.storage.held import HELD_LEGS
from billing_core.storage.partitions import PARTITIONED, is_owner, month_of, next_month, partitions

LIST_COLUMNS = ("month", "bytes", "state", "closed_at", "who")

# Records that are not kept in partitions, by the column that tells their month.
_KEPT_WHOLE = {"unknown_record": "at", "disconnect": "asked_at"}
_DELETED_AT_ONCE = 5000

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a month held, and what was carried forward in place of it: a sum for each client.

    `unknown_records` and `disconnects` are all up to its end. `is_done` tells that it was dropped rather
    than only looked at.
    """

    month: str
    clients: int
    entries: int
    xdrs: int
    decisions: int
    unknown_records: int
    disconnects: int
    is_done: bool


def month(written: str) -> date:
    """Return the first day of the month *written* as 2026-01; raise CommandError for anything else."""
    if not _MONTH.fullmatch(written):
        raise CommandError(f'"{written}" is not a month; write the year and the month, as "2026-01"')
    return date.fromisoformat(f"{written}-01")


def listed(connection: Connection) -> Iterator[Record]:
    """Yield every month that has partitions, or had them, with the room they take."""
    sizes: dict[str, int] = {}
    for table in PARTITIONED:
        for key, name in _months(connection, table).items():
            size = connection.execute(text("SELECT pg_total_relation_size(:name)"), {"name": name})
            sizes[key] = sizes.get(key, 0) + size.scalar_one()
    closed = {f"{row.month:%Y-%m}": row for row in connection.execute(text("SELECT * FROM closed_month"))}
    for key in sorted({*sizes, *closed}):
        row = closed.get(key)
        yield {
            "month": key,
            "bytes": sizes.get(key, 0),
            "state": "dropped" if row else "kept",
            "closed_at": row.closed_at if row else None,
            "who": row.who if row else None,
        }


def _months(connection: Connection, table: str) -> dict[str, str]:
    """Return the partitions of *table* by month; the default one, for all other months, comes last."""
    found = partitions(connection, table)
    return {name.removeprefix(f"{table}_").replace("_", "-"): name for name in found}


def drop(owner: Engine, wanted: date, who: str, *, is_sure: bool) -> Dropped:
    """Drop the records of the month *wanted*, leaving one entry for each client; only look unless *is_sure*.

    It takes a role that owns the tables. Raises CommandError when the month is too young, was dropped, has
    calls under way, or when an older one is still there.
    """

    def attempted(connection: Connection) -> Dropped:
        _refuse(connection, wanted)
        return _dropped(connection, wanted, who, is_sure)

    try:
        # Whoever reads the whole ledger holds its months: turns must not queue behind us for long.
        dropped = when_free(owner, attempted, lock_timeout="500ms", pause_seconds=0.1)
    except StillBusyError:
        raise CommandError(
            f"month {wanted:%Y-%m}: its tables were in use in {ATTEMPTS} attempts; nothing was dropped"
        ) from None
    if is_sure:
        _delete_until(owner, next_month(wanted))
    return dropped


def _delete_until(owner: Engine, end: date) -> None:
    """Delete what else was recorded before *end*, piece by piece; should we die, the next month takes it."""
    for table, column in _KEPT_WHOLE.items():
        piece = f"SELECT ctid FROM {table} WHERE {_BEFORE.format(column)} LIMIT {_DELETED_AT_ONCE}"  # noqa: S608
        delete = text(f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({piece}))")  # noqa: S608
        deleted = _DELETED_AT_ONCE
        while deleted == _DELETED_AT_ONCE:
            with owner.begin() as connection:
                deleted = connection.execute(delete, {"end": end}).rowcount


_BEFORE = "{} < CAST(:end AS timestamp) AT TIME ZONE 'UTC'"


def _refuse(connection: Connection, wanted: date) -> None:
    """Raise CommandError, naming why, when the month can't be dropped."""
    name = f"{wanted:%Y-%m}"
    if not is_owner(connection):
        raise CommandError(f"month {name}: only the owner of the tables can drop it; set database.owner_url")
    closed_at = "SELECT closed_at FROM closed_month WHERE month = :month"
    if connection.execute(text(closed_at), {"month": wanted}).scalar() is not None:
        raise CommandError(f"month {name}: was dropped before")
    now = connection.execute(text("SELECT now()")).scalar_one()
    last_full = month_of(now) - timedelta(days=1)
    if wanted >= last_full.replace(day=1):
        raise CommandError(f"month {name}: is too young; only months before {last_full:%Y-%m} can be dropped")
    months = {key for table in PARTITIONED for key in _months(connection, table)}
    if name not in months:
        raise CommandError(f"month {name}: there is none; `billing months list` names those that are")
    # Carried sums stand where their month stood: an older month behind them would be out of place.
    if name != min(months):
        raise CommandError(f"month {name}: drop the older month {min(months)} first")
    under_way = "SELECT count(*) FROM session WHERE closed_at IS NULL AND opened_at < :end"
    if legs := connection.execute(text(under_way), {"end": next_month(wanted)}).scalar_one():
        raise CommandError(f"month {name}: {legs} calls of it are under way; see `billing calls`")
    held = f"SELECT count(*) FROM ({HELD_LEGS}) AS held WHERE {_BEFORE.format('closed_at')}"  # noqa: S608
    if legs := connection.execute(text(held), {"end": next_month(wanted)}).scalar_one():
        raise CommandError(
            f"month {name}: {legs} calls of it hold money until you decide what they cost; see"
            " `billing xdrs --reason overrun`"
        )


_CARRY = """
    INSERT INTO entry (client_id, kind, amount, fixed, at, reference, who)
    SELECT client_id, :kind, sum(amount), sum({fixed}), now(), :reference, :who
    FROM {partition} GROUP BY client_id"""


def _dropped(connection: Connection, wanted: date, who: str, is_sure: bool) -> Dropped:
    key = f"{wanted:%Y-%m}"
    existing = {table: months[key] for table in PARTITIONED if key in (months := _months(connection, table))}
    if is_sure:
        # Nobody adds to a month that is over; with this it is certain that what is summed is what is dropped.
        connection.execute(text(f"LOCK TABLE {', '.join(existing.values())} IN SHARE MODE"))
    counts = {
        table: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()  # noqa: S608
        for table, name in existing.items()
    }
    for table, column in _KEPT_WHOLE.items():
        counted = f"SELECT count(*) FROM {table} WHERE {_BEFORE.format(column)}"  # noqa: S608
        counts[table] = connection.execute(text(counted), {"end": next_month(wanted)}).scalar_one()
    clients = 0
    if "entry" in existing:
        owners = f"SELECT count(DISTINCT client_id) FROM {existing['entry']}"  # noqa: S608
        clients = connection.execute(text(owners)).scalar_one()
    if is_sure:
        _replace(connection, wanted, existing, who)
    return Dropped(
        key,
        clients,
        entries=counts.get("entry", 0),
        xdrs=counts.get("xdr", 0),
        decisions=counts.get("decision", 0),
        unknown_records=counts["unknown_record"],
        disconnects=counts["disconnect"],
        is_done=is_sure,
    )


def _replace(connection: Connection, wanted: date, existing: dict[str, str], who: str) -> None:
    """Add a carried entry for each client, note the month, and let its partitions go."""
    values = {"kind": EntryKind.CARRIED.value, "reference": f"carried {wanted:%Y-%m}", "who": who}
    if "entry" in existing:
        connection.execute(text(_CARRY.format(fixed=FIXED_PART, partition=existing["entry"])), values)
    noted = "INSERT INTO closed_month (month, closed_at, who) VALUES (:month, now(), :who)"
    connection.execute(text(noted), {"month": wanted, "who": who})
    for name in existing.values():
        connection.execute(text(f"DROP TABLE {name}"))
