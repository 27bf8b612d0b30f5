"""Refusals end: those that are older than they are kept for go, a bounded number in a transaction."""

from datetime import datetime

from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.storage.connection import translated

AT_ONCE = 5000

# Rows that somebody has locked are left for the next time, so that nobody waits for a tidier.
_REMOVE = """
    DELETE FROM decision WHERE (id, at) IN (
        SELECT id, at FROM decision WHERE at < %(before)s ORDER BY at LIMIT %(at_once)s
        FOR UPDATE SKIP LOCKED)"""


def remove_refusals(connection: Connection, before: datetime, at_once: int = AT_ONCE) -> int:
    """Remove refusals from before that moment, the oldest first, at most *at_once*; return how many.

    *connection* commits by itself. Raises StorageDownError.
    """
    with translated(), connection.cursor() as cursor:
        cursor.execute(_REMOVE, {"before": before, "at_once": at_once})
        return int(cursor.rowcount)
