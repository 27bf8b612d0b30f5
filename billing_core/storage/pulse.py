"""A small row that is committed again and again: the proof that the database keeps what we give it."""

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.storage.connection import connect, cut, translated

_BEAT = """
    INSERT INTO pulse (id, at) VALUES (1, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET at = excluded.at"""
# A row that is written in place proves no room for others. A temporary table does: its file is made anew,
# grows by half a megabyte, and is gone with the end of the transaction. Rows are too short to be compressed.
_MAKE_ROOM = "CREATE TEMPORARY TABLE room (filler text)"
_FILL_ROOM = """
    BEGIN;
    TRUNCATE room;
    INSERT INTO room SELECT repeat('x', 1900) FROM generate_series(1, 256);
    ROLLBACK"""


class Trouble(StrEnum):
    """What keeps a database from keeping anything."""

    AWAY = "away"
    FULL = "full"
    READ_ONLY = "read_only"
    STARTING = "starting"
    REFUSING = "refusing"
    EXHAUSTED = "exhausted"


_BY_CODE = {
    errorcodes.DISK_FULL: Trouble.FULL,
    errorcodes.READ_ONLY_SQL_TRANSACTION: Trouble.READ_ONLY,
    errorcodes.CANNOT_CONNECT_NOW: Trouble.STARTING,
    errorcodes.TOO_MANY_CONNECTIONS: Trouble.REFUSING,
    errorcodes.OUT_OF_MEMORY: Trouble.EXHAUSTED,
    errorcodes.INSUFFICIENT_PRIVILEGE: Trouble.REFUSING,
    errorcodes.UNDEFINED_TABLE: Trouble.REFUSING,
}
# What PostgreSQL quotes of its system, whatever it was doing, and what it says before it has codes.
_BY_WORDS = {
    "No space left on device": Trouble.FULL,
    "Read-only file system": Trouble.READ_ONLY,
    "Too many open files": Trouble.EXHAUSTED,
    "could not fork": Trouble.EXHAUSTED,
    "Cannot allocate memory": Trouble.EXHAUSTED,
    "the database system is": Trouble.STARTING,
    "authentication failed": Trouble.REFUSING,
    "does not exist": Trouble.REFUSING,
}


def trouble_of(error: Exception) -> Trouble:
    """Return what kind of trouble the database is in."""
    cause = error.__cause__
    code = cause.pgcode if isinstance(cause, psycopg2.Error) else None
    by_words = (trouble for words, trouble in _BY_WORDS.items() if words in str(error))
    return _BY_CODE.get(code or "") or next(by_words, Trouble.AWAY)


class Pulse:
    """Commits the row on a connection of its own."""

    def __init__(self, url: Callable[[], str]) -> None:
        """Name the database, whose URL may be known by its start only; nothing is opened yet."""
        self._url = url
        self._connection: Connection | None = None

    def beat(self, *, with_room: bool) -> None:
        """Commit the row anew; *with_room* find out as well whether tables may grow.

        Raises StorageDownError.
        """
        try:
            if self._connection is None:
                self._connection = connect(self._url(), application="radiusd pulse")
                with translated(), self._connection.cursor() as cursor:
                    cursor.execute(_MAKE_ROOM)
            with translated(), self._connection.cursor() as cursor:
                if with_room:
                    cursor.execute(_FILL_ROOM)
                cursor.execute(_BEAT)
        except Exception:
            self.close()
            raise

    def cut(self) -> None:
        """Break off a beat that nobody answers; for another thread to call."""
        if self._connection is not None:
            cut(self._connection)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg2.Error):
                connection.close()
