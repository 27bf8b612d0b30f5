"""The supervisor's own commits, one a second: they find out whether the database keeps what we give it."""

import threading
from collections.abc import Callable

import structlog

from billing_core.ports import DataRefusedError, StorageDownError, TurnConflictError
from billing_core.storage.pulse import Pulse, Trouble, trouble_of
from radiusd import clock
from radiusd.readiness import COMMIT_SECONDS, Reason
from radiusd.watchdog import Watchdog

_PATIENCE_SECONDS = 3.0
# Every so many commits it is found out whether tables may grow; on a full disk with every one.
_ROOM_BEATS = 5

CURES = {
    Trouble.AWAY: "start it, or see that database.url and the network lead there",
    Trouble.FULL: "free space on its disk: it goes on by itself",
    Trouble.READ_ONLY: "see the kernel's log for a failing disk and mount it writable,"
    " or name the primary server in database.url",
    Trouble.STARTING: "wait: it recovers what it had committed",
    Trouble.EXHAUSTED: "give its machine memory, or raise its limits of processes and open files:"
    " it goes on by itself",
    Trouble.REFUSING: "see the login, its rights and max_connections of the server",
}

log = structlog.get_logger()


class Heartbeat:
    """Commits in a thread of its own. `committed_at` is the last commit by the monotonic clock.

    `trouble` is what keeps the database from taking one, None while nothing does.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        """Name the database, whose URL may be known by its start only; nothing is committed yet."""
        self._pulse = Pulse(url)
        self._watchdog = Watchdog(_PATIENCE_SECONDS, self._pulse.cut)
        self._beats = 0
        self.committed_at: float | None = None
        self.trouble: Reason | None = None

    def run(self, stopping: threading.Event) -> None:
        """Commit each second until *stopping*."""
        while not stopping.is_set():
            self.beat()
            stopping.wait(COMMIT_SECONDS)
        self._pulse.close()

    def beat(self) -> None:
        """Commit once; tell of trouble when it comes, changes and goes."""
        began = clock.monotonic_seconds()
        is_full = self.trouble is not None and self.trouble.state == Trouble.FULL
        self._beats += 1
        try:
            with self._watchdog.watching():
                self._pulse.beat(with_room=is_full or self._beats % _ROOM_BEATS == 1)
        except TurnConflictError:
            return  # Another daemon's commit was first.
        except (StorageDownError, DataRefusedError) as error:
            self._note(trouble_of(error), str(error))
        else:
            self.committed_at = began
            if self.trouble is not None:
                log.info("database_back")
            self.trouble = None

    def _note(self, trouble: Trouble, words: str) -> None:
        reason = Reason("database", trouble.value, " ".join(words.split()))
        if self.trouble is None or self.trouble.state != reason.state:
            log.error("database_down", trouble=trouble.value, reason=reason.detail, cure=CURES[trouble])
        self.trouble = reason
