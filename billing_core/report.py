"""An accounting record about one leg, as its switch tells it."""

from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from billing_core.call_name import is_own_name
from billing_core.session import Leg, leg_key


class Kind(Enum):
    """Acct-Status-Type: RFC 2866 section 5.1; Failed (15) is what SIP proxies send for a call that failed."""

    START = "start"
    INTERIM = "interim"
    STOP = "stop"
    FAILED = "failed"


_ENDINGS = (Kind.STOP, Kind.FAILED)


class Report(NamedTuple):
    """An accounting record about one leg, as its dialect reads it.

    `leg_keys` are the names under which its leg may be known, the best first. `event_at` is the
    record's own date, absent when it has none; `delay_seconds` how long it waited in the switch, 0 also
    when that was not told.
    A Start that `is_before_answer` was sent when the call began to be routed, and dates no answer.
    `tags` tell its dialog from others of one call id, in any order (both of SIP's, a channel); `call_type`
    is the side from which it is seen (telephony, VoIP). `linked` is the leg that our Class names, without
    a generation if it is of an older form. At a switch whose `numbers_change`, a number proves nothing;
    `overrun_is_charged` charges time that cannot be true, too.
    """

    kind: Kind
    nas: str
    nas_box: str
    leg: Leg
    leg_keys: tuple[bytes, ...]
    call_id: str
    session_id: str
    name: str | None
    ip: str | None
    calling: str
    called: str
    termination_address: str | None = None
    event_at: datetime | None = None
    delay_seconds: int = 0
    session_seconds: int | None = None
    setup_at: datetime | None = None
    connect_at: datetime | None = None
    disconnect_at: datetime | None = None
    disconnect_cause: str | None = None
    can_disconnect: bool = False
    is_before_answer: bool = False
    tags: tuple[str, ...] = ()
    call_type: str = ""
    linked: tuple[bytes, int | None] | None = None
    numbers_change: bool = False
    overrun_is_charged: bool = False
    nas_address: str = ""
    nas_source: str = ""
    is_delay_told: bool = False

    @property
    def further_key(self) -> bytes:
        """Return the leg's name if it proves to be another one beside the leg that is charged."""
        reference = self.call_id or self.session_id
        return leg_key(self.nas, reference, Leg.FURTHER, f"{self.leg.value}/{self.session_id}")

    @property
    def ends(self) -> bool:
        """Tell whether the record ends the leg."""
        return self.kind in _ENDINGS

    def implied_start_at(self, now: datetime) -> datetime:
        """Return when the call must have begun: the record's date less the duration it tells."""
        happened_at = self.event_at or now - timedelta(seconds=self.delay_seconds)
        return happened_at - timedelta(seconds=bounded(self.session_seconds))

    @property
    def tells_answer(self) -> bool:
        """Tell whether the record says that the call is answered."""
        return self.kind is Kind.INTERIM or (self.kind is Kind.START and not self.is_before_answer)

    @property
    def own_session_id(self) -> str:
        """Return the session id where it tells one conversation of the call id from another, else nothing."""
        return self.session_id if self.call_id and is_own_name(self.session_id, self.call_id) else ""


def bounded(seconds: int | None) -> int:
    """Return a number of seconds that dates can be reckoned with; garbage of a switch tells nothing."""
    return seconds if seconds is not None and seconds <= 10 * 365 * 86_400 else 0
