"""From attributes to what the billing core is asked or told."""

import json
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import TypedDict

from billing_core.authorization import AuthorizationRequest, Credential
from billing_core.call_name import call_name, older_name
from billing_core.ports import Reboot, UnknownRecord
from billing_core.report import Kind, Report
from billing_core.session import Leg, leg_key
from radiusd import digest, session_class
from radiusd.codec import Attributes, text_of
from radiusd.credentials import PapCredential, credential_of, unchecked_proof
from radiusd.dialects.dialect import Dialect, StartMeans
from radiusd.dialects.moments import delay_seconds, event_time, is_delay_told, moments
from radiusd.dialects.reader import Reader
from radiusd.nas import Nas
from radiusd.wire import DropReason, Frame

# RFC 2866 section 5.1; 15 is what SIP proxies send for a call that failed.
_KINDS = {1: Kind.START, 2: Kind.STOP, 3: Kind.INTERIM, 15: Kind.FAILED}
_ACCOUNTING_ON, _ACCOUNTING_OFF = 7, 8

# How the family of SER numbers the method, and spells it elsewhere.
_CANCEL = ("2", "CANCEL")
# SIP's final answers that are no success (RFC 3261 section 21).
_SIP_FAILURE_FIRST = 300

_TAGS_MAX = 4
_TAG_CHARACTERS_MAX = 128


class _Device(TypedDict):
    nas_box: str
    nas_address: str
    nas_source: str


def authorization_request(frame: Frame, nas: Nas, source: str) -> AuthorizationRequest:
    """Read an Access-Request. *source* is the address that the packet came from."""
    dialect = nas.speaks
    reader = Reader(frame, dialect)
    attributes = reader.attributes
    call_id = call_name(reader.get("call_id") or "")
    session_id = reader.get("session_id") or ""
    # Without any name of the call the packet itself is its name.
    reference = call_id or session_id or f"{source} {frame.identifier} {frame.authenticator.hex()}"
    called = reader.get("called") or ""
    credential = credential_of(attributes, frame, nas.secret)
    proof = digest.parts_of(frame) or {}
    return AuthorizationRequest(
        nas=nas.switch,
        **_device(attributes, source),
        leg_key=leg_key(nas.switch, reference, Leg.ORIGINATION),
        call_id=call_id,
        session_id=session_id,
        name=reader.get("account"),
        credential=None if _proves_nothing(credential, dialect) else credential,
        ip=reader.get("caller_ip"),
        calling=reader.get("calling") or "",
        called=called,
        sends_start=nas.sends_start,
        can_disconnect=nas.disconnect is not None,
        malformed=_contradiction(attributes),
        termination_address=reader.get("wanted_vendor"),
        authentication_only=_asks_called_side(reader)
        or (dialect.authenticates_alone and _asks_no_call(reader, proof, called)),
        name_is_trusted=nas.trusted_names,
        barred=_foreign_realm(proof, nas),
        unheard_seconds=nas.unheard_seconds,
        path_is_trusted=nas.trusted_path or frame.message_authenticator_offset is not None,
        tags=_tags(reader),
        unchecked_proof=unchecked_proof(frame),
        unsupported_digest=digest.unsupported(proof, nas.digest_algorithms),
    )


def accounting(
    frame: Frame, nas: Nas, source: str, now: datetime
) -> Report | Reboot | UnknownRecord | DropReason:
    """Read an Accounting-Request, or say why it can't be recorded."""
    reader = Reader(frame, nas.speaks)
    attributes = reader.attributes
    status = attributes.integer("Acct-Status-Type")
    device = _device(attributes, source)
    if status in (_ACCOUNTING_ON, _ACCOUNTING_OFF):
        happened_at = event_time(reader, now) or now - timedelta(seconds=delay_seconds(reader))
        return Reboot(nas=nas.switch, event_at=happened_at, starting=status == _ACCOUNTING_ON, **device)
    session_id = reader.get("session_id")
    if status is None:
        return DropReason.MISSING_MANDATORY
    kind = _KINDS.get(status)
    if kind is None:
        told = json.dumps(list(attributes.items()))
        return UnknownRecord(
            nas.switch, _name_of_device(attributes, source), now, status, session_id or "", told
        )
    # RFC 2866 section 5.5: every record of a session carries it, or what its dialect has instead.
    if session_id is None:
        return DropReason.MISSING_MANDATORY
    return _report(reader, kind, session_id, nas, device, now)


def sequence_number(frame: Frame, nas: Nas, source: str) -> tuple[str, int] | None:
    """Return which device counted this record, and its number; None where records are not counted."""
    if not nas.speaks.sequence:
        return None
    reader = Reader(frame, nas.speaks)
    number = reader.get("sequence")
    return (
        (_name_of_device(reader.attributes, source), int(number)) if number and number.isdecimal() else None
    )


