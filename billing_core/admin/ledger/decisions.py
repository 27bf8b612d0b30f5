"""Records that could not be charged, decided by somebody: charged for a duration, or waived.

They are taken in small batches, each in a turn like any other. What is set aside for a leg comes back when it
is decided; every decision leaves a row in the audit.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice

from billing_core.admin.calls.xdr_ids import id_text
from billing_core.admin.definitions.audit import AuditRow, Author
from billing_core.admin.ledger.leg_turns import LegTurns
from billing_core.admin.ledger.undecided import Candidate
from billing_core.admin.output import Record
from billing_core.books import Books
from billing_core.disputes import UndecidableError, decided, entry_kind, told_seconds
from billing_core.limits import Limits
from billing_core.money import ZERO, plain
from billing_core.rerating import difference
from billing_core.session import Session
from billing_core.xdr import Unbillable, Xdr

COLUMNS = (
    "id",
    "client",
    "call_id",
    "called",
    "dated_at",
    "was",
    "told_seconds",
    "seconds",
    "amount",
    "released",
    "currency",
)

_BATCH = 50


@dataclass(slots=True)
class Outcome:
    """What was decided, or would be: `records` with their new cost, and those `left`, with the reason.

    `unchanged` ones were decided so before; `overtaken` ones changed after they were selected. `totals` are
    what the live balances change by, by currency, and `released` what is set aside no more.
    """

    records: list[Record] = field(default_factory=list)
    left: list[Record] = field(default_factory=list)
    unchanged: int = 0
    overtaken: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)
    released: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Decided:
    """A leg before and after its decision, and its record."""

    reason: Unbillable | None
    before: Session
    after: Session
    xdr: Xdr


_Left = tuple[Session, str]


class Decisions:
    """One run over candidates: each charged for `seconds`, 0 for nothing, None for what its records told."""

    def __init__(
        self, url: str, seconds: int | None, limits: Limits, author: Author, *, is_dry: bool
    ) -> None:
        """Decide in the database at *url*, in the name of *author*; write nothing when *is_dry*."""
        self._turns = LegTurns(url, "billing xdrs", is_dry=is_dry)
        self._seconds = seconds
        self._limits = limits
        self._author = author
        self._is_dry = is_dry

    def outcome(self, candidates: Sequence[Candidate]) -> Outcome:
        """Decide all of them and return what became of them. Raises StorageDownError."""
        outcome = Outcome()
        rest = iter(candidates)
        with closing(self._turns):
            self._turns.read()
            while batch := list(islice(rest, _BATCH)):
                self._batch(batch, outcome)
        return outcome

    def _batch(self, batch: Sequence[Candidate], outcome: Outcome) -> None:
        def work(books: Books, now: datetime) -> tuple[list[_Decided], list[_Left]]:
            return self._decided(books, batch, now)

        keys = {item.leg[0] for item in batch}
        client_ids = {item.client_id for item in batch if item.client_id is not None}
        found, left = self._turns.done(
            keys, client_ids, work, lambda result, now: map(self._audited(now), _changed(result[0]))
        )
        outcome.overtaken += len(batch) - len(found) - len(left)
        outcome.left += [_left(session, because) for session, because in left]
        changed = _changed(found)
        outcome.unchanged += len(found) - len(changed)
        for item in changed:
            self._count(item, outcome)

    def _decided(
        self, books: Books, batch: Sequence[Candidate], now: datetime
    ) -> tuple[list[_Decided], list[_Left]]:
        found: list[_Decided] = []
        left: list[_Left] = []
        for item in batch:
            session = books.sessions.get(item.leg)
            if session is None or session.revision != item.revision:
                continue
            try:
                after, xdr = decided(session, item.reason, self._seconds, self._turns.catalogue, self._limits)
            except UndecidableError as error:
                left.append((session, str(error)))
                continue
            one = _Decided(item.reason, session, after, xdr)
            found.append(one)
            if not self._is_dry and _changed([one]):
                books.put(after, now, xdr, entry_kind(session))
        return found, left

    def _audited(self, now: datetime) -> Callable[[_Decided], AuditRow]:
        def row(item: _Decided) -> AuditRow:
            return AuditRow(
                now,
                self._author.who,
                self._author.through,
                "xdr",
                id_text(item.after.id),
                "decided",
                _was(item),
                _stands(item.after),
                item.after.client_id,
            )

        return row

    def _count(self, item: _Decided, outcome: Outcome) -> None:
        xdr, before = item.xdr, item.before
        client = self._turns.catalogue.clients.get(before.client_id) if before.client_id else None
        outcome.records.append(
            {
                "id": id_text(before.id),
                "client": client.name if client else None,
                "leg": xdr.leg.value,
                "nas": xdr.nas,
                "call_id": xdr.call_id,
                "session_id": xdr.session_id,
                "called": xdr.called,
                "dated_at": xdr.dated_at,
                "was": _was(item),
                "told_seconds": told_seconds(before.facts),
                "seconds": item.after.decided_seconds,
                "amount": xdr.amount,
                "difference": difference(before, item.after),
                "released": before.reserved,
                "currency": xdr.currency,
                "state": xdr.state.value,
            }
        )
        if xdr.currency:
            _add(outcome.totals, xdr.currency, difference(before, item.after))
            _add(outcome.released, xdr.currency, before.reserved)


def _changed(found: Sequence[_Decided]) -> list[_Decided]:
    return [item for item in found if item.after._replace(revision=item.before.revision) != item.before]


def _add(sums: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    if amount:
        sums[currency] = sums.get(currency, ZERO) + amount


def _left(session: Session, because: str) -> Record:
    return {"id": id_text(session.id), "call_id": session.call_id, "because": because}


def _was(item: _Decided) -> str:
    return item.reason.value if item.reason else _stands(item.before)


def _stands(session: Session) -> str:
    """Return what was decided of a leg, in words."""
    if not session.decided_seconds:
        return "waived"
    return f"charged {session.decided_seconds} s, {plain(session.posted)} {session.currency or ''}".rstrip()
