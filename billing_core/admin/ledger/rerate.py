"""Ended legs rated again by the definitions of today, and the differences posted as corrections.

Legs are taken in small batches, each in a turn like any other: balances are locked first, then the legs
are read anew, so that of two runs at once the second finds nothing left to do.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, text

from billing_core.admin.found import found_client
from billing_core.admin.ledger.leg_turns import LegTurns
from billing_core.admin.output import Record
from billing_core.admin.rates.rates import unknown_rate_table
from billing_core.books import Books
from billing_core.ledger import EntryKind
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.rerating import Rerated, difference, owner, rerated
from billing_core.session import Leg, Session
from billing_core.settlement import rate_table_id
from billing_core.xdr import Unbillable

COLUMNS = (
    "client",
    "leg",
    "call_id",
    "called",
    "dated_at",
    "before",
    "after",
    "difference",
    "currency",
    "was",
    "becomes",
)

_BATCH = 50


@dataclass(frozen=True, slots=True)
class Scope:
    """Which legs are rated again: of one client, by one rate table and its children, dated in a period.

    `is_unbillable` takes only those that could not be charged. What is absent does not matter.
    """

    client: str | None = None
    table: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_unbillable: bool = False


@dataclass(slots=True)
class Summary:
    """How many legs were looked at and what became of them.

    `kept` ones stay as they are because no rate fits them any more, `overtaken` ones because a record came
    in between. `totals` are what the balances change by, by currency.
    """

    checked: int = 0
    changed: int = 0
    kept: int = 0
    overtaken: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A leg as it was selected, and whose it is or will be."""

    leg_key: bytes
    generation: int
    revision: int
    reason: Unbillable | None
    client_id: int | None


class Rerating:
    """One run; iterate over `lines` to make it happen, then read `summary`."""

    def __init__(self, url: str, scope: Scope, limits: Limits, *, is_dry: bool) -> None:
        """Rate the legs of *scope* again in the database at *url*; write nothing when *is_dry*."""
        self._turns = LegTurns(url, "billing rerate", is_dry=is_dry)
        self._catalogue = self._turns.catalogue
        self._scope = scope
        self._limits = limits
        self._is_dry = is_dry
        self.summary = Summary()

    def lines(self, connection: Connection) -> Iterator[Record]:
        """Yield each leg whose charge changes, once that is committed; *connection* is read from meanwhile.

        Raises CommandError for a client or a rate table that is not known.
        """
        selected = _selected(connection, self._scope)
        with closing(self._turns):
            self._turns.read()
            tables = _with_children(connection, self._scope.table)
            candidates = (found for row in selected if (found := self._candidate(row, tables)))
            while batch := list(islice(candidates, _BATCH)):
                yield from self._batch(batch)

    def _candidate(self, row: Row[Any], tables: frozenset[int] | None) -> _Candidate | None:
        """Return the leg to be looked at, or None when its client, known or found by now, is out of scope."""
        client_id: int | None = row.client_id
        leg = Leg(row.leg)
        if client_id is None:
            account = owner(leg, row.calling, row.called, row.decision, self._catalogue)
            client_id = account.client_id if account else None
        found = self._catalogue.clients.get(client_id) if client_id is not None else None
        if self._scope.client is not None and (found is None or found.name != self._scope.client):
            return None
        if tables is not None and (found is None or rate_table_id(found, leg) not in tables):
            return None
        reason = Unbillable(row.reason) if row.reason else None
        return _Candidate(bytes(row.leg_key), row.generation, row.revision, reason, client_id)

    def _batch(self, batch: Sequence[_Candidate]) -> list[Record]:
        client_ids = {item.client_id for item in batch if item.client_id is not None}

        def work(books: Books, now: datetime) -> list[tuple[Session, Rerated]]:
            return self._rerated(books, batch, now)

        return self._counted(batch, self._turns.done({item.leg_key for item in batch}, client_ids, work))

    def _rerated(
        self, books: Books, batch: Sequence[_Candidate], now: datetime
    ) -> list[tuple[Session, Rerated]]:
        found = []
        for item in batch:
            session = books.sessions.get((item.leg_key, item.generation))
            if session is None or session.revision != item.revision:
                self.summary.overtaken += 1
                continue
            again = rerated(session, item.reason, self._catalogue, self._limits)
            if again is None or again.session.client_id != item.client_id:
                continue
            found.append((session, again))
            if not again.is_kept and not self._is_dry:
                books.put(again.session, now, again.xdr, EntryKind.CORRECTION)
        return found

    def _counted(self, batch: Sequence[_Candidate], found: Sequence[tuple[Session, Rerated]]) -> list[Record]:
        reasons = {(item.leg_key, item.generation): item.reason for item in batch}
        self.summary.checked += len(batch)
        self.summary.kept += sum(again.is_kept for _, again in found)
        changed = [(before, again) for before, again in found if not again.is_kept]
        self.summary.changed += len(changed)
        totals = self.summary.totals
        for before, again in changed:
            if currency := again.xdr.currency:
                totals[currency] = totals.get(currency, ZERO) + difference(before, again.session)
        return [self._line(before, again, reasons[before.id]) for before, again in changed]

    def _line(self, before: Session, again: Rerated, reason: Unbillable | None) -> Record:
        xdr, client_id = again.xdr, again.session.client_id
        return {
            "client": self._catalogue.clients[client_id].name if client_id is not None else None,
            "leg": xdr.leg.value,
            "call_id": xdr.call_id,
            "session_id": xdr.session_id,
            "called": xdr.called,
            "dated_at": xdr.dated_at,
            "code": xdr.code,
            "duration_seconds": xdr.duration_seconds,
            "billed_seconds": xdr.billed_seconds,
            "before": before.posted,
            "after": xdr.amount,
            "difference": difference(before, again.session),
            "currency": xdr.currency,
            "was": reason.value if reason else "billed",
            "becomes": xdr.reason.value if xdr.reason else xdr.state.value,
        }


