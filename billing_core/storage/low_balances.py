"""Low balances that no change of money tells of: a credit was lowered, or a value set, and nobody calls.

Whoever changes money notices at once what becomes of it. Definitions do not lock money, so what they make
low is found here, a moment later; and so is what a turn decided while a worker took definitions over.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.balance import Balance
from billing_core.client import Client
from billing_core.notice import noticed
from billing_core.ports import Changes, TurnConflictError
from billing_core.storage.connection import translated
from billing_core.storage.definition_rows import CLIENT_COLUMNS, client_of
from billing_core.storage.postgres import PostgresStorage

_CHUNK = 50  # Small, so that no turn waits long for the clients that are locked.

_COLUMNS = ", ".join(f"client.{name}" for name in CLIENT_COLUMNS)

# Whoever is warned, or would be: few of many clients. Whether anything follows is not decided here.
_CANDIDATES = f"""
    SELECT {_COLUMNS}, live, reserved, in_use, term_in_use, warned
    FROM client JOIN balance ON balance.client_id = client.id
    WHERE warned <> 0 OR live + credit < greatest(low_balance_notify_client, low_balance_notify_admin)
    ORDER BY client.id"""  # noqa: S608

_CLIENTS = f"SELECT {_COLUMNS} FROM client WHERE id = ANY(%s)"  # noqa: S608


class LowBalances:
    """Looks through all balances, on a connection of its own."""

    def __init__(self, url: str) -> None:
        """Name the database; nothing is opened yet."""
        self._storage = PostgresStorage(url, "billing notices")
        self._version: int | None = None

    def look(self, now: datetime, *, only_if_changed: bool = False) -> int:
        """Write the notices that are due, and return how many arose. Raises StorageDownError.

        With *only_if_changed* it looks only if definitions have changed since it looked last.
        """
        connection = self._storage.connection()
        version = _version(connection)
        if only_if_changed and version == self._version:
            return 0
        found = [
            client.id
            for client, balance in _candidates(connection)
            if noticed(client, balance, now)[0] != balance
        ]
        chunks = (found[place : place + _CHUNK] for place in range(0, len(found), _CHUNK))
        arose = sum(_notice(self._storage, chunk, now) for chunk in chunks)
        self._version = version
        return arose

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._storage.close()


def _version(connection: Connection) -> int:
    with translated(), connection.cursor() as cursor:
        cursor.execute("SELECT version FROM catalogue")
        return int(cursor.fetchall()[0][0])


def _candidates(connection: Connection) -> Iterator[tuple[Client, Balance]]:
    with translated(), connection.cursor() as cursor:
        cursor.execute(_CANDIDATES)
        for row in cursor:
            yield _client(row[: len(CLIENT_COLUMNS)]), Balance(*row[len(CLIENT_COLUMNS) :])


def _notice(storage: PostgresStorage, client_ids: Collection[int], now: datetime) -> int:
    """Look at these again, now that nobody else changes their money."""
    changes = Changes()
    try:
        with storage.turn() as turn:
            balances = turn.lock_balances(client_ids)
            for client in _clients(storage.connection(), client_ids):
                before = balances[client.id]
                after, notices = noticed(client, before, now)
                if after != before:
                    changes.warned[client.id] = after.warned
                    changes.notices += notices
            turn.record(changes)
    except TurnConflictError:
        return 0  # The next look finds them again.
    return len(changes.notices)


def _clients(connection: Connection, client_ids: Collection[int]) -> Iterator[Client]:
    with translated(), connection.cursor() as cursor:
        cursor.execute(_CLIENTS, (list(client_ids),))
        yield from map(_client, cursor.fetchall())


def _client(row: tuple[Any, ...]) -> Client:
    return client_of(dict(zip(CLIENT_COLUMNS, row, strict=True)), ())
