"""A leg under way, and what is known of it so far."""

from datetime import datetime
from decimal import Decimal
from enum import Enum, IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Protocol

from billing_core.facts import Facts
from billing_core.money import ZERO
from billing_core.rate_table import Rate

LegId = tuple[bytes, int]
"""What identifies a leg: its key and its generation."""


class Leg(Enum):
    """The side of a call: the client brings us the origination, a vendor completes the termination.

    A further leg is the same conversation seen from another side (telephony beside VoIP); it is recorded,
    not charged.
    """

    ORIGINATION = "origination"
    TERMINATION = "termination"
    FURTHER = "further"


class State(IntEnum):
    """RESERVED: accepted, not heard of since. ACTIVE: under way. The others hold nothing.

    RELEASED: its reservation ran out before it was heard of. CLOSED: ended; final for the state,
    not for the sum, since later facts still correct the charge. A leg whose time cannot be true keeps its
    money, not its place, until somebody decides.
    """

    RESERVED = 0
    ACTIVE = 1
    RELEASED = 2
    CLOSED = 3

    @property
    def is_open(self) -> bool:
        """Tell whether the leg holds capacity and perhaps money."""
        return self <= State.ACTIVE


_HEARD = (State.ACTIVE, State.CLOSED)


# What every packet makes is a named tuple: a frozen dataclass of as many fields takes five times as long.
class Session(NamedTuple):
    """One leg of one call: who pays, at which pinned rate, what is reserved and what is posted.

    `leg_key` names the call on one side, as its switch does; `generation` numbers the legs of that name,
    several of which may be open at once. `tags` tell its dialog from others, `asked_session_id` is the
    session that its question named, `session_id` the one that its records name. `questions` counts those
    accepted for it that may have been of several conversations; `asked` are numbers that it was accepted
    for before, as JSON text (see `asked_numbers`). `call_type` is the side that its records see it from.
    `counted` tells that it holds capacity. `account_id`,
    `client_id` and `rate` are absent for a leg that nobody could be found for. `rated_for` is the
    moment for which `rate` was chosen, absent when authorization pinned it. `look_at` is when
    the sweep should look at the leg again; `closed_at` is absent exactly while it is open.
    `reserved` pays a call of `reserved_seconds`. Amounts are in `currency`. `decision` is what
    deciding saw, or what a leg nobody was found for may later be recognised by, as JSON text.
    `nas_box`, `nas_address` and `nas_source` name the device (see `Device`).
    `decided_seconds` is what somebody decided to charge for time that cannot be true.
    """

    leg_key: bytes
    generation: int
    nas: str
    nas_box: str
    leg: Leg
    state: State
    call_id: str
    session_id: str
    calling: str
    called: str
    client_id: int | None
    account_id: int | None
    opened_at: datetime
    look_at: datetime
    last_heard_at: datetime
    currency: str | None = None
    rate: Rate | None = None
    rated_for: datetime | None = None
    authorized_at: datetime | None = None
    credit_time_seconds: int | None = None
    reserved: Decimal = ZERO
    posted: Decimal = ZERO
    revision: int = 0
    closed_at: datetime | None = None
    estimated: bool = False
    reserved_seconds: int | None = None
    decision: str | None = None
    tags: tuple[str, ...] = ()
    asked_session_id: str = ""
    call_type: str = ""
    questions: int = 0
    asked: str | None = None
    nas_address: str = ""
    nas_source: str = ""
    decided_seconds: int | None = None
    facts: Facts = Facts()

    @property
    def id(self) -> LegId:
        """Return what identifies the leg."""
        return self.leg_key, self.generation

    @property
    def is_heard(self) -> bool:
        """Tell whether a record is known of it."""
        return self.state in _HEARD

    @property
    def has_only_failed(self) -> bool:
        """Tell whether nothing but a failure was heard of an ended leg."""
        facts = self.facts
        return self.state is State.CLOSED and facts.failed and not (facts.stopped or facts.answered)

    @property
    def is_bound(self) -> bool:
        """Tell whether a record has bound it: a failed try says nothing of the conversation after it."""
        return self.is_heard and not self.has_only_failed

    @property
    def counted(self) -> bool:
        """Tell whether the leg holds a place of its client's capacity."""
        return self.state.is_open and self.client_id is not None and self.leg is not Leg.FURTHER

    def released(self, now: datetime) -> "Session":
        """Return the session as one that gave back what it held before it was heard of."""
        return self._replace(state=State.RELEASED, reserved=ZERO, closed_at=now)

    def elapsed_seconds(self, now: datetime) -> int:
        """Return how long an open leg can have lasted: since its first Accept, or since its first record.

        An answer that was not told of yet may have come at once.
        """
        return max(0, int((now - self.opened_at).total_seconds())) if self.state.is_open else 0


class Device(Protocol):
    """What names the device of a switch that sent a record: its NAS-Identifier, its address, its source.

    Each is empty where it is not told, or tells nothing (a loopback address).
    """

    @property
    def nas_box(self) -> str:
        """Return its NAS-Identifier."""

    @property
    def nas_address(self) -> str:
        """Return its NAS-IP-Address or NAS-IPv6-Address."""

    @property
    def nas_source(self) -> str:
        """Return where the packet came from."""


def is_same_device(one: Device, other: Device) -> bool:
    """Tell whether two records are of one device: no name that both carry differs, and one is equal.

    Where they came from counts only where neither carries a name.
    """
    names = [(one.nas_box, other.nas_box), (one.nas_address, other.nas_address)]
    told = [(mine, others) for mine, others in names if mine and others]
    if not any(mine or others for mine, others in names):
        told = [(one.nas_source, other.nas_source)] if one.nas_source else []
    return bool(told) and all(mine == others for mine, others in told)


# Question, Start and Stop name the same call.
@lru_cache(maxsize=4096)
def leg_key(nas: str, reference: str, leg: Leg, detail: str = "") -> bytes:
    """Return the 16 octets that name a call on one side.

    *reference* is the call's name at that NAS, as its dialect says; *detail* is the termination
    address of a termination leg, or the session id of a further leg.
    """
    side = leg.value
    # Each part goes with its length, so that no two different names run together into one.
    name = f"{len(nas)}:{nas}{len(reference)}:{reference}{len(side)}:{side}{len(detail)}:{detail}"
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
