"""Which leg a record is of, among those that share the call's name. Pure.

What tells more counts first (see `Evidence`); what tells that it is of another conversation rules a leg out.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

from billing_core.call_event import CallEventKind
from billing_core.catalogue import Mark, marks, recognition_keys
from billing_core.client import Account
from billing_core.credit_time import highest_cost
from billing_core.dialog import (
    has_session,
    has_tags,
    is_linked,
    is_of_another_dialog,
    is_of_another_session,
)
from billing_core.money import ZERO
from billing_core.parties import Parties
from billing_core.repetition import TOLERANCE, closed_at, is_of_earlier, opens_another, repeats, repeats_dates
from billing_core.report import Kind, Report
from billing_core.session import Session, State

_DEAREST_SECONDS = 3600


class Evidence(IntEnum):
    """What tells that a record is of a leg, the surest first."""

    CLASS = 0
    SESSION = 1
    TAGS = 2
    NUMBER = 3
    ACCOUNT = 4
    GUESS = 5

    @property
    def is_sure(self) -> bool:
        """Tell whether it is of that leg beyond doubt."""
        return self <= Evidence.TAGS


NAMES_DIALOG = (Evidence.SESSION, Evidence.TAGS)
"""What tells of one conversation alone: our Class is the same for all that one leg stands for."""


class Finding(NamedTuple):
    """Where a record belongs. Without a `leg` it is of one of its own, which nobody had asked for.

    `is_repetition`: it says nothing that the leg has not heard. `is_further`: it is the same conversation
    seen from another side. `event` is what an admin should know of it. `beside` is a leg of the same call
    that tells who pays for the one of its own, where the record does not.
    """

    leg: Session | None
    evidence: Evidence = Evidence.GUESS
    is_repetition: bool = False
    is_further: bool = False
    event: CallEventKind | None = None
    beside: Session | None = None


class Sought(NamedTuple):
    """A record and what it takes to find its leg.

    `payer` is whose leg its names would make it, `account_of` returns the account of a leg, `has_rebooted`
    tells whether the device of a leg has begun anew since the leg has ended.
    """

    report: Report
    payer: Account | None
    account_of: Callable[[Session], Account | None]
    has_rebooted: Callable[[Session], bool]
    now: datetime

    def parties(self, leg: Session) -> Parties:
        """Return who calls whom, as the account of *leg* dials."""
        account = self.account_of(leg)
        return Parties(self.report, account.tech_prefix if account else "")

    def names(self, leg: Session) -> bool:
        """Tell whether the record names a number of *leg*."""
        return self.report.called == leg.called or bool(self.parties(leg).named(leg))


def reported(sought: Sought, legs: Sequence[Session]) -> Finding:
    """Return which of *legs*, those that share a name with the record, it is of."""
    report = sought.report
    rest = [leg for leg in legs if not is_of_another_dialog(report, leg)]
    for evidence, tells in _SURE:
        if found := [leg for leg in rest if tells(report, leg)]:
            if len(found) > 1:  # Of a call that was forwarded there may be a leg for each number.
                found = [leg for leg in found if sought.names(leg)] or found
            return _picked(sought, found, evidence)
    if any(_is_other_side(sought, leg) for leg in legs):
        return Finding(None, is_further=True)
    return _told_by_parties(sought, rest, legs)


_SURE = ((Evidence.CLASS, is_linked), (Evidence.SESSION, has_session), (Evidence.TAGS, has_tags))


def _told_by_parties(sought: Sought, rest: Sequence[Session], legs: Sequence[Session]) -> Finding:
    """Return which leg a record is of that no name of a dialog tells, of *rest* as far as it can be."""
    report = sought.report
    names_number = not report.numbers_change and any(sought.parties(leg).tell_number for leg in legs)
    found = list(_by_number(sought, rest)) if names_number else _talked(sought, rest)
    own = _of_payer(sought, found, legs)
    if own:
        return _picked(sought, own, Evidence.NUMBER if names_number else Evidence.ACCOUNT)
    event = CallEventKind.ANOTHER_DIALOG if len(rest) < len(legs) else None
    if event is None and any(leg.state.is_open for leg in rest):
        event = CallEventKind.ANOTHER_NUMBER
    return Finding(None, event=event, beside=_beside(sought, legs))


def _by_number(sought: Sought, legs: Sequence[Session]) -> Iterator[Session]:
    called = [leg for leg in legs if sought.parties(leg).call(leg)]
    yield from called or (leg for leg in legs if sought.parties(leg).hang_up(leg))


def _talked(sought: Sought, legs: Sequence[Session]) -> list[Session]:
    """Return the legs that a record without a number may be of: none that failed, but the payer's own."""
    payer = sought.payer
    own = payer.id if payer else None
    fails = sought.report.kind is Kind.FAILED
    return [leg for leg in legs if fails or not leg.has_only_failed or leg.account_id == own]


