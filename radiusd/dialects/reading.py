"""From attributes to what the billing core is asked or told."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from billing_core.accounting import Kind, Report
from billing_core.authorization import AuthorizationRequest
from billing_core.ports import Reboot
from billing_core.session import Leg, leg_key
from radiusd import session_class
from radiusd.codec import Attributes
from radiusd.credentials import credential_of
from radiusd.dialects.dialect import Dialect, Source
from radiusd.h323_time import h323_time
from radiusd.nas import Nas
from radiusd.wire import DropReason, Frame

# RFC 2866 section 5.1; 15 is what SIP proxies send for a call that failed.
_KINDS = {1: Kind.START, 2: Kind.STOP, 3: Kind.INTERIM, 15: Kind.FAILED}
_ACCOUNTING_ON, _ACCOUNTING_OFF = 7, 8

# Some switches write a Unix time into Acct-Delay-Time; a longer delay than a day is not believed.
_DELAY_SECONDS_MAX = 86_400
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD_MAX = timedelta(days=1)

_GUID = re.compile(r"[0-9a-f]{32}")


def authorization_request(
    attributes: Attributes, frame: Frame, nas: Nas, dialect: Dialect, source: str
) -> AuthorizationRequest:
    """Read an Access-Request about a call. *source* is the address that the packet came from."""
    call_id = _call_id(attributes, dialect)
    session_id = attributes.text("Acct-Session-Id") or ""
    # Without any name of the call the packet itself is its name.
    reference = call_id or session_id or f"{source} {frame.identifier} {frame.authenticator.hex()}"
    return AuthorizationRequest(
        nas=nas.name,
        nas_box=_nas_box(attributes, source),
        leg_key=leg_key(nas.name, reference, Leg.ORIGINATION),
        call_id=call_id,
        session_id=session_id,
        name=attributes.text("User-Name"),
        credential=credential_of(attributes, frame, nas.secret),
        ip=_first(dialect.caller_ip, attributes),
        calling=attributes.text("Calling-Station-Id") or "",
        called=attributes.text("Called-Station-Id") or "",
        sends_start=nas.sends_start,
        malformed=_contradiction(attributes),
    )


def accounting(
    attributes: Attributes, nas: Nas, dialect: Dialect, source: str, now: datetime
) -> Report | Reboot | DropReason:
    """Read an Accounting-Request, or say why it can't be recorded."""
    status = attributes.integer("Acct-Status-Type")
    event_at = _plausible(attributes.integer("Event-Timestamp"), now)
    delay_seconds = attributes.integer("Acct-Delay-Time") or 0
    if delay_seconds > _DELAY_SECONDS_MAX:
        delay_seconds = 0
    if status in (_ACCOUNTING_ON, _ACCOUNTING_OFF):
        happened_at = event_at or now - timedelta(seconds=delay_seconds)
        return Reboot(nas.name, _nas_box(attributes, source), happened_at, status == _ACCOUNTING_ON)
    session_id = attributes.text("Acct-Session-Id")
    # RFC 2866 section 5.5: every record of a session carries it.
    if status is None or session_id is None:
        return DropReason.MISSING_MANDATORY
    kind = _KINDS.get(status)
    if kind is None:
        return DropReason.NOT_RECORDED
    return _report(attributes, kind, session_id, nas, dialect, source, event_at, delay_seconds)


def _report(
    attributes: Attributes,
    kind: Kind,
    session_id: str,
    nas: Nas,
    dialect: Dialect,
    source: str,
    event_at: datetime | None,
    delay_seconds: int,
) -> Report:
    call_id = _call_id(attributes, dialect)
    leg = nas.legs.get((dialect.call_origin(attributes) or "answer").lower(), Leg.ORIGINATION)
    address = _first(dialect.caller_ip, attributes)
    ends = kind in (Kind.STOP, Kind.FAILED)
    setup_at = h323_time(dialect.setup_time(attributes), nas.timezone)
    connect_at = h323_time(dialect.connect_time(attributes), nas.timezone)
    disconnect_at = h323_time(dialect.disconnect_time(attributes), nas.timezone) if ends else None
    # A vendor's leg is one attempt to reach him: another attempt has another session id or address.
    termination_address = dialect.termination_address(attributes) if leg is Leg.TERMINATION else None
    detail = f"{termination_address or ''}/{session_id}" if leg is Leg.TERMINATION else ""
    references = [reference for reference in (call_id, session_id) if reference]
    linked = session_class.linked_leg(attributes.raws("Class"), nas) if leg is Leg.ORIGINATION else ()
    return Report(
        kind=kind,
        nas=nas.name,
        nas_box=_nas_box(attributes, source),
        leg=leg,
        leg_keys=(*linked, *(leg_key(nas.name, reference, leg, detail) for reference in references)),
        call_id=call_id,
        session_id=session_id,
        name=attributes.text("User-Name"),
        ip=address,
        calling=attributes.text("Calling-Station-Id") or "",
        called=attributes.text("Called-Station-Id") or "",
        termination_address=termination_address,
        event_at=event_at or disconnect_at or (connect_at or setup_at if kind is Kind.START else None),
        delay_seconds=delay_seconds,
        session_seconds=attributes.integer("Acct-Session-Time"),
        setup_at=setup_at,
        connect_at=connect_at,
        disconnect_at=disconnect_at,
        disconnect_cause=_cause(dialect.disconnect_cause(attributes), dialect.disconnect_cause_base),
    )


def _first(sources: Iterable[Source], attributes: Attributes) -> str | None:
    for source in sources:
        if value := source(attributes):
            return value
    return None


def _call_id(attributes: Attributes, dialect: Dialect) -> str:
    """Return the call's id, a GUID always written in one way: switches group and case it as they like."""
    text = _first(dialect.call_id, attributes)
    if text is None:
        return ""
    packed = text.replace(" ", "").replace("-", "").lower()
    return packed if _GUID.fullmatch(packed) else text


def _nas_box(attributes: Attributes, source: str) -> str:
    """Return which device of a NAS it is, since several may stand behind one entry of the settings."""
    return (
        attributes.text("NAS-Identifier")
        or attributes.address("NAS-IP-Address")
        or attributes.address("NAS-IPv6-Address")
        or source
    )


def _plausible(seconds: int | None, now: datetime) -> datetime | None:
    """Return an Event-Timestamp as a date, unless no sane clock can have made it."""
    if seconds is None:
        return None
    at = datetime.fromtimestamp(seconds, UTC)
    return at if _EARLIEST <= at <= now + _AHEAD_MAX else None


def _cause(text: str | None, base: int) -> str | None:
    """Return a Q.850 cause in decimal; what is none is kept as it was sent."""
    if text is None:
        return None
    try:
        return str(int(text.split()[0], base)) if text.isascii() and "_" not in text else text
    except (ValueError, IndexError):
        return text


def _contradiction(attributes: Attributes) -> str | None:
    """Name an attribute that is given twice with different values: nobody can tell who calls whom."""
    for name in ("User-Name", "Called-Station-Id"):
        if len(set(attributes.texts(name))) > 1:
            return name
    return None
