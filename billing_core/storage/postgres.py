"""The turn on PostgreSQL: three round trips, whatever the size of the batch."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import astuple
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, cursor
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.balance import Balance
from billing_core.capacity import Counter, CounterKey, Scope
from billing_core.ports import Changes, Reboot
from billing_core.proof import Proof, ProofId
from billing_core.session import LegId, Session
from billing_core.storage import rows, statements
from billing_core.storage.connection import connect, cut, translated
from billing_core.storage.disconnects import disconnect_row
from billing_core.storage.notices import is_mailed, lock_keys, mail_row, told_rows

_Write = tuple[str, list[str]]


class PostgresTurn:
    """One transaction of a turn or of the sweep, on a connection in autocommit mode."""

    def __init__(self, cursor: cursor) -> None:
        """Use *cursor*; the transaction begins with the first call."""
        self._cursor = cursor
        self._known: dict[LegId, Session] = {}
        self._begin = "BEGIN; "

    def owners(self, leg_keys: Collection[bytes]) -> AbstractSet[int]:
        """Return the clients of known legs."""
        return {owner for (owner,) in self._select("owners", rows.array_literal(leg_keys))}

    def lock_balances(self, client_ids: Collection[int]) -> Mapping[int, Balance]:
        """Lock the clients' balances in order of id."""
        if not client_ids:
            return {}
        found = self._select("lock_balances", rows.array_literal(client_ids))
        return {row[0]: Balance(*row[1:]) for row in found}

    def sessions(self, leg_keys: Collection[bytes]) -> tuple[int, Mapping[LegId, Session]]:
        """Return the definitions' version, and the sessions; those whom no balance guards are locked."""
        told = self._select("sessions", rows.array_literal(leg_keys))
        found = {s.id: s for row in told if row[1] is not None for s in (rows.session_of(row[1:]),)}
        of_nobody = {key for (key, _), session in found.items() if session.client_id is None}
        if of_nobody:
            locked = map(rows.session_of, self._select("lock_sessions", rows.array_literal(of_nobody)))
            found |= {session.id: session for session in locked}
        self._known |= found
        return told[0][0], found

    def reboots(self, nas: Collection[str], since: datetime) -> Sequence[Reboot]:
        """Return when devices of these switches began anew."""
        return [Reboot(*row) for row in self._select("reboots", rows.array_literal(nas), since)]

    def proofs(self, ids: Collection[ProofId]) -> Mapping[ProofId, Proof]:
        """Return what these proofs have served."""
        client_ids, uses = zip(*ids, strict=True)
        found = self._select("proofs", rows.array_literal(client_ids), rows.array_literal(uses))
        proofs = [Proof(row[0], bytes(row[1]), bytes(row[2]), *row[3:]) for row in found]
        return {proof.id: proof for proof in proofs}

    def lock_counters(self, keys: Collection[CounterKey]) -> Mapping[CounterKey, Counter]:
        """Lock the shared counters that exist."""
        if not keys:
            return {}
        scopes, owners = zip(*((scope.value, owner) for scope, owner in keys), strict=True)
        found = self._select("lock_counters", rows.array_literal(scopes), rows.array_literal(owners))
        return {(Scope(row[0]), row[1]): Counter(row[2], row[3]) for row in found}

    def record(self, changes: Changes) -> None:
        """Write everything and commit, in one round trip."""
        writes = [*self._write_sessions(changes), *_write_sums(changes)]
        sql = "; ".join([*(statements.execute(name, len(values)) for name, values in writes), "COMMIT"])
        with translated():
            self._cursor.execute(self._begin + sql, [value for _, values in writes for value in values])

    def alone(self) -> bool:
        """Take the lock that only one sweep has."""
        return bool(self._select("alone")[0][0])

    def due(self, now: datetime, most: int) -> Sequence[LegId]:
        """Return open legs to be looked at by *now*."""
        return [(bytes(key), generation) for key, generation in self._select("due", now, most)]

    def next_reboot(self) -> tuple[int, Reboot] | None:
        """Return the oldest reboot that is not worked off."""
        found = self._select("next_reboot")
        return (found[0][0], Reboot(*found[0][1:])) if found else None

    def legs_before(self, reboot: Reboot, most: int) -> Sequence[LegId]:
        """Return open legs that the reboot ended."""
        found = self._select(
            "legs_before",
            reboot.nas,
            reboot.nas_box,
            reboot.nas_address,
            reboot.nas_source,
            reboot.event_at,
            most,
        )
        return [(bytes(key), generation) for key, generation in found]

    def reboot_done(self, reboot_id: int) -> None:
        """Mark a reboot as worked off, with the legs that this turn closes."""
        with translated():
            self._cursor.execute(statements.execute("reboot_done", 1), (reboot_id,))

    def forget_proofs(self, before: datetime) -> None:
        """Forget what was proven before then, and commit."""
        with translated():
            self._cursor.execute(f"{statements.execute('forget_proofs', 1)}; COMMIT", (before,))

    def _select(self, name: str, *values: object) -> list[tuple[Any, ...]]:
        begin, self._begin = self._begin, ""
        with translated():
            self._cursor.execute(begin + statements.execute(name, len(values)), values)
            return self._cursor.fetchall()

    def _write_sessions(self, changes: Changes) -> Iterator[_Write]:
        """Insert legs that nobody knew and update the others: a leg inserted twice is a conflict.

        In order of the key, so that two turns which insert the same legs wait for each other only once.
        """
        new, changed, progressed = [], [], []
        for id, session in sorted(changes.sessions.items(), key=lambda item: item[0]):
            before = self._known.get(id)
            if before is None:
                new.append(rows.session_row(session))
            elif rows.is_progress(before, session):
                progressed.append(rows.progress_row(session))
            else:
                changed.append(rows.session_row(session))
        if changes.forgotten:
            yield "forget_sessions", rows.array_literals(sorted(changes.forgotten))
        if new:
            yield "insert_sessions", rows.array_literals(new)
        if changed:
            yield "update_sessions", rows.array_literals(changed)
        if progressed:
            yield "update_progress", rows.array_literals(progressed)