def _of_payer(sought: Sought, found: Sequence[Session], legs: Sequence[Session]) -> Sequence[Session]:
    """Return those of *found* that the record's account would pay; those it may, if it pays no leg."""
    payer = sought.payer
    if payer is None or all(leg.account_id != payer.id for leg in legs):
        return _marked(sought, found)
    return [leg for leg in found if leg.account_id == payer.id]


def _marked(sought: Sought, legs: Sequence[Session]) -> Sequence[Session]:
    """Return the legs whose account has the first mark of the record that any has; all, if none has one.

    Without the tech prefix, which a switch may have taken off, its marks still tell whose it can be.
    """
    report = sought.report
    for mark in marks(report.name, report.ip, report.calling):
        if found := [leg for leg in legs if _has_mark(sought.account_of(leg), mark)]:
            return found
    return legs


def _has_mark(account: Account | None, mark: Mark) -> bool:
    return account is not None and mark in recognition_keys(account)


def _beside(sought: Sought, legs: Sequence[Session]) -> Session | None:
    """Return a leg of the same call that tells who pays, for a record that can't.

    Its parties are told the other way round, or its numbers mean nothing.
    """
    report, payer = sought.report, sought.payer
    if report.numbers_change:
        found = _talked(sought, legs)
    elif any(sought.parties(leg).call(leg) for leg in legs):
        return None
    else:
        found = [leg for leg in legs if sought.parties(leg).hang_up_beside(leg)]
    own = [leg for leg in found if payer and leg.account_id == payer.id]
    tags = set(report.tags)
    return max(
        own or found,
        key=lambda leg: (not tags.isdisjoint(leg.tags), leg.state.is_open, leg.last_heard_at),
        default=None,
    )


def _picked(sought: Sought, legs: Sequence[Session], evidence: Evidence) -> Finding:
    """Return which of *legs*, for all of which there is the same *evidence*, a record is of."""
    report = sought.report
    if again := next((leg for leg in legs if repeats_dates(leg, report)), None):
        return Finding(again, evidence, is_repetition=True)
    under_way = [leg for leg in legs if leg.state is not State.CLOSED]
    if report.kind is Kind.FAILED and under_way:
        return _failed(report, legs, under_way, evidence)
    if under_way:
        return _open(sought, legs, under_way, evidence)
    return _ended(sought, legs, evidence)


def _failed(
    report: Report, legs: Sequence[Session], under_way: Sequence[Session], evidence: Evidence
) -> Finding:
    """Return which call has failed: none that was answered, and of several the one that holds least.

    It may be told again; where nothing was accepted since, no other call has failed with it.
    """
    unanswered = [leg for leg in under_way if not leg.facts.answered]
    if not evidence.is_sure:
        for leg in (leg for leg in legs if leg.has_only_failed and repeats(leg, report)):
            if all(other.opened_at < closed_at(leg) for other in unanswered):
                return Finding(leg, evidence, is_repetition=True)
    if unanswered:
        return Finding(min(unanswered, key=_cost), evidence)
    event = None if len(legs) > len(under_way) else CallEventKind.FAILED_AFTER_ANSWER
    return Finding(under_way[0], evidence, is_repetition=True, event=event)


