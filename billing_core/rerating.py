"""Rating an ended leg again, by the definitions of today, as of the moment that dates it. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from billing_core.catalogue import Catalogue
from billing_core.client import Account
from billing_core.decision import unrecognised
from billing_core.limits import Limits
from billing_core.number import normalise
from billing_core.session import Leg, Session, State
from billing_core.settlement import settle
from billing_core.xdr import Unbillable, Xdr


@dataclass(frozen=True, slots=True)
class Rerated:
    """What an ended leg costs by today's definitions.

    `session` and `xdr` are the leg and its next revision. `is_kept` tells that they are not to be used: a leg
    that was charged could not be charged today, which is rather a gap in the prices than a gift.
    """

    session: Session
    xdr: Xdr
    is_kept: bool = False


def owner(leg: Leg, calling: str, called: str, decision: str | None, catalogue: Catalogue) -> Account | None:
    """Return whose leg it is for which nobody was found, by what its session kept of its first record."""
    seen = unrecognised(decision)
    if seen is None or leg is Leg.FURTHER:
        return None
    return catalogue.payer(
        leg,
        name=seen.name,
        ip=seen.ip,
        calling=calling,
        called=called,
        termination_address=seen.termination_address,
    )


def rerated(
    session: Session, reason: Unbillable | None, catalogue: Catalogue, limits: Limits
) -> Rerated | None:
    """Return what becomes of the ended *session*, or None when it costs what it did.

    *reason* tells why its last xDR could not be charged, if so. The rate that was pinned is forgotten; what
    takes its place is pinned instead, so that a late record is charged by it, too.
    """
    if session.state is not State.CLOSED:
        return None
    found = _owned(session, catalogue) if session.client_id is None else session
    after, xdr = settle(found._replace(rate=None, rated_for=None), catalogue, limits)
    is_same = (after.posted, after.client_id, xdr.reason) == (session.posted, session.client_id, reason)
    if is_same:
        return None
    return Rerated(after, xdr, is_kept=reason is None and xdr.reason is not None)


def difference(before: Session, after: Session) -> Decimal:
    """Return by what rating again changes the live balance of the leg's client."""
    more = after.posted - before.posted
    return more if after.leg is Leg.TERMINATION else -more


def _owned(session: Session, catalogue: Catalogue) -> Session:
    account = owner(session.leg, session.calling, session.called, session.decision, catalogue)
    if account is None:
        return session
    called = session.called.removeprefix(account.tech_prefix)
    return session._replace(
        client_id=account.client_id,
        account_id=account.id,
        called=normalise(called) or called,
    )
