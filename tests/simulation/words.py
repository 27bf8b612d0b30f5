"""Packets and outcomes in words, for people who look for what went wrong."""

from billing_core.authorization import AuthorizationRequest, Authorized, Denied
from billing_core.records import Recorded
from billing_core.report import Report


def in_words(sent: object) -> str:
    """Return what matters of a packet or an outcome, for people who look for what went wrong."""
    match sent:
        case AuthorizationRequest():
            known = f"session {sent.session_id} tags {sent.tags} at {sent.nas_address}"
            return f"asks {sent.name or sent.ip or sent.calling} -> {sent.called} call {sent.call_id} {known}"
        case Report():
            linked = f" linked to {sent.linked[1]}" if sent.linked else ""
            known = f"session {sent.session_id} tags {sent.tags} at {sent.nas_address}{linked}"
            dated = f"{sent.event_at} +{sent.delay_seconds} {sent.connect_at} {sent.disconnect_at}"
            parties = f"{sent.name or sent.ip} {sent.calling} -> {sent.called}"
            return (
                f"{sent.kind.value} {sent.session_seconds} s {parties} call {sent.call_id} {known} at {dated}"
            )
        case Authorized():
            return f"accepted {sent.credit_time_seconds} s, {sent.reserved} reserved"
        case Denied():
            return f"denied {sent.reason.name} {sent.because}"
        case Recorded():
            left = sent.session
            leg = (
                f"leg {left.leg_key.hex()[:6]}/{left.generation} {left.state.name} {left.called}"
                if left
                else ""
            )
            xdr = (
                f"{sent.xdr.duration_seconds} s {sent.xdr.amount} {sent.xdr.state.value}" if sent.xdr else ""
            )
            return f"recorded {leg} {xdr} {'duplicate' if sent.is_duplicate else ''}"
    return str(sent)
