"""Which leg a question or a record is of, among those that share the call's name. Pure.

A caller chooses what names a call, so a leg is known by more: by who pays, by the dialog where the switch
tells it, and by the number. What tells more counts first (see `Evidence`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum

from billing_core.accounting import Kind, Report
from billing_core.asked import asked_numbers
from billing_core.authorization import AuthorizationRequest
from billing_core.call_event import CallEventKind
from billing_core.call_name import is_own_name
from billing_core.client import Account
from billing_core.credit_time import highest_cost
from billing_core.money import ZERO
from billing_core.number import normalise
from billing_core.repetition import is_of_earlier, opens_another, repeats, repeats_dates
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


class _Dialog(IntEnum):
    """Whether two packets are of one dialog, as far as the switch tells."""

    SAME = 0
    UNTOLD = 1
    OTHER = 2


# --- questions ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Conversation:
    """The open or released leg that a question is about. `is_moved`: it was asked for another number.

    `is_sure` tells that nothing but a repeated question can be meant.
    """

    leg: Session
    is_moved: bool
    is_sure: bool


def conversation(
    request: AuthorizationRequest, account: Account, number: str, legs: Iterable[Session]
) -> Conversation | None:
    """Return which of *legs* the question of *account* for *number* is about; None: it begins another.

    Another account or another dialog is another conversation. Another number is, too, unless the dialog is
    provably the same and no record has bound it to the first.
    """
    found: list[tuple[Session, _Dialog, Conversation]] = []
    for leg in legs:
        dialog = _dialog_asked(request, leg)
        if leg.state is State.CLOSED or leg.account_id != account.id or dialog is _Dialog.OTHER:
            continue
        is_same_number = number == leg.called or any(
            item.number == number for item in asked_numbers(leg.asked)
        )
        is_moved = dialog is _Dialog.SAME and not leg.is_heard and leg.state.is_open
        if is_same_number or is_moved:
            is_sure = dialog is _Dialog.SAME or not request.call_id
            found.append((leg, dialog, Conversation(leg, not is_same_number, is_sure)))
    best = min(found, key=lambda item: (not item[0].state.is_open, item[1], item[2].is_moved), default=None)
    return best[2] if best else None


def _dialog_asked(request: AuthorizationRequest, leg: Session) -> _Dialog:
    if request.tags and leg.tags:
        return _Dialog.SAME if _are_of_one(request.tags, leg.tags) else _Dialog.OTHER
    asked = request.own_session_id
    if asked and leg.asked_session_id:
        return _Dialog.SAME if asked == leg.asked_session_id else _Dialog.OTHER
    return _Dialog.SAME if asked and leg.is_heard and asked == leg.session_id else _Dialog.UNTOLD


def _are_of_one(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether tags are of one dialog: a question knows only one of them."""
    return set(one) <= set(other) or set(other) <= set(one)


# --- records ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a record belongs. Without a `leg` it is of one of its own, which nobody had asked for.

    `is_repetition`: it says nothing that the leg has not heard. `is_further`: it is the same conversation
    seen from another side. `event` is what an admin should know of it.
    """

    leg: Session | None
    evidence: Evidence = Evidence.GUESS
    is_repetition: bool = False
    is_further: bool = False
    event: CallEventKind | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """A record and what it takes to find its leg.

    `payer` is whose leg its names would make it, `prefix_of` tells the tech prefix of a leg's account,
    `has_rebooted` whether the device of a leg has begun anew since the leg has ended.
    """

    report: Report
    payer: Account | None
    prefix_of: Callable[[Session], str]
    has_rebooted: Callable[[Session], bool]
    now: datetime


def reported(sought: Sought, legs: Sequence[Session]) -> Finding:
    """Return which of *legs*, those that share a name with the record, it is of."""
    report = sought.report
    rest = [leg for leg in legs if not _is_of_another_dialog(report, leg)]
    sure = (
        (Evidence.CLASS, [leg for leg in rest if _is_linked(report, leg)]),
        (Evidence.SESSION, [leg for leg in rest if _has_session(report, leg)]),
        (Evidence.TAGS, [leg for leg in rest if report.tags and leg.tags]),
    )
    for evidence, found in sure:
        if found:
            return _picked(sought, found, evidence)
    if any(_is_other_side(sought, leg) for leg in legs):
        return Finding(None, is_further=True)
    return _by_number(sought, rest, is_alone=len(rest) == len(legs))


def _by_number(sought: Sought, rest: Sequence[Session], *, is_alone: bool) -> Finding:
    report = sought.report
    if report.called and not report.numbers_change:
        found = [leg for leg in rest if _calls(sought, leg)] or [
            leg for leg in rest if _hangs_up(sought, leg)
        ]
        if found:
            return _picked(sought, _of_payer(sought, found), Evidence.NUMBER)
        is_news = any(leg.state.is_open for leg in rest)
        number_event = CallEventKind.ANOTHER_NUMBER if is_news else None
        return Finding(None, event=number_event if is_alone else CallEventKind.ANOTHER_DIALOG)
    if not rest:
        return Finding(None, event=None if is_alone else CallEventKind.ANOTHER_DIALOG)
    return _picked(sought, _of_payer(sought, rest), Evidence.ACCOUNT)


def _of_payer(sought: Sought, legs: Sequence[Session]) -> Sequence[Session]:
    """Return those of *legs* that the record's account would pay, all if it would pay none."""
    own = [leg for leg in legs if sought.payer and leg.account_id == sought.payer.id]
    return own or legs


