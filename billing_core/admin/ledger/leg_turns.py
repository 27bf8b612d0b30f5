"""Turns in which commands change ended legs: balances are locked first, then the legs are read anew.

So of two runs at once the second finds what the first has done.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import TypeVar

from billing_core.admin.definitions.audit import AuditRow, insert_audit
from billing_core.books import Books, LegsRead
from billing_core.catalogue import Catalogue
from billing_core.ports import StorageDownError, TurnConflictError
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.postgres import PostgresStorage, PostgresTurn

_ATTEMPTS = 10

Result = TypeVar("Result")
Work = Callable[[Books, datetime], Result]


class LegTurns:
    """Turns on one connection, by the definitions of today in `catalogue`."""

    def __init__(self, url: str, application: str, *, is_dry: bool) -> None:
        """Work on the database at *url*, which `read` opens; lock and write nothing when *is_dry*."""
        self._storage = PostgresStorage(url, application)
        self._is_dry = is_dry
        self.catalogue = Catalogue()
        self._reader = CatalogueReader(self.catalogue)

    def read(self) -> None:
        """Read the definitions of today. Raises StorageDownError."""
        self._reader.read_all(self._storage.connection())

    def close(self) -> None:
        """Close the connection."""
        self._storage.close()

    def done(
        self,
        leg_keys: Collection[bytes],
        client_ids: Collection[int],
        work: Work[Result],
        audited: Callable[[Result, datetime], Iterable[AuditRow]] = lambda _found, _now: (),
    ) -> Result:
        """Return what *work* on the books of these legs and clients did, once that is committed.

        What changes definitions meanwhile makes it begin anew. *audited* are rows of the audit that are
        written with the changes. Raises StorageDownError when others are always first.
        """
        for _ in range(_ATTEMPTS):
            try:
                with self._storage.turn() as turn:
                    books = self._books(turn, leg_keys, client_ids)
                    if books is not None:
                        now = self._now()
                        found = work(books, now)
                        self._record(turn, books, audited(found, now))
                        return found
            except TurnConflictError:
                continue
            # Definitions have changed meanwhile: the newer ones count.
            self.read()
        raise StorageDownError(f"the same legs met a conflict {_ATTEMPTS} times")

    def _books(
        self, turn: PostgresTurn, leg_keys: Collection[bytes], client_ids: Collection[int]
    ) -> Books | None:
        """Return the books of a turn; None if the catalogue is behind the definitions."""
        balances = {} if self._is_dry else turn.lock_balances(client_ids)
        version, sessions = turn.sessions(leg_keys)
        if version != self.catalogue.version:
            return None
        return Books(balances, LegsRead(frozenset(leg_keys), sessions), {}, self.catalogue.clients)

    def _record(self, turn: PostgresTurn, books: Books, audited: Iterable[AuditRow]) -> None:
        if not books.changes or self._is_dry:
            return
        # The turn's own connection: the audit is committed with what it tells of, or not at all.
        with self._storage.connection().cursor() as cursor:
            insert_audit(cursor, audited)
        turn.record(books.changes)

    def _now(self) -> datetime:
        with self._storage.connection().cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            now: datetime = cursor.fetchall()[0][0]
        return now