def _report(reader: Reader, kind: Kind, session_id: str, nas: Nas, device: _Device, now: datetime) -> Report:
    if kind is Kind.STOP and reader.get("sip_method") in _CANCEL:
        # The caller gave up before anybody answered.
        kind = Kind.FAILED
    named = reader.get("call_id") or ""
    call_id = call_name(named)
    leg = reader.dialect.legs.get((reader.get("call_origin") or "answer").lower(), Leg.ORIGINATION)
    is_vendors = leg is Leg.TERMINATION
    termination_address = reader.get("termination_address") if is_vendors else None
    # A vendor's leg is one attempt to reach it: another attempt has another session id or address.
    detail = "/".join([termination_address or "", session_id, *reader.all("attempt")]) if is_vendors else ""
    references = dict.fromkeys(filter(None, (call_id, older_name(named), session_id)))
    linked = None if is_vendors else session_class.linked_leg(reader.attributes.raws("Class"), nas)
    told = moments(reader, kind, nas.timezone, now)
    return Report(
        kind=kind,
        nas=nas.switch,
        **device,
        leg=leg,
        leg_keys=tuple(leg_key(nas.switch, reference, leg, detail) for reference in references),
        linked=linked,
        call_id=call_id,
        session_id=session_id,
        name=reader.get("account"),
        ip=reader.get("caller_ip"),
        calling=reader.get("calling") or "",
        called=(is_vendors and reader.get("termination_called")) or reader.get("called") or "",
        termination_address=termination_address,
        event_at=told.event_at,
        delay_seconds=delay_seconds(reader),
        session_seconds=told.session_seconds,
        setup_at=told.setup_at,
        connect_at=told.connect_at,
        disconnect_at=told.disconnect_at,
        disconnect_cause=_cause(reader),
        can_disconnect=nas.disconnect is not None,
        is_before_answer=kind is Kind.START and reader.dialect.start_means is StartMeans.SETUP,
        numbers_change=nas.numbers_change,
        overrun_is_charged=nas.overrun == "charge",
        tags=_tags(reader),
        call_type=(reader.get("call_type") or "").lower(),
        is_delay_told=is_delay_told(reader),
    )


def _asks_called_side(reader: Reader) -> bool:
    """Tell whether the side that is called asks: the call is that of the side that asked first."""
    legs = reader.dialect.question_legs
    return bool(legs) and legs.get((reader.get("call_origin") or "").lower()) is Leg.TERMINATION


def _asks_no_call(reader: Reader, proof: digest.Parts, called: str) -> bool:
    """Tell whether a request is about who somebody is, and not about a call."""
    if not called or reader.get("request_type") == "user":
        return True
    return proof.get(digest.METHOD) == b"REGISTER"


def _foreign_realm(proof: digest.Parts, nas: Nas) -> str:
    """Say in words that a caller names a realm whose callers do not come by this switch."""
    realm = proof.get(digest.REALM)
    if not realm or nas.allows_realm(realm):
        return ""
    return f"the realm {text_of(realm)} is none of this NAS"


def _proves_nothing(credential: Credential | None, dialect: Dialect) -> bool:
    """Tell whether the password is only what the switch sends when it has none."""
    if dialect.fixed_password is None or not isinstance(credential, PapCredential):
        return False
    return credential.password == dialect.fixed_password.encode()


def _tags(reader: Reader) -> tuple[str, ...]:
    """Return what tells the conversation from others of its call id, sorted, and without blanks inside."""
    if not reader.dialect.tags:
        return ()
    told = dict.fromkeys("_".join(text.split())[:_TAG_CHARACTERS_MAX] for text in reader.all("tags"))
    return tuple(sorted([tag for tag in told if tag][:_TAGS_MAX]))


def _device(attributes: Attributes, source: str) -> _Device:
    """Return what names the device of a NAS, since several may stand behind one entry of the settings."""
    named = attributes.address("NAS-IP-Address") or attributes.address("NAS-IPv6-Address") or ""
    return {
        "nas_box": attributes.text("NAS-Identifier") or "",
        "nas_address": _telling(named),
        "nas_source": _telling(source),
    }


@lru_cache(maxsize=4096)
def _telling(address: str) -> str:
    """Return an address that tells one device from another: every machine calls itself by the others."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return "" if found.is_loopback or found.is_unspecified else address


def _name_of_device(attributes: Attributes, source: str) -> str:
    """Return what people call the device."""
    device = _device(attributes, source)
    return device["nas_box"] or device["nas_address"] or source


def _cause(reader: Reader) -> str | None:
    """Return a Q.850 cause in decimal; what is none is kept as it was sent."""
    text = reader.get("disconnect_cause")
    if text is None:
        return _sip_cause(reader.get("sip_response"))
    try:
        plain = text.isascii() and "_" not in text
        return str(int(text.split()[0], reader.dialect.disconnect_cause_base)) if plain else text
    except (ValueError, IndexError):
        return text


def _sip_cause(response: str | None) -> str | None:
    if response is None or not response.isdecimal() or int(response) < _SIP_FAILURE_FIRST:
        return None
    return f"SIP {response}"


def _contradiction(attributes: Attributes) -> str | None:
    """Name an attribute that is given twice with different values: nobody can tell who calls whom."""
    for name in ("User-Name", "Called-Station-Id"):
        if len(attributes.raws(name)) > 1 and len(set(attributes.texts(name))) > 1:
            return name
    return None
