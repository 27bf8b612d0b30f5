"""What becomes of a question: it is about a leg that is known or begins one, and is decided."""

from dataclasses import replace
from datetime import datetime

from billing_core import decision
from billing_core.authorization import AuthorizationRequest, Authorized, Candidate, Denied, decide
from billing_core.books import OPEN_LEGS_MAX, Books
from billing_core.denial import Denial
from billing_core.legs import conversation
from billing_core.limits import Limits
from billing_core.opening import granted

_CROWDED = f"{OPEN_LEGS_MAX} calls under way have this call id already"


def authorized(
    books: Books,
    request: AuthorizationRequest,
    identified: Candidate | Denied,
    limits: Limits,
    now: datetime,
) -> Authorized | Denied:
    """Decide whether the call may start, and record that. A denial leaves every leg as it is."""
    if isinstance(identified, Denied):
        books.changes.refusals.append(decision.refused(request, identified, identified.rate, None, now))
        return identified
    account, balance = identified.account, books.balances[identified.client.id]
    known = conversation(request, account, identified.number, books.legs((request.leg_key,)))
    if known is None and books.is_crowded(request.leg_key):
        denied = Denied(Denial.MALFORMED, identified.client, account, because=_CROWDED)
        books.changes.refusals.append(decision.refused(request, denied, identified.rate, None, now))
        return denied
    under_way = known.leg if known is not None and known.leg.state.is_open else None
    outcome = decide(
        identified,
        balance,
        books.counters,
        under_way,
        limits,
        now,
        can_disconnect=request.can_disconnect,
    )
    seen = decision.Seen(balance, books.counters, under_way, limits)
    if isinstance(outcome, Denied):
        books.changes.refusals.append(decision.refused(request, outcome, identified.rate, seen, now))
        return outcome
    generation = known.leg.generation if known else books.next_generation(request.leg_key)
    outcome = replace(outcome, generation=generation)
    text = decision.accepted(request, outcome, seen, now)
    books.put(granted(request, outcome, known, limits, now, text), now)
    return outcome
