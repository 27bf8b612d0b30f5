"""A bound on how long a turn waits for a database that neither answers nor fails.

The server's own timeouts help only while it answers, and the kernel's only while packets are lost: a server
that is stopped, or a proxy that swallows everything, keeps a connection alive and silent for ever.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from radiusd import clock

_LOOK_SECONDS = 0.1

log = structlog.get_logger()


class Watchdog:
    """Calls *cut*, from a thread of its own, when what is watched takes longer than *patience_seconds*."""

    def __init__(self, patience_seconds: float, cut: Callable[[], None]) -> None:
        """Watch nothing yet."""
        self._patience_seconds = patience_seconds
        self._cut = cut
        self._deadline: float | None = None
        threading.Thread(target=self._look, name="watchdog", daemon=True).start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch over a block; it costs no more than reading a clock."""
        self._deadline = clock.monotonic_seconds() + self._patience_seconds
        try:
            yield
        finally:
            self._deadline = None

    def _look(self) -> None:
        waiter = threading.Event()
        while not waiter.wait(_LOOK_SECONDS):
            deadline = self._deadline
            if deadline is not None and clock.monotonic_seconds() > deadline:
                log.error("database_silent", seconds=self._patience_seconds)
                self._deadline = None
                self._cut()
