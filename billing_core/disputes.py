"""What somebody decides of an ended leg that could not be charged: how long it is to have lasted. Pure.

A decision stands until another one: no later record changes what it costs, and rating again only changes its
price.
"""

from billing_core.catalogue import Catalogue
from billing_core.facts import Facts
from billing_core.ledger import EntryKind
from billing_core.limits import Limits
from billing_core.money import ZERO, plain
from billing_core.session import Leg, Session, State
from billing_core.settlement import settle
from billing_core.xdr import Unbillable, Xdr

_PRICE_IS_MISSING = {
    Unbillable.NO_ACCOUNT: "nobody was found for it",
    Unbillable.NO_RATE: "no rate fits its number",
}


class UndecidableError(Exception):
    """Nothing can be decided of a leg; the message says why, and what helps."""


def told_seconds(facts: Facts) -> int | None:
    """Return how long a leg lasted by what its records tell, true or not; None if they tell no time."""
    return facts.duration_seconds() or facts.least_seconds() or None


def decided(
    session: Session, reason: Unbillable | None, seconds: int | None, catalogue: Catalogue, limits: Limits
) -> tuple[Session, Xdr]:
    """Return the ended *session* charged for *seconds*, 0 for nothing, None for what it told; and its xDR.

    *reason* tells why its last xDR could not be charged, if so. It holds no money any more. Raises
    UndecidableError.
    """
    if problem := _problem(session, reason):
        raise UndecidableError(problem)
    lasted = told_seconds(session.facts) if seconds is None else seconds
    if lasted is None:
        raise UndecidableError("its records tell no time; say with --seconds how long it lasted, or waive it")
    after, xdr = settle(session._replace(decided_seconds=lasted, reserved=ZERO), catalogue, limits)
    if xdr.reason is not None:
        missing = _PRICE_IS_MISSING.get(xdr.reason, xdr.reason.value)
        raise UndecidableError(
            f"{missing}, so it has no price; define what is missing and run `billing rerate --unbillable`,"
            " or waive it"
        )
    return after, xdr


def entry_kind(before: Session) -> EntryKind:
    """Return the kind of the entry of a decision: what was decided, or charged, before is corrected."""
    is_first = before.decided_seconds is None and not before.posted
    return EntryKind.CHARGE if is_first else EntryKind.CORRECTION


def _problem(session: Session, reason: Unbillable | None) -> str | None:
    """Return why nothing can be decided of a leg; None if something can be."""
    if session.state is not State.CLOSED:
        is_over = "was never heard of, so nothing is to be charged"
        return f"the call {'is still under way: wait for its end' if session.state.is_open else is_over}"
    if session.leg is Leg.FURTHER:
        return (
            "it is the other side of a conversation that its own leg is charged for; see them both with"
            f" `billing explain {session.call_id or session.session_id}`"
        )
    if reason is None and session.decided_seconds is None:
        cost = f"{plain(session.posted)} {session.currency or ''}".strip()
        return (
            f"it is settled already, at {cost}; `billing rerate` changes its price, `billing correction` the"
            " client's balance"
        )
    return None