def _open(
    sought: Sought, legs: Sequence[Session], under_way: Sequence[Session], evidence: Evidence
) -> Finding:
    report = sought.report
    best = _likeliest(sought, under_way)
    for earlier in reversed(_of_before(legs, best)):
        if _is_late(earlier, best, report, sought.now):
            return Finding(earlier, evidence, is_repetition=repeats(earlier, report))
    if len(under_way) == 1 or evidence.is_sure:
        return Finding(best, evidence)
    return Finding(best, Evidence.GUESS, event=CallEventKind.GUESSED_LEG)


def _ended(sought: Sought, legs: Sequence[Session], evidence: Evidence) -> Finding:
    report = sought.report
    for leg in reversed(legs):
        if repeats(leg, report):
            is_another = evidence is not Evidence.CLASS and sought.has_rebooted(leg)
            return Finding(None) if is_another else Finding(leg, evidence, is_repetition=True)
    last = legs[-1]
    is_another = evidence is not Evidence.CLASS and opens_another(last, report, sought.now)
    return Finding(None) if is_another else Finding(last, evidence)


def _likeliest(sought: Sought, legs: Sequence[Session]) -> Session:
    """Return the one of several open or released legs: open before released, unbound before bound, dearest.

    A Stop or an Interim looks for a leg that has begun first, where one has. Where numbers tell nothing, a
    released leg may be the one that is talked on, so that the price alone counts.
    """
    if len(legs) == 1:
        return legs[0]
    report = sought.report
    wants_bound = report.kind in (Kind.STOP, Kind.INTERIM) and any(leg.is_heard for leg in legs)

    def rank(leg: Session) -> tuple[bool, bool, Decimal]:
        is_free = not (leg.state.is_open or (report.numbers_change and _may_go_on(leg, sought.now)))
        return is_free, leg.is_heard is not wants_bound, -_cost(leg)

    return min(legs, key=rank)


def _may_go_on(leg: Session, now: datetime) -> bool:
    """Tell whether a leg that gave back what it held can still be talked on, by what it was granted."""
    granted = timedelta(seconds=leg.credit_time_seconds or 0)
    return now <= (leg.authorized_at or leg.opened_at) + granted + TOLERANCE


def _cost(leg: Session) -> Decimal:
    return highest_cost(leg.rate, _DEAREST_SECONDS) if leg.rate else ZERO


def _of_before(legs: Sequence[Session], later: Session) -> list[Session]:
    """Return the legs of the same account that were opened before *later* and have ended a conversation."""
    return [
        leg
        for leg in legs
        if leg.state is State.CLOSED
        and not leg.has_only_failed
        and leg.account_id == later.account_id
        and leg.generation < later.generation
    ]


def _is_late(earlier: Session, later: Session, report: Report, now: datetime) -> bool:
    """Tell whether a record is of a leg that ended before a later one of its name began.

    Who says the same as an earlier Stop, and more than the later leg can have lasted, repeats it.
    """
    if is_of_earlier(earlier, later, report, now):
        return True
    longest = now - later.opened_at + timedelta(seconds=1)
    told = timedelta(seconds=report.session_seconds or 0)
    return told > longest and report.kind is Kind.STOP and repeats(earlier, report)


def _is_other_side(sought: Sought, leg: Session) -> bool:
    """Tell whether a record is of the conversation of *leg*, seen from another side (telephony, VoIP)."""
    report = sought.report
    if not (report.call_type and leg.call_type and report.call_type != leg.call_type):
        return False
    if report.tags and leg.tags and is_of_another_dialog(report, leg):
        return False
    tells_number = sought.parties(leg).tell_number and not report.numbers_change
    names_leg = not tells_number or sought.names(leg)
    return is_of_another_session(report, leg) and names_leg
