"""A leg under way, and what is known of it so far."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum, IntEnum
from hashlib import blake2b

from billing_core.money import DEFAULT_ROUNDING, ZERO, Rounding
from billing_core.rate_table import Rate


class Leg(Enum):
    """The side of a call: the client brings us the origination, a vendor completes the termination.

    A further leg stands beside one of these (telephony beside VoIP); it is recorded, not charged.
    """

    ORIGINATION = "origination"
    TERMINATION = "termination"
    FURTHER = "further"


class State(IntEnum):
    """RESERVED: accepted, not heard of since. ACTIVE: under way. The others hold nothing.

    RELEASED: its reservation ran out before it was heard of. CLOSED: ended; final for the state,
    not for the sum, since later facts still correct the charge.
    """

    RESERVED = 0
    ACTIVE = 1
    RELEASED = 2
    CLOSED = 3

    @property
    def is_open(self) -> bool:
        """Tell whether the leg holds capacity and perhaps money."""
        return self <= State.ACTIVE


@dataclass(frozen=True, slots=True)
class Facts:
    """What accounting told of a leg. Facts only accumulate, so their order cannot matter.

    `*_at` without event are what the switch dated itself; `start_event_at` and `stop_event_at`
    are the dates of the Start and Stop records. Seconds are durations since the answer.
    """

    setup_at: datetime | None = None
    connect_at: datetime | None = None
    disconnect_at: datetime | None = None
    start_event_at: datetime | None = None
    stop_event_at: datetime | None = None
    known_seconds: int = 0
    stop_seconds: int | None = None
    stopped: bool = False
    failed: bool = False
    disconnect_cause: str | None = None

    @property
    def ended(self) -> bool:
        """Tell whether a Stop or a Failed record was received."""
        return self.stopped or self.failed

    def duration_seconds(self, rounding: Rounding = DEFAULT_ROUNDING) -> int | None:
        """Return how long the call was answered, or None when the records do not tell.

        The session time of a Stop wins wherever it is present; a Failed record alone means zero.
        """
        if self.stop_seconds is not None:
            return self.stop_seconds
        if self.stopped and self.connect_at and self.disconnect_at:
            return rounding.whole_seconds(self.disconnect_at - self.connect_at)
        if self.stopped and self.start_event_at and self.stop_event_at:
            return rounding.whole_seconds(self.stop_event_at - self.start_event_at)
        return 0 if self.failed else None


@dataclass(frozen=True, slots=True)
class Session:
    """One leg of one call: who pays, at which pinned rate, what is reserved and what is posted.

    `leg_key` and `generation` identify it. `counted` tells that it holds capacity. `account_id`,
    `client_id` and `rate` are absent for a leg that nobody could be found for. `rated_for` is the
    moment for which `rate` was chosen, absent when authorization pinned it. `look_at` is when
    the sweep should look at the leg again; `closed_at` is absent exactly while it is open.
    `reserved` pays a call of `reserved_seconds`. Amounts are in `currency`. `decision` is what
    deciding saw, or what a leg nobody was found for may later be recognised by, as JSON text.
    `earlier_began_at` and `earlier_ended_at` are when the generation before began and ended, by the
    switch's own clock.
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
    earlier_began_at: datetime | None = None
    earlier_ended_at: datetime | None = None
    facts: Facts = field(default_factory=Facts)

    @property
    def counted(self) -> bool:
        """Tell whether the leg holds a place of its client's capacity."""
        return self.state.is_open and self.client_id is not None and self.leg is not Leg.FURTHER

    def released(self, now: datetime) -> "Session":
        """Return the session as one that gave back what it held before it was heard of."""
        return replace(self, state=State.RELEASED, reserved=ZERO, closed_at=now)

    def elapsed_seconds(self, now: datetime) -> int:
        """Return how long a call under way can have lasted: 0 while it was not heard of."""
        if self.state is not State.ACTIVE:
            return 0
        return max(0, int((now - self.opened_at).total_seconds()))


def leg_key(nas: str, reference: str, leg: Leg, detail: str = "") -> bytes:
    """Return the 16 octets that identify a leg.

    *reference* is the call's name at that NAS, as its dialect says; *detail* is the termination
    address of a termination leg, or the session id of a further leg.
    """
    parts = (nas, reference, leg.value, detail)
    # Each part goes with its length, so that no two different names run together into one.
    name = "".join([f"{len(part)}:{part}" for part in parts])
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
