"""What a softswitch tells of its calls, and by what its packets tell them apart."""

import random
from dataclasses import dataclass
from enum import Enum

ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.99")
"""A switch sends from the first or two; the last is of a device beside it that carries no call."""


class Naming(Enum):
    """By what a switch's packets tell conversations apart.

    CALL_ID: by the caller's Call-ID alone; the session id is the same. TAGS: by SIP's tags, the From tag in
    questions and both in records. SESSION_IN_RECORDS: by session ids that no question carries yet. SESSION:
    by session ids in both. GUID: by a call id that the switch makes up itself for each call.
    """

    CALL_ID = "call id"
    TAGS = "tags"
    SESSION_IN_RECORDS = "session ids in records"
    SESSION = "session ids"
    GUID = "guids"


BY_SESSION = (Naming.SESSION_IN_RECORDS, Naming.SESSION, Naming.GUID)


@dataclass(frozen=True, slots=True)
class Habits:
    """What a switch tells, and how.

    It tells `seconds` (Acct-Session-Time) or only dates; connect and disconnect `times`; returns our Class or
    not; `addresses` are the NAS-IP-Addresses that it may send from. `unheard_seconds` is the operator's.
    With `two_sides` it reports each call as telephony and as VoIP, with `vendors` also what a vendor
    completes. It `rewrites` numbers between question and record, as the operator says, or counts in
    `milliseconds`, of which nobody knows.
    """

    naming: Naming
    tells_seconds: bool = True
    tells_times: bool = False
    returns_class: bool = False
    has_identifier: bool = True
    addresses: tuple[str, ...] = ADDRESSES[:1]
    unheard_seconds: int | None = None
    two_sides: bool = False
    vendors: bool = False
    rewrites: bool = False
    milliseconds: bool = False


def habits(chance: random.Random, dated: bool, sends_start: bool) -> Habits:
    """Return habits by chance that make sense together."""
    naming = chance.choice(list(Naming))
    tells_times = chance.random() < 0.4
    can_date_it = tells_times or (dated and sends_start)
    tells_seconds = not can_date_it or chance.random() < 0.7
    return Habits(
        naming=naming,
        tells_seconds=tells_seconds,
        tells_times=tells_times,
        returns_class=chance.random() < 0.4,
        has_identifier=chance.random() < 0.5,
        addresses=chance.choice([ADDRESSES[:1], ADDRESSES[:2]]),
        unheard_seconds=chance.choice([None, None, 60]),
        two_sides=naming is Naming.GUID and chance.random() < 0.5,
        vendors=naming in BY_SESSION and chance.random() < 0.3,
        rewrites=naming is Naming.CALL_ID and chance.random() < 0.3,
        milliseconds=tells_seconds and not tells_times and chance.random() < 0.05,
    )
