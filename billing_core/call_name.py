"""The name of a call, written in one way: switches group a GUID's digits, and case them, as they like."""

import re
from functools import lru_cache

_GUID_DIGITS = 32
_GUID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_GROUPS = re.compile(r"[0-9a-f]{1,8}(?: [0-9a-f]{1,8}){3}", re.ASCII)


def call_name(text: str) -> str:
    """Return *text* as the name of a call: a GUID as 32 small digits, anything else as it stands.

    Groups of a GUID may have lost their leading zeros: `16000 647BEE1D 80F000A F453DBFD`.
    """
    if len(text) < _GUID_DIGITS and " " not in text:
        return text
    plain = text.lower()
    packed = plain.replace(" ", "").replace("-", "")
    if len(packed) == _GUID_DIGITS and _GUID.fullmatch(packed):
        return packed
    if " " in plain and _GROUPS.fullmatch(plain):
        return "".join(group.zfill(8) for group in plain.split(" "))
    return text


def older_name(text: str) -> str | None:
    """Return the name that an earlier version gave the same call, None if it is the same.

    It left groups as they were. Calls under way, and records that come late, outlive an upgrade.
    """
    lacks_zeros = text.count(" ") == 3 and len(text) < 35  # Four groups of eight digits, and three blanks.
    return text if lacks_zeros and is_guid(text) else None


def is_guid(text: str) -> bool:
    """Tell whether *text* is a GUID, however it is written."""
    return _GUID.fullmatch(call_name(text)) is not None


@lru_cache(maxsize=1024)
def is_own_name(session_id: str, call_id: str) -> bool:
    """Tell whether *session_id* says more than which call it is: some switches send the call's id again."""
    return bool(session_id) and call_name(session_id) != call_name(call_id)
