"""What becomes of a question: it is about a leg that is known or begins one, and is decided."""

from dataclasses import replace
from datetime import datetime

from billing_core import decision
from billing_core.authorization import (
    Authenticated,
    AuthorizationRequest,
    Authorized,
    Candidate,
    Denied,
    Identified,
    ProofUsed,
    decide,
)
from billing_core.balance import available
from billing_core.books import OPEN_LEGS_MAX, Books
from billing_core.conversation import Conversation, conversation
from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.opening import granted
from billing_core.proof import Proof, ProofId

_CROWDED = f"{OPEN_LEGS_MAX} calls under way have this call id already"


def authenticated(
    books: Books, request: AuthorizationRequest, identified: Identified, now: datetime
) -> Authenticated | ProofUsed:
    """Say who it is to whom no call was asked for."""
    client, account = identified.client, identified.account
    if used := _used_up(books, request, identified, None, now):
        return used
    return Authenticated(client, account, available(client, books.balances[client.id]))


def authorized(
    books: Books,
    request: AuthorizationRequest,
    identified: Candidate | Denied,
    limits: Limits,
    now: datetime,
) -> Authorized | Denied | ProofUsed:
    """Decide whether the call may start, and record that. A denial leaves every leg as it is.

    A proof that has served another call proves nothing, so that it is counted against nobody. Else the
    question uses it up whatever the answer: it could be overheard, and tried for one call after the other.
    """
    if isinstance(identified, Denied):
        if used := _used_up(books, request, identified, None, now):
            return used
        books.changes.refusals.append(decision.refused(request, identified, identified.rate, None, now))
        return identified
    known = conversation(request, identified.account, identified.number, books.legs((request.leg_key,)))
    generation = known.leg.generation if known else books.next_generation(request.leg_key)
    if used := _used_up(books, request, identified, generation, now):
        return used
    return _decided(books, request, identified, known, generation, limits, now)


def proof_id(request: AuthorizationRequest, identified: Candidate | Identified | Denied) -> ProofId | None:
    """Return the proof that a question rests on, if it is one that serves one call."""
    if not request.proof_use or identified.client is None:
        return None
    is_wrong = isinstance(identified, Denied) and identified.reason is Denial.BAD_PASSWORD
    return None if is_wrong else (identified.client.id, request.proof_use)


def _used_up(
    books: Books,
    request: AuthorizationRequest,
    identified: Candidate | Identified | Denied,
    generation: int | None,
    now: datetime,
) -> ProofUsed | None:
    """Return that the caller's proof has served another call; else keep that it serves this one."""
    id = proof_id(request, identified)
    if id is None or books.serves(Proof(*id, request.leg_key, generation, now)):
        return None
    assert identified.client is not None, "whose proof it is"
    assert identified.account is not None, "whose proof it is"
    return ProofUsed(identified.client, identified.account)


def _decided(
    books: Books,
    request: AuthorizationRequest,
    candidate: Candidate,
    known: Conversation | None,
    generation: int,
    limits: Limits,
    now: datetime,
) -> Authorized | Denied:
    balance = books.balances[candidate.client.id]
    if known is None and books.is_crowded(request.leg_key):
        crowded = Denied(Denial.MALFORMED, candidate.client, candidate.account, because=_CROWDED)
        books.changes.refusals.append(decision.refused(request, crowded, candidate.rate, None, now))
        return crowded
    under_way = known.leg if known is not None and known.leg.state.is_open else None
    outcome = decide(
        candidate,
        balance,
        books.counters,
        under_way,
        limits,
        now,
        can_disconnect=request.can_disconnect,
    )
    seen = decision.Seen(balance, books.counters, under_way, limits)
    if isinstance(outcome, Denied):
        books.changes.refusals.append(decision.refused(request, outcome, candidate.rate, seen, now))
        return outcome
    if generation:
        outcome = replace(outcome, generation=generation)
    text = decision.accepted(request, outcome, seen, now)
    books.put(granted(request, outcome, known, limits, now, text), now)
    return outcome
