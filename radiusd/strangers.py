"""One line a minute about who has no business here: it is mostly a switch that nobody has told us of.

A line for each would let anybody fill the disk, so it tells of the latest and how many there were.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, ParamSpec

import structlog

INTERVAL_SECONDS: Final = 60.0

P = ParamSpec("P")

log = structlog.get_logger()


class Stranger(NamedTuple):
    """Where something came from, and to which port of ours; `advice` is how its owner could make it known."""

    source: str
    source_port: int
    port: int
    advice: str


def unknown_address(source: tuple[str, int], port: int) -> Stranger:
    """Return one whose address is of no NAS."""
    advice = f'if it is a switch of yours, add a [[nas]] with address = "{source[0]}", and reload'
    return Stranger(*source, port, advice)


def not_its_port(source: tuple[str, int], port: int, nas: str, owner: str) -> Stranger:
    """Return a NAS at a port that is another's alone."""
    advice = f"UDP port {port} is of NAS {owner} alone: let NAS {nas} send to the shared ports, or its own"
    return Stranger(*source, port, advice)


def unknown_certificate(source: tuple[str, int], port: int, names: tuple[str, ...]) -> Stranger:
    """Return one whose certificate is of no NAS that may come from its address."""
    advice = f'if it is a switch of yours, set certificate = "{names[0]}" in its [[nas]], and its address'
    return Stranger(*source, port, advice)


class Strangers:
    """Counts them; tells of the first at once, and of the latest once a minute."""

    def __init__(self) -> None:
        """Know of none."""
        self._latest: Callable[[], Stranger] | None = None
        self._count = 0
        self._silent_until = 0.0

    def note(self, of: Callable[P, Stranger], *told: P.args, **named: P.kwargs) -> None:
        """Count one more, whom *of* describes once it is told of: most of a flood never are."""
        self._latest = lambda: of(*told, **named)
        self._count += 1

    def tell(self, now: float) -> None:
        """Write the line if it is due, *now* in seconds of a monotonic clock."""
        if self._latest is None or now < self._silent_until:
            return
        log.warning("stranger", **self._latest()._asdict(), count=self._count)
        self._latest, self._count = None, 0
        self._silent_until = now + INTERVAL_SECONDS
