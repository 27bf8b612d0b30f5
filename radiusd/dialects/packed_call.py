"""A call packed into Acct-Session-Id, as Cisco IOS writes it when it sends no vendor attributes.

Ten fields are divided by slashes: session id, setup time, gateway, connection id (a GUID), call origin, call
type, connect time, disconnect time, disconnect cause, remote address. A Start has fewer of them than a Stop.
"""

import re

from billing_core.call_name import is_guid

_SESSION_ID = re.compile(r"[0-9A-Fa-f]{1,16}", re.ASCII)
_GUID_PLACE = 3


def packed_field(text: str, number: int) -> str | None:
    """Return the field *number* of a packed call, counted from 1; None if it is empty, or *text* is no such.

    Slashes alone do not make one: only a number and, as the fourth field, a GUID do.
    """
    fields = text.split("/")
    if len(fields) <= _GUID_PLACE or not is_guid(fields[_GUID_PLACE]):
        return None
    if _SESSION_ID.fullmatch(fields[0]) is None or number > len(fields):
        return None
    return fields[number - 1].strip() or None
