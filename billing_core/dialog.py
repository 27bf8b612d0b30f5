"""What tells one conversation of a call id from another: tags, a session id, our Class. Pure.

A question knows one tag of two, which its caller chose. So tags tell that two packets are of different
dialogs at once, but that they are of the same only once a record has bound a leg to both.
"""

from collections.abc import Sequence
from enum import IntEnum

from billing_core.authorization import AuthorizationRequest
from billing_core.call_name import is_own_name
from billing_core.report import Report
from billing_core.session import Session


class Dialog(IntEnum):
    """Whether two packets are of one dialog, as far as the switch tells."""

    SAME = 0
    UNTOLD = 1
    OTHER = 2


def dialog_asked(request: AuthorizationRequest, leg: Session) -> Dialog:
    """Tell whether a question is of the dialog of *leg*."""
    if request.tags and leg.tags:
        return Dialog.SAME if _are_of_one(request.tags, leg.tags) else Dialog.OTHER
    asked = request.own_session_id
    known = leg.asked_session_id or (_bound_session(leg) if asked else "")
    if not asked or not known:
        return Dialog.UNTOLD
    return Dialog.SAME if asked == known else Dialog.OTHER


def is_linked(report: Report, leg: Session) -> bool:
    """Tell whether our Class in a record names the leg."""
    if report.linked is None:
        return False
    key, generation = report.linked
    return leg.leg_key == key and generation in (None, leg.generation)


def has_session(report: Report, leg: Session) -> bool:
    """Tell whether a record names the session that bound the leg, or that it was asked for under."""
    told = report.own_session_id
    return bool(told) and told == (_bound_session(leg) or leg.asked_session_id)


def has_tags(report: Report, leg: Session) -> bool:
    """Tell whether a record names the tags that bound the leg."""
    return bool(report.tags and leg.tags) and leg.is_bound and _are_of_one(report.tags, leg.tags)


def is_of_another_dialog(report: Report, leg: Session) -> bool:
    """Tell whether a record is provably of another conversation than *leg*."""
    if report.tags and leg.tags:
        return not _are_of_one(report.tags, leg.tags)
    return is_of_another_session(report, leg)


def is_of_another_session(report: Report, leg: Session) -> bool:
    """Tell whether a record names another session than the one that bound the leg."""
    told = report.own_session_id
    known = _bound_session(leg) if told else ""
    return bool(known) and told != known


def _bound_session(leg: Session) -> str:
    return leg.session_id if leg.is_bound and is_own_name(leg.session_id, leg.call_id) else ""


def _are_of_one(one: Sequence[str], other: Sequence[str]) -> bool:
    return set(one) <= set(other) or set(other) <= set(one)
