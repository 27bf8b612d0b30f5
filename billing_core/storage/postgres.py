"""The turn on PostgreSQL: four round trips, whatever the size of the batch."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, cursor
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.balance import Balance
from billing_core.capacity import Counter, CounterKey, Scope
from billing_core.ports import Changes, Reboot
from billing_core.session import Session
from billing_core.storage import rows
from billing_core.storage.connection import connect, translated

_OWNERS = "BEGIN; SELECT leg_key, client_id FROM session WHERE leg_key = ANY(%s::bytea[])"

# Nothing but the lock: a sum in a statement that waited would be the sum from before the wait.
_LOCK_BALANCES = """
    SELECT client_id, live, reserved, in_use, term_in_use FROM balance
    WHERE client_id = ANY(%s::int[]) ORDER BY client_id FOR UPDATE"""

_LOCK_COUNTERS = """
    SELECT scope, owner_id, capacity, in_use FROM capacity_counter
    WHERE (scope, owner_id) IN (SELECT * FROM unnest(%s::smallint[], %s::int[]))
    ORDER BY scope, owner_id FOR UPDATE"""

_CHANGE_BALANCES = """
    UPDATE balance AS old SET live = old.live + new.live, reserved = old.reserved + new.reserved,
        in_use = old.in_use + new.in_use, term_in_use = old.term_in_use + new.term_in_use
    FROM unnest(%s::int[], %s::numeric[], %s::numeric[], %s::int[], %s::int[])
        AS new(client_id, live, reserved, in_use, term_in_use)
    WHERE old.client_id = new.client_id"""

_CHANGE_COUNTERS = """
    UPDATE capacity_counter AS old SET in_use = old.in_use + new.in_use
    FROM unnest(%s::smallint[], %s::int[], %s::int[]) AS new(scope, owner_id, in_use)
    WHERE old.scope = new.scope AND old.owner_id = new.owner_id"""

_INSERT_REBOOTS = """
    INSERT INTO reboot (nas, nas_box, event_at, starting)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::boolean[]) ON CONFLICT DO NOTHING"""

_DUE = "SELECT leg_key FROM session WHERE state <= 1 AND look_at <= %s ORDER BY look_at LIMIT %s"

_NEXT_REBOOT = """
    SELECT id, nas, nas_box, event_at, starting FROM reboot WHERE done_at IS NULL ORDER BY id LIMIT 1"""

_LEGS_BEFORE = """
    SELECT leg_key FROM session
    WHERE state <= 1 AND nas = %s AND nas_box = %s AND opened_at < %s LIMIT %s"""

_Statement = tuple[str, list[object]]


class PostgresTurn:
    """One transaction of a turn or of the sweep, on a connection in autocommit mode."""

    def __init__(self, cursor: cursor) -> None:
        """Use *cursor*; the transaction begins with the first call."""
        self._cursor = cursor
        self._known: set[bytes] = set()

    def owners(self, leg_keys: Collection[bytes]) -> Mapping[bytes, int | None]:
        """Return the clients of known legs, and begin the transaction where it has not begun."""
        statement = _OWNERS if self._is_idle() else _OWNERS.removeprefix("BEGIN; ")
        return {bytes(key): owner for key, owner in self._select(statement, rows.array_literal(leg_keys))}

    def lock_balances(self, client_ids: Collection[int]) -> Mapping[int, Balance]:
        """Lock the clients' balances in order of id."""
        if not client_ids:
            return {}
        found = self._select(_LOCK_BALANCES, rows.array_literal(client_ids))
        return {row[0]: Balance(*row[1:]) for row in found}

    def sessions(self, leg_keys: Collection[bytes]) -> Mapping[bytes, Session]:
        """Return the sessions as they are now."""
        if not leg_keys:
            return {}
        found = [
            rows.session_of(row) for row in self._select(rows.SELECT_SESSIONS, rows.array_literal(leg_keys))
        ]
        self._known = {session.leg_key for session in found}
        return {session.leg_key: session for session in found}

    def lock_counters(self, keys: Collection[CounterKey]) -> Mapping[CounterKey, Counter]:
        """Lock the shared counters that exist."""
        if not keys:
            return {}
        scopes, owners = zip(*((scope.value, owner) for scope, owner in keys), strict=True)
        found = self._select(_LOCK_COUNTERS, rows.array_literal(scopes), rows.array_literal(owners))
        return {(Scope(row[0]), row[1]): Counter(row[2], row[3]) for row in found}

    def record(self, changes: Changes) -> None:
        """Write everything and commit, in one round trip."""
        statements = [*self._write_sessions(changes), *_write_sums(changes)]
        sql = "; ".join([*(statement for statement, _ in statements), "COMMIT"])
        with translated():
            self._cursor.execute(sql, [value for _, values in statements for value in values])

    def due(self, now: datetime, most: int) -> Sequence[bytes]:
        """Return the keys of open legs to be looked at by *now*."""
        return [bytes(key) for (key,) in self._select(f"BEGIN; {_DUE}", now, most)]

    def next_reboot(self) -> tuple[int, Reboot] | None:
        """Return the oldest reboot that is not worked off."""
        found = self._select(f"BEGIN; {_NEXT_REBOOT}")
        return (found[0][0], Reboot(*found[0][1:])) if found else None

    def legs_before(self, reboot: Reboot, most: int) -> Sequence[bytes]:
        """Return the keys of open legs that the reboot ended."""
        found = self._select(_LEGS_BEFORE, reboot.nas, reboot.nas_box, reboot.event_at, most)
        return [bytes(key) for (key,) in found]

    def reboot_done(self, reboot_id: int) -> None:
        """Mark a reboot as worked off, with the legs that this turn closes."""
        with translated():
            self._cursor.execute("UPDATE reboot SET done_at = now() WHERE id = %s", (reboot_id,))

    def _is_idle(self) -> bool:
        return self._cursor.connection.info.transaction_status == TRANSACTION_STATUS_IDLE

    def _select(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with translated():
            self._cursor.execute(statement, values)
            return self._cursor.fetchall()

    def _write_sessions(self, changes: Changes) -> Iterator[_Statement]:
        """Insert legs that nobody knew and update the others: a leg inserted twice is a conflict."""
        new = [rows.session_row(s) for key, s in changes.sessions.items() if key not in self._known]
        known = [rows.session_row(s) for key, s in changes.sessions.items() if key in self._known]
        if new:
            yield rows.INSERT_SESSIONS, list(rows.array_literals(new))
        if known:
            yield rows.UPDATE_SESSIONS, list(rows.array_literals(known))


def _write_sums(changes: Changes) -> Iterator[_Statement]:
    if changes.xdrs:
        yield rows.INSERT_XDRS, list(rows.array_literals([rows.xdr_row(xdr) for xdr in changes.xdrs]))
    if changes.entries:
        entries = [rows.entry_row(entry) for entry in changes.entries]
        yield rows.INSERT_ENTRIES, list(rows.array_literals(entries))
    if changes.balances:
        by_client = [
            (client_id, by.live, by.reserved, by.in_use, by.term_in_use)
            for client_id, by in changes.balances.items()
        ]
        yield _CHANGE_BALANCES, list(rows.array_literals(by_client))
    if changes.counters:
        by_owner = [(scope.value, owner, by) for (scope, owner), by in changes.counters.items()]
        yield _CHANGE_COUNTERS, list(rows.array_literals(by_owner))
    if changes.reboots:
        reboots = [(item.nas, item.nas_box, item.event_at, item.starting) for item in changes.reboots]
        yield _INSERT_REBOOTS, list(rows.array_literals(reboots))


class PostgresStorage:
    """Turns on one connection, which is opened when needed and thrown away when it fails."""

    def __init__(self, url: str, application: str) -> None:
        """Name the database; nothing is opened yet."""
        self._url = url
        self._application = application
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """Return the open connection, or open one. Raises StorageDownError."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, application=self._application)
        return self._connection

    @contextmanager
    def turn(self) -> Iterator[PostgresTurn]:
        """Begin a turn; leaving it without ``record`` undoes it."""
        connection = self.connection()
        try:
            with connection.cursor() as cursor:
                yield PostgresTurn(cursor)
        finally:
            self._undo(connection)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _undo(self, connection: Connection) -> None:
        """Leave no transaction behind; a connection that can't even do that is thrown away."""
        try:
            if connection.closed or connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
                connection.cursor().execute("ROLLBACK")
        except psycopg2.Error:
            connection.close()
            self._connection = None
