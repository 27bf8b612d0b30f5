"""The monthly partitions of the tables that grow with the calls: made a year ahead, dropped when closed.

A row whose month has no partition goes to the default one, and moves when its month is made. Months
are those of UTC.
"""

from datetime import UTC, date, datetime

from sqlalchemy import Connection, text

# Each table with the column by which it is parted.
PARTITIONED = {"xdr": "recorded_at", "entry": "at", "decision": "at"}
NEVER_EDITED = ("xdr", "entry")  # The others may be tidied up by whoever serves.

_MONTHS_AHEAD = 12


def month_of(moment: datetime) -> date:
    """Return the first day of the month of *moment*, in UTC."""
    return moment.astimezone(UTC).date().replace(day=1)


def next_month(month: date) -> date:
    """Return the first day of the month after *month*."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def partition_name(table: str, month: date) -> str:
    """Return the name of the partition that holds *month* of *table*."""
    return f"{table}_{month:%Y_%m}"


def make_partitions(connection: Connection, now: datetime) -> list[str]:
    """Make the partitions from the month of *now* to a year ahead, and of months that wait in a default one.

    Returns the names of those that were missing. Whoever does not own the tables makes none: the default
    partitions take the rows until the owner comes. Months that were dropped are not made again.
    """
    if not is_owner(connection):
        return []
    closed = set(connection.execute(text("SELECT month FROM closed_month")).scalars())
    made = []
    for table, column in PARTITIONED.items():
        waiting = set(connection.execute(text(_WAITING.format(table=table, column=column))).scalars())
        existing = set(partitions(connection, table))
        for month in sorted({*_ahead(now), *waiting} - closed):
            name = partition_name(table, month)
            if name not in existing:
                _make(connection, table, month, has_rows=month in waiting)
                made.append(name)
    return made


def is_owner(connection: Connection) -> bool:
    """Tell whether the role owns the tables that only their owner may take from."""
    return bool(connection.execute(text(_IS_OWNER)).scalar_one())


def partitions(connection: Connection, table: str) -> list[str]:
    """Return the names of all partitions of *table*, the default one among them."""
    return list(connection.execute(text(_PARTITIONS), {"parent": table}).scalars())


_PARTITIONS = """
    SELECT partition.relname FROM pg_inherits
    JOIN pg_class AS partition ON partition.oid = inhrelid
    WHERE inhparent = to_regclass('public.' || :parent) ORDER BY partition.relname"""

_IS_OWNER = """
    SELECT bool_and(pg_has_role(current_user, relowner, 'USAGE')) FROM pg_class
    WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace"""

_WAITING = "SELECT DISTINCT date_trunc('month', {column} AT TIME ZONE 'UTC')::date FROM {table}_default"


def _ahead(now: datetime) -> list[date]:
    months = [month_of(now)]
    for _ in range(_MONTHS_AHEAD):
        months.append(next_month(months[-1]))
    return months


def _make(connection: Connection, table: str, month: date, *, has_rows: bool) -> None:
    """Make a partition beside the table and attach it: turns that write to other months go on meanwhile."""
    name = partition_name(table, month)
    begin, end = f"{month} 00:00:00+00", f"{next_month(month)} 00:00:00+00"
    steps = [f"CREATE TABLE {name} (LIKE {table})"]
    if has_rows:
        steps += _moving(table, name, begin, end)
    if table in NEVER_EDITED:
        steps.append(
            f"CREATE TRIGGER {name}_is_never_edited BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}"
            " FOR EACH STATEMENT EXECUTE FUNCTION never_edited()"
        )
    steps.append(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')")
    for step in steps:
        connection.exec_driver_sql(step)


def _moving(table: str, name: str, begin: str, end: str) -> list[str]:
    """Return how rows leave the default partition, which is locked so that none is overlooked."""
    default, column = f"{table}_default", PARTITIONED[table]
    moved = f"""
        WITH moved AS (
            DELETE FROM {default} WHERE {column} >= '{begin}' AND {column} < '{end}' RETURNING *
        ) INSERT INTO {name} SELECT * FROM moved"""  # noqa: S608 - a table's name and two dates
    lock = f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"
    if table not in NEVER_EDITED:
        return [lock, moved]
    # To move a row is not to edit it: nobody sees the tables before all of this is committed.
    trigger = f"TRIGGER {default}_is_never_edited"
    return [
        lock,
        f"ALTER TABLE {default} DISABLE {trigger}",
        moved,
        f"ALTER TABLE {default} ENABLE {trigger}",
    ]
