"""Whether calls can be served: every worker has loaded, and the database has just kept something for us.

No traffic is needed to find out. The supervisor commits a small row each second, and shares with its workers
until when that is believed, so that Status-Server says the same as /readyz.
"""

import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

COMMIT_SECONDS = 1.0
BELIEVED_SECONDS = 3.0
"""A commit proves for so long that the next one will be kept, too."""

_MOMENT = struct.Struct("=d")


class Reason(NamedTuple):
    """Why we are not ready: which `part` (database, worker 0 …), in which `state`, and words for people."""

    part: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """Ready where there is no reason not to be."""

    reasons: tuple[Reason, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Tell whether calls can be served."""
        return not self.reasons


def readiness(
    database: Reason | None, committed_at: float | None, workers: Iterable[Reason], now: float
) -> Readiness:
    """Return whether all is ready, *now* and *committed_at* in seconds of the monotonic clock.

    *database* is what is known to be wrong with it; without that, a commit that is missing is.
    """
    is_kept = committed_at is not None and now - committed_at < BELIEVED_SECONDS
    if not is_kept and database is None:
        last = "none was taken yet" if committed_at is None else f"the last {now - committed_at:.0f} s ago"
        database = Reason("database", "silent", f"it takes no commit: {last}")
    return Readiness((*([] if is_kept or database is None else [database]), *workers))


class Beacon:
    """The moment until which all is ready, in memory that the supervisor shares with its workers.

    It goes out by itself when nobody lights it any more, so that a supervisor that hangs is no lie.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """Open what the supervisor handed over as *descriptor*, or make a new one, which is out."""
        self.descriptor = os.memfd_create("radiusd-ready") if descriptor is None else descriptor
        if descriptor is None:
            os.ftruncate(self.descriptor, _MOMENT.size)
        self._memory = mmap.mmap(self.descriptor, _MOMENT.size)

    def light(self, until: float) -> None:
        """Say that all is ready until that second of the monotonic clock; 0 puts it out."""
        _MOMENT.pack_into(self._memory, 0, until)

    def is_lit(self, now: float) -> bool:
        """Tell whether all is ready *now*."""
        until: float = _MOMENT.unpack_from(self._memory)[0]
        return now < until