# Legs whose records were dropped with their month are not rated again.
_LEGS = """
    SELECT session.leg_key, session.generation, session.revision, session.client_id, session.leg,
        session.calling, session.called, session.decision, xdr.reason
    FROM session JOIN xdr USING (leg_key, generation, revision)
    WHERE session.closed_at IS NOT NULL AND session.leg <> 'further'
        AND (CAST(:client_id AS int) IS NULL OR xdr.client_id = :client_id OR xdr.client_id IS NULL)
        AND (CAST(:since AS timestamptz) IS NULL OR xdr.dated_at >= :since)
        AND (CAST(:until AS timestamptz) IS NULL OR xdr.dated_at < :until)
        AND (NOT :is_unbillable OR xdr.state = 'unbillable')
    ORDER BY xdr.client_id, xdr.dated_at, session.leg_key"""

_CHILDREN = """
    WITH RECURSIVE below(id) AS (
        SELECT id FROM rate_table WHERE name = :name
        UNION SELECT rate_table.id FROM rate_table JOIN below ON rate_table.parent_id = below.id
    ) SELECT id FROM below"""


def _selected(connection: Connection, scope: Scope) -> Iterator[Row[Any]]:
    client_id = None
    if scope.client is not None:
        client_id = found_client(connection, scope.client).id
    values = {
        "client_id": client_id,
        "since": scope.since,
        "until": scope.until,
        "is_unbillable": scope.is_unbillable,
    }
    return iter(connection.execute(text(_LEGS).execution_options(yield_per=1000), values))


def _with_children(connection: Connection, name: str | None) -> frozenset[int] | None:
    """Return the ids of the rate table *name* and of those that fall back on it; None for any table."""
    if name is None:
        return None
    found = frozenset(connection.execute(text(_CHILDREN), {"name": name}).scalars())
    if not found:
        raise unknown_rate_table(connection, name)
    return found
