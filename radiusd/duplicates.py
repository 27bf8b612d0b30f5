"""The duplicate cache: a retransmission gets the first answer again and is never processed twice.

RFC 5080 section 2.2.2. A key says where a request came from and how it was numbered: source address, source
port, receiving port, code, identifier. Two requests with one key are the same request when their Request
Authenticators agree too; otherwise the sender has given up the older one and reuses its number.

Only authentic requests may be shown to the cache, and no Status-Server, which is never answered from it
(RFC 5997 section 4.1). Time is passed in, in seconds of a monotonic clock.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Final

EXTENDED_LIFETIME_SECONDS: Final = 30.0
"""The longest RFC 5080 lets an answer be repeated, counted from when it was first given."""
LIFETIME_SECONDS_MIN: Final = 5.0


class Admission(Enum):
    """What to do with a request that has no answer yet."""

    FRESH = "fresh"
    """New: process it, then call `answer` or `forget`."""
    IN_FLIGHT = "in_flight"
    """A copy of one being processed: drop it silently."""


@dataclass(frozen=True, slots=True)
class Resend:
    """A copy of an answered request: send the first answer again, octet for octet."""

    reply: bytes


@dataclass(slots=True)
class _Answered:
    authenticator: bytes
    reply: bytes
    expires_at: float
    latest_expiry_at: float


class DuplicateCache:
    """Requests being processed and answers given, bounded in number and octets, oldest out first."""

    def __init__(
        self,
        lifetime_seconds: float = 10.0,
        entries_max: int = 65_536,
        octets_max: int = 32 * 1024 * 1024,
    ) -> None:
        """Keep an answer for *lifetime_seconds*, 5 to 30 (RFC 5080), within the two bounds.

        *octets_max* counts the replies; at their usual size *entries_max* is met first.
        """
        if not LIFETIME_SECONDS_MIN <= lifetime_seconds <= EXTENDED_LIFETIME_SECONDS:
            raise ValueError(
                f"duplicate cache: a lifetime of {lifetime_seconds} seconds; RFC 5080 wants 5 to 30"
            )
        self._lifetime_seconds = lifetime_seconds
        self._entries_max = entries_max
        self._octets_max = octets_max
        self._octets = 0
        self._in_flight: OrderedDict[Hashable, bytes] = OrderedDict()
        self._answered: OrderedDict[Hashable, _Answered] = OrderedDict()

    def __len__(self) -> int:
        """Return how many requests are remembered, with or without an answer."""
        return len(self._in_flight) + len(self._answered)

    @property
    def octets(self) -> int:
        """The size of all answers kept."""
        return self._octets

    def admit(self, key: Hashable, authenticator: bytes, now: float) -> Admission | Resend:
        """Say whether a request is new, and take note of it; a new one takes over the key of an older one."""
        if self._in_flight.get(key) == authenticator:
            return Admission.IN_FLIGHT
        answered = self._answered.get(key)
        if answered is not None:
            if answered.authenticator == authenticator and now < answered.expires_at:
                answered.expires_at = min(now + self._lifetime_seconds, answered.latest_expiry_at)
                self._answered.move_to_end(key)
                return Resend(answered.reply)
            self._drop_answer(key)
        self._in_flight.pop(key, None)
        self._in_flight[key] = authenticator
        self._make_room(now)
        return Admission.FRESH

    def answer(self, key: Hashable, authenticator: bytes, reply: bytes, now: float) -> bool:
        """Remember the answer to an admitted request; False if it must not be sent.

        That is when the sender has meanwhile reused the number for another request: what was done stays done,
        but nobody waits for this answer any more.
        """
        if not self.forget(key, authenticator):
            return False
        self._answered[key] = _Answered(
            authenticator, reply, now + self._lifetime_seconds, now + EXTENDED_LIFETIME_SECONDS
        )
        self._octets += len(reply)
        self._make_room(now)
        return True

    def forget(self, key: Hashable, authenticator: bytes) -> bool:
        """Let a request that got no answer be processed afresh when it comes again; False if superseded."""
        if self._in_flight.get(key) != authenticator:
            return False
        del self._in_flight[key]
        return True

    def _make_room(self, now: float) -> None:
        """Drop expired answers, then the oldest ones, then the oldest request still without an answer."""
        in_flight, answered = self._in_flight, self._answered
        while answered and (
            next(iter(answered.values())).expires_at <= now
            or len(in_flight) + len(answered) > self._entries_max
            or self._octets > self._octets_max
        ):
            self._drop_answer(next(iter(answered)))
        if len(in_flight) + len(answered) > self._entries_max:
            in_flight.popitem(last=False)

    def _drop_answer(self, key: Hashable) -> None:
        self._octets -= len(self._answered.pop(key).reply)
