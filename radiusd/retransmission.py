"""When to send a request again, and when to give up (RFC 5080 section 2.2.1). Pure: chance is given, too."""

from dataclasses import dataclass, replace

FIRST_SECONDS = 2.0
LONGEST_SECONDS = 16.0
SENT_MAX = 5
IN_ALL_SECONDS = 30.0
JITTER = 0.1
"""Chance is between minus and plus this part of each wait, so that many requests do not keep step."""


@dataclass(frozen=True, slots=True)
class Retransmission:
    """A request that was sent `sent` times since `began`, and is due again, or given up, at `due`."""

    began: float
    sent: int
    wait_seconds: float
    due: float

    def again(self, now: float, chance: float) -> "Retransmission | None":
        """Return how to go on after sending once more at *now*; None when it is time to give up."""
        if self.sent >= SENT_MAX or now >= self.began + IN_ALL_SECONDS:
            return None
        wait = (2 + chance) * self.wait_seconds
        if wait > LONGEST_SECONDS:
            wait = (1 + chance) * LONGEST_SECONDS
        due = min(now + wait, self.began + IN_ALL_SECONDS)
        return replace(self, sent=self.sent + 1, wait_seconds=wait, due=due)


def first(now: float, chance: float) -> Retransmission:
    """Return how to go on after sending for the first time at *now*."""
    wait = (1 + chance) * FIRST_SECONDS
    return Retransmission(now, 1, wait, now + wait)
