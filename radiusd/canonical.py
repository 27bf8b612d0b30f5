"""The one line that tells a request's whole story: who asked what, what was decided, and why."""

from decimal import Decimal
from typing import Any

from billing_core.authorization import (
    Authenticated,
    AuthorizationRequest,
    Authorized,
    Denied,
    ProofUsed,
)
from billing_core.charging import Outcome
from billing_core.denial import Denial
from billing_core.money import plain
from billing_core.ports import Reboot, UnknownRecord
from billing_core.records import Recorded
from billing_core.report import Report
from billing_core.xdr import Xdr
from radiusd.protocol import Received
from radiusd.wire import Code, DropReason


def canonical_line(
    received: Received,
    outcome: Outcome | DropReason,
    reply: tuple[Code, bytes] | DropReason,
    source: tuple[str, int],
    seconds: float,
) -> tuple[str, dict[str, Any]]:
    """Return the event and its fields. What a sender chose stands in fields only; secrets nowhere."""
    facts: dict[str, Any] = {
        "nas": received.nas.name,
        "source": source[0],
        "port": source[1],
        "id": received.frame.identifier,
        "reply": reply.value if isinstance(reply, DropReason) else reply[0].name.lower(),
        "seconds": round(seconds, 6),
    }
    request = received.request
    match request:
        case AuthorizationRequest():
            event = "access_request"
            facts |= _call(request.call_id, request.session_id, request.calling, request.called)
            facts["user"] = request.name
        case Report():
            event = "accounting_request"
            facts |= _call(request.call_id, request.session_id, request.calling, request.called)
            facts |= {"kind": request.kind.value, "leg": request.leg.value}
        case Reboot():
            event = "nas_rebooted"
            facts |= {
                "box": request.nas_box or request.nas_address or request.nas_source,
                "starting": request.starting,
            }
        case UnknownRecord():
            event = "accounting_unknown"
            facts |= {"status": request.status, "session_id": request.session_id}
    return event, facts | _told(outcome)


def _call(call_id: str, session_id: str, calling: str, called: str) -> dict[str, Any]:
    return {"call_id": call_id, "session_id": session_id, "calling": calling, "called": called}


def _told(outcome: Outcome | DropReason) -> dict[str, Any]:
    match outcome:
        case Authorized():
            return {
                "outcome": "authorized",
                "client": outcome.candidate.client.name,
                "account": outcome.candidate.account.label,
                "code": outcome.candidate.rate.code,
                "credit_time_seconds": outcome.credit_time_seconds,
                "reserved": plain(outcome.reserved),
            }
        case Authenticated():
            return {
                "outcome": "authenticated",
                "client": outcome.client.name,
                "account": outcome.account.label,
            }
        case Denied():
            return {
                "outcome": "denied",
                "reason": outcome.reason.value,
                "client": outcome.client.name if outcome.client else None,
                "account": outcome.account.label if outcome.account else None,
            } | ({"because": outcome.because} if outcome.because else {})
        case ProofUsed():
            return {
                "outcome": "proof_used",
                "client": outcome.client.name,
                "account": outcome.account.label,
            }
        case Recorded():
            return {"outcome": "recorded", "duplicate": outcome.is_duplicate} | _settled(outcome.xdr)
        case DropReason():
            return {"outcome": "failed"}


def _settled(xdr: Xdr | None) -> dict[str, Any]:
    if xdr is None:
        return {}
    return {
        "client_id": xdr.client_id,
        "code": xdr.code,
        "duration_seconds": xdr.duration_seconds,
        "amount": plain(xdr.amount),
        "currency": xdr.currency,
        "state": xdr.state.value,
        "unbillable": xdr.reason.value if xdr.reason else None,
    }


def denial_of(outcome: Outcome | DropReason) -> Denial | None:
    """Return why a call was refused, None for every other outcome."""
    return outcome.reason if isinstance(outcome, Denied) else None


def settled_of(outcome: Outcome | DropReason) -> tuple[Xdr, Decimal] | None:
    """Return the finished record and what was charged beyond its earlier revisions, if there is one."""
    if isinstance(outcome, Recorded) and outcome.xdr is not None:
        return outcome.xdr, outcome.charged
    return None
