"""What takes place at a switch: attempts to call, and the conversations that come of them."""

from dataclasses import dataclass, field
from math import inf

from invites import Invite
from market import Way

from billing_core.session import Leg, LegId, leg_key


@dataclass(slots=True, eq=False)
class Dialog:
    """One conversation that took place: `seconds` is how long it was talked, None while it goes on."""

    attempt: "Attempt"
    number: str
    to_tag: str
    session_id: str
    answered_at: float
    seconds: int | None = None
    ended_at: float = inf

    @property
    def client_id(self) -> int:
        """Return who talks."""
        return self.attempt.invite.client_id


@dataclass(slots=True, eq=False)
class Attempt:
    """One invite as its switch carries it. Its packets were under way from `began_at` to `quiet_at`."""

    invite: Invite
    nas: str
    call_id: str
    session_id: str
    way: Way
    number: str
    began_at: float
    quiet_at: float = inf
    pending: int = 0
    guesses: int = 0
    accepted_at: float | None = None
    granted_seconds: int = 0
    linked: LegId | None = None
    legs: set[LegId] = field(default_factory=set)
    over: bool = False
    numbers: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    dialogs: list[Dialog] = field(default_factory=list)

    @property
    def key(self) -> bytes:
        """Return the name of its origination leg."""
        return leg_key(self.nas, self.call_id, Leg.ORIGINATION)
