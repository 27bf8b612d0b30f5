"""What becomes of an accounting record: its leg is found, hears it, and is charged when it has ended."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from billing_core.accounting import hear
from billing_core.books import Books
from billing_core.call_event import CallEventKind
from billing_core.catalogue import Catalogue
from billing_core.client import Account
from billing_core.concurrency import is_sliced
from billing_core.facts import Facts
from billing_core.legs import NAMES_DIALOG, Finding, Sought, reported
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.opening import bound, opened
from billing_core.report import Kind, Report
from billing_core.session import Leg, Session, State
from billing_core.settlement import settle
from billing_core.xdr import Unbillable, Xdr, XdrState


class Recorded(NamedTuple):
    """An accounting record is on stable storage. `is_duplicate` tells that it said nothing new.

    `charged` is what was posted because of it, beyond what was posted for the leg before.
    """

    session: Session | None = None
    xdr: Xdr | None = None
    charged: Decimal = ZERO
    is_duplicate: bool = False


def payer(report: Report, catalogue: Catalogue) -> Account | None:
    """Return whose leg it is when it was never authorized."""
    return catalogue.payer(
        report.leg,
        name=report.name,
        ip=report.ip,
        calling=report.calling,
        called=report.called,
        termination_address=report.termination_address,
    )


def recorded(
    books: Books, report: Report, account: Account | None, catalogue: Catalogue, limits: Limits, now: datetime
) -> Recorded:
    """Let the leg that *report* is of hear it; *account* would pay for one that nobody had asked for.

    Raises UnreadError where more must be read first.
    """
    sought = _sought(books, report, account, catalogue, now)
    found = _found(books, sought)
    if found.is_further:
        further = report._replace(leg=Leg.FURTHER, leg_keys=(report.further_key,), linked=None)
        report, sought = further, sought._replace(report=further)
        found = _found(books, sought)
    known = found.leg
    if known is not None and found.is_repetition:
        _tell(books, sought, found, known, known, None)
        return Recorded(known, is_duplicate=True)
    if known is None:
        report, account = _own(report, account, found.beside, catalogue)
        session = opened(report, account, books.next_generation(report.leg_keys[0]), limits, now)
    elif report.kind is Kind.FAILED or known.asked is None:
        session = known  # A try that failed tells nothing of the number that will be talked to.
    else:
        session = bound(known, sought.parties(known).named(known))
    heard = hear(session, report, limits, now, names_dialog=found.evidence in NAMES_DIALOG)
    if heard is known:
        return Recorded(known, is_duplicate=True)
    xdr = None
    if heard.state is State.CLOSED:
        heard, xdr = settle(heard, catalogue, limits)
    heard = _kept(books, report, known, heard, xdr, limits, now)
    _tell(books, sought, found, known, heard, xdr)
    return Recorded(
        heard,
        xdr,
        charged=heard.posted - (known.posted if known else ZERO),
        is_duplicate=known is not None and _says_nothing_new(known, heard, report),
    )


def _sought(
    books: Books, report: Report, account: Account | None, catalogue: Catalogue, now: datetime
) -> Sought:
    def account_of(leg: Session) -> Account | None:
        return catalogue.account(leg.client_id, leg.account_id) if leg.client_id is not None else None

    return Sought(report, account, account_of, books.has_rebooted, now)


def _found(books: Books, sought: Sought) -> Finding:
    """Return where the record belongs; before it is of a leg of its own, all its names are looked up."""
    report = sought.report
    keys = report.leg_keys if report.linked is None else (report.linked[0], *report.leg_keys)
    found = reported(sought, books.legs(keys))
    if found.leg is None:
        books.require(keys)
    return found


def _own(
    report: Report, account: Account | None, beside: Session | None, catalogue: Catalogue
) -> tuple[Report, Account | None]:
    """Return a record of a leg of its own, and its payer: by the leg *beside* it where it can't tell."""
    if beside is None:
        return report, account
    payer = catalogue.account(beside.client_id, beside.account_id) if beside.client_id is not None else None
    if report.numbers_change:
        return report._replace(called=beside.called), payer or account
    return report._replace(called=report.calling, calling=report.called), payer or account


def _kept(
    books: Books,
    report: Report,
    known: Session | None,
    heard: Session,
    xdr: Xdr | None,
    limits: Limits,
    now: datetime,
) -> Session:
    """Record what has become of the leg; one that comes back takes its money again."""
    if is_sliced(heard):
        return books.renew(heard, limits, now, can_disconnect=report.can_disconnect)
    if known is not None and _is_back(known, heard):
        return books.take_again(heard, now, can_disconnect=report.can_disconnect)
    books.put(heard, now, xdr)
    return heard


def _is_back(before: Session, after: Session) -> bool:
    return after.state is State.ACTIVE and not before.state.is_open


def _says_nothing_new(before: Session, after: Session, report: Report) -> bool:
    """Tell whether a record repeats another. An Interim renews the session even when it repeats."""
    same = before.facts == after.facts and before.state is after.state
    return same and report.kind is not Kind.INTERIM


# --- what an admin should know ------------------------------------------------------------------------


def _tell(
    books: Books, sought: Sought, found: Finding, before: Session | None, after: Session, xdr: Xdr | None
) -> None:
    report = sought.report
    for kind in _happened(sought, found, before, after, xdr):
        facts: dict[str, int | str | bool | None] = {"called": report.called, "leg_called": after.called}
        if xdr is not None:
            facts["seconds"] = xdr.duration_seconds
        if kind is CallEventKind.OVER_GRANT:
            facts["granted_seconds"] = after.credit_time_seconds
        if kind is CallEventKind.AFTER_DECISION:
            facts["told_seconds"] = after.facts.duration_seconds()
        books.tell(kind, after, sought.now, facts)


def _happened(
    sought: Sought, found: Finding, before: Session | None, after: Session, xdr: Xdr | None
) -> Iterator[CallEventKind]:
    report = sought.report
    if found.event is not None and (report.kind is not Kind.FAILED or before is not None):
        yield found.event
    if xdr is not None and not found.is_repetition:
        yield from _of_time(before.facts if before else Facts(), after, xdr)
    if before is None or found.is_repetition:
        return
    is_first = not before.is_heard and after.is_heard and before.authorized_at is not None
    may_differ = is_first and found.evidence.is_sure and report.called and not report.numbers_change
    if may_differ and not sought.names(before):
        yield CallEventKind.NUMBER_DIFFERS
    if _is_back(before, after):
        yield CallEventKind.LATE_START


def _of_time(before: Facts, after: Session, xdr: Xdr) -> Iterator[CallEventKind]:
    """Yield what the duration of an ended leg gives reason to tell, when it becomes known."""
    if after.decided_seconds is not None:
        told = after.facts.duration_seconds()
        if told not in (before.duration_seconds(), after.decided_seconds):
            yield CallEventKind.AFTER_DECISION
        return
    if xdr.reason is Unbillable.OVERRUN and not before.is_overrun:
        yield CallEventKind.OVERRUN
    if xdr.reason is Unbillable.CONTRADICTORY_TIME and not before.stopped:
        yield CallEventKind.CONTRADICTORY_TIME
    granted, lasted = after.credit_time_seconds, xdr.duration_seconds or 0
    is_longer = granted is not None and lasted > granted and before.stop_seconds != after.facts.stop_seconds
    if xdr.state is XdrState.RATED and is_longer:
        yield CallEventKind.OVER_GRANT