def _write_sums(changes: Changes) -> Iterator[_Write]:
    if changes.xdrs:
        assert changes.at is not None, "whoever adds an xDR says when"
        yield "insert_xdrs", rows.array_literals([rows.xdr_row(xdr, changes.at) for xdr in changes.xdrs])
    if changes.entries:
        yield "insert_entries", rows.array_literals(changes.entries)
    if changes.balances:
        by_client = [(client_id, *by[:-1]) for client_id, by in changes.balances.items()]
        yield "change_balances", rows.array_literals(by_client)
    if changes.counters:
        by_owner = [(scope.value, owner, by) for (scope, owner), by in changes.counters.items()]
        yield "change_counters", rows.array_literals(by_owner)
    yield from _write_notes(changes)


def _write_notes(changes: Changes) -> Iterator[_Write]:
    if changes.reboots:
        yield "insert_reboots", rows.array_literals(sorted(changes.reboots))
    if changes.unknown_records:
        yield "insert_unknown_records", rows.array_literals(changes.unknown_records)
    if changes.refusals:
        yield "insert_refusals", rows.array_literals(changes.refusals)
    if changes.disconnects:
        asked = sorted({disconnect_row(item) for item in changes.disconnects})
        yield "insert_disconnects", rows.array_literals(asked)
    if changes.proofs:
        yield "keep_proofs", rows.array_literals([astuple(proof) for proof in changes.proofs.values()])
    yield from _write_notices(changes)


def _write_notices(changes: Changes) -> Iterator[_Write]:
    if changes.warned:
        yield "set_warned", rows.array_literals(list(changes.warned.items()))
    if told := told_rows(changes.notices, changes.events):
        yield "lock_events", [rows.array_literal(lock_keys(told))]
        yield "insert_events", rows.array_literals(told)
    if mails := [mail_row(item) for item in changes.notices if is_mailed(item)]:
        yield "insert_mails", rows.array_literals(mails)


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
            with translated(), self._connection.cursor() as cursor:
                cursor.execute(statements.PREPARE)
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

    def cut(self) -> None:
        """Break off a statement that nobody answers, which then fails; for another thread to call."""
        if self._connection is not None:
            cut(self._connection)

    def _undo(self, connection: Connection) -> None:
        """Leave no transaction behind; a connection that can't even do that is thrown away."""
        try:
            if connection.closed or connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
                connection.cursor().execute("ROLLBACK")
        except psycopg2.Error:
            connection.close()
            self._connection = None
