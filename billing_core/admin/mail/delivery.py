"""What came of handing something over to whoever sends it on."""

from dataclasses import dataclass

_REASON_MAX = 300


@dataclass(frozen=True, slots=True)
class Sent:
    """The other side has taken it."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now; try again later. `is_away` tells that the other side takes nothing at all at present."""

    reason: str
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Never like this: trying again would change nothing."""

    reason: str


Outcome = Sent | Deferred | Refused


def one_line(text: bytes | str) -> str:
    """Return what another program said, fit to be kept and shown: one line of bounded length."""
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(told.split())[:_REASON_MAX]
