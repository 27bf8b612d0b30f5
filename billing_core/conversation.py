"""Which leg a question is about, among those that share the call's name. Pure.

A caller chooses what names a call, so a leg is known by more: by who pays, by the dialog where the switch
tells it, and by the number.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from billing_core.authorization import AuthorizationRequest
from billing_core.client import Account
from billing_core.dialog import Dialog, dialog_asked
from billing_core.parties import numbers
from billing_core.session import Session, State


@dataclass(frozen=True, slots=True)
class Conversation:
    """The open or released leg that a question is about. `is_moved`: it was asked for another number.

    `is_sure` tells that nothing but a repeated question can be meant: the switch made what names it.
    """

    leg: Session
    is_moved: bool
    is_sure: bool


def conversation(
    request: AuthorizationRequest, account: Account, number: str, legs: Iterable[Session]
) -> Conversation | None:
    """Return which of *legs* the question of *account* for *number* is about; None: it begins another.

    Another account or another dialog is another conversation. Another number is, too, unless the dialog is
    the same and no record has bound it to the first.
    """
    found: list[tuple[Session, Dialog, Conversation]] = []
    for leg in legs:
        dialog = dialog_asked(request, leg)
        if leg.state is State.CLOSED or leg.account_id != account.id or dialog is Dialog.OTHER:
            continue
        is_same_number = number in numbers(leg)
        is_moved = dialog is Dialog.SAME and not leg.is_heard
        if is_same_number or is_moved:
            names_session = dialog is Dialog.SAME and bool(request.own_session_id) and not request.tags
            is_sure = is_same_number and (names_session or not request.call_id)
            found.append((leg, dialog, Conversation(leg, not is_same_number, is_sure)))
    best = min(found, key=lambda item: (not item[0].state.is_open, item[1], item[2].is_moved), default=None)
    return best[2] if best else None
