"""From a leg to the attributes by which its switch finds the call that it is to end (RFC 5176 section 3)."""

from contextlib import suppress
from datetime import datetime
from ipaddress import IPv4Address, ip_address
from re import fullmatch

from billing_core.storage.disconnects import Wanted
from radiusd.codec import encode
from radiusd.dialects.dialect import VsaForm
from radiusd.nas import Nas
from radiusd.session_class import class_of


def disconnect_attributes(wanted: Wanted, nas: Nas, now: datetime) -> bytes:
    """Return the attributes of a Disconnect-Request: which switch, which call, and when it was asked."""
    form = nas.speaks.vsa_form
    parts = [_switch(wanted)]
    if wanted.name:
        parts.append(_fitting("User-Name", wanted.name))
    if wanted.session_id:
        parts.append(_fitting("Acct-Session-Id", wanted.session_id))
    if wanted.call_id and form is not VsaForm.NONE:
        parts.append(_call(wanted.call_id, form))
    if wanted.authorized:
        parts.append(encode("Class", class_of((wanted.leg_key, wanted.generation), nas)))
    parts.append(encode("Event-Timestamp", int(now.timestamp())))
    return b"".join(parts)


def _switch(wanted: Wanted) -> bytes:
    """Name the device as it named itself."""
    named = _fitting("NAS-Identifier", wanted.nas_box) if wanted.nas_box else b""
    if not wanted.nas_address:
        return named
    is_old = isinstance(ip_address(wanted.nas_address), IPv4Address)
    return named + encode("NAS-IP-Address" if is_old else "NAS-IPv6-Address", wanted.nas_address)


def _call(call_id: str, form: VsaForm) -> bytes:
    """Name the call: a GUID in four groups of capital digits, as gateways write it, else as a pair."""
    if fullmatch("[0-9a-f]{32}", call_id) is None:
        return _fitting("Cisco-AVPair", f"call-id={call_id}")
    written = " ".join(call_id[place : place + 8] for place in range(0, 32, 8)).upper()
    return encode("h323-conf-id", f"h323-conf-id={written}" if form is VsaForm.PREFIXED else written)


def _fitting(name: str, value: str) -> bytes:
    """Return the attribute, or nothing when the text is too long: the others still name the call."""
    with suppress(ValueError):
        return encode(name, value)
    return b""