def names_number(sought: Sought, leg: Session) -> bool:
    """Tell whether a record names the number of *leg*, as its caller or, ending it, as its callee."""
    return _calls(sought, leg) or _hangs_up(sought, leg)


def _calls(sought: Sought, leg: Session) -> bool:
    called = sought.report.called
    told = {normalise(called), normalise(called.removeprefix(sought.prefix_of(leg)))}
    return bool(told & _numbers(leg)) or called == leg.called


def _hangs_up(sought: Sought, leg: Session) -> bool:
    """Tell whether the callee ends the call: some proxies tell the parties of its BYE the other way round."""
    return sought.report.ends and normalise(sought.report.calling) in _numbers(leg)


def _numbers(leg: Session) -> set[str | None]:
    return {normalise(leg.called) or leg.called, *(item.number for item in asked_numbers(leg.asked))}


def _picked(sought: Sought, legs: Sequence[Session], evidence: Evidence) -> Finding:
    """Return which of *legs*, for all of which there is the same *evidence*, a record is of."""
    report, now = sought.report, sought.now
    if again := next((leg for leg in legs if repeats_dates(leg, report)), None):
        return Finding(again, evidence, is_repetition=True)
    ended = sorted((leg for leg in legs if leg.state is State.CLOSED), key=lambda leg: leg.generation)
    under_way = [leg for leg in legs if leg.state is not State.CLOSED]
    if report.kind is Kind.FAILED:
        unanswered = [leg for leg in under_way if not leg.facts.answered]
        if under_way and not unanswered:
            return Finding(
                under_way[0], evidence, is_repetition=True, event=CallEventKind.FAILED_AFTER_ANSWER
            )
        under_way = unanswered
    if under_way:
        best = _likeliest(under_way, report)
        for earlier in reversed(ended):
            if _is_late(earlier, best, report, now):
                return Finding(earlier, evidence, is_repetition=repeats(earlier, report))
        is_guess = len(under_way) > 1 and not evidence.is_sure
        return Finding(
            best,
            Evidence.GUESS if is_guess else evidence,
            event=CallEventKind.GUESSED_LEG if is_guess else None,
        )
    last = ended[-1]
    if again := next((leg for leg in reversed(ended) if repeats(leg, report)), None):
        is_anew = sought.has_rebooted(again)
        return Finding(None) if is_anew else Finding(again, evidence, is_repetition=True)
    return Finding(None) if opens_another(last, report, now) else Finding(last, evidence)


def _likeliest(legs: Sequence[Session], report: Report) -> Session:
    """Return the one of several open or released legs: open before released, unbound before bound, dearest.

    A Stop or an Interim looks for a leg that has begun first, where one has.
    """
    wants_bound = report.kind in (Kind.STOP, Kind.INTERIM) and any(leg.is_heard for leg in legs)
    return min(legs, key=lambda leg: (not leg.state.is_open, leg.is_heard is not wants_bound, -_cost(leg)))


def _cost(leg: Session) -> Decimal:
    return highest_cost(leg.rate, _DEAREST_SECONDS) if leg.rate else ZERO


def _is_late(earlier: Session, later: Session, report: Report, now: datetime) -> bool:
    """Tell whether a record is of a leg that ended before a later one of its name began.

    Who says the same as an earlier Stop, and more than the later leg can have lasted, repeats it.
    """
    if is_of_earlier(earlier, later, report, now):
        return True
    longest = now - later.opened_at + timedelta(seconds=1)
    told = timedelta(seconds=report.session_seconds or 0)
    return told > longest and report.kind is Kind.STOP and repeats(earlier, report)


def _is_linked(report: Report, leg: Session) -> bool:
    if report.linked is None:
        return False
    key, generation = report.linked
    return leg.leg_key == key and generation in (None, leg.generation)


def _has_session(report: Report, leg: Session) -> bool:
    told = report.own_session_id
    return bool(told) and told in (leg.session_id if leg.is_heard else "", leg.asked_session_id)


def _is_of_another_dialog(report: Report, leg: Session) -> bool:
    """Tell whether a record is provably of another conversation than *leg*."""
    if report.tags and leg.tags:
        return not _are_of_one(report.tags, leg.tags)
    return _is_of_another_session(report, leg)


def _is_of_another_session(report: Report, leg: Session) -> bool:
    told = report.own_session_id
    return (
        bool(told and leg.is_heard)
        and is_own_name(leg.session_id, leg.call_id)
        and (told not in (leg.session_id, leg.asked_session_id))
    )


def _is_other_side(sought: Sought, leg: Session) -> bool:
    """Tell whether a record is of the conversation of *leg*, seen from another side (telephony, VoIP)."""
    report = sought.report
    if not (report.call_type and leg.call_type and report.call_type != leg.call_type):
        return False
    if report.tags and leg.tags and not _are_of_one(report.tags, leg.tags):
        return False
    names_leg = not report.called or report.numbers_change or names_number(sought, leg)
    return _is_of_another_session(report, leg) and names_leg
