"""A connection whose exchanges have a bound as a whole, however slowly the other side goes on answering.

A time-out of the socket bounds each read alone: who sends an octet a second would never meet it.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Line:
    """Opens one connection at a time; `seconds` are for a whole exchange, opening it included.

    Looking a name up is left to the system's resolver and its own time-outs.
    """

    def __init__(self, seconds: float) -> None:
        """Open nothing yet."""
        self._seconds = seconds
        self._ends_at = 0.0
        self._same: socket.socket | None = None
        self._lock = threading.Lock()
        self.was_cut = False

    @contextmanager
    def exchange(self) -> Iterator[None]:
        """Cut the connection when this block takes longer; what it waits for then fails at once."""
        self.was_cut = False
        self._ends_at = time.monotonic() + self._seconds
        timer = threading.Timer(self._seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def open(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Return a connection to *address*, a name or number and a port; raise OSError."""
        failed: OSError = OSError("the name has no address")
        for family, kind, protocol, _name, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            opened = socket.socket(family, kind, protocol)
            try:
                opened.settimeout(max(0.001, self._ends_at - time.monotonic()))
                opened.connect(place)
                opened.settimeout(self._seconds)
                self._keep(opened)
            except OSError as error:
                opened.close()
                failed = error
            else:
                return opened
        raise failed

    def close(self) -> None:
        """Let go of the connection; whoever has it closes it."""
        with self._lock:
            if self._same is not None:
                self._same.close()
                self._same = None

    def _keep(self, opened: socket.socket) -> None:
        """Keep a second descriptor of it: TLS takes the first one away and gives another object."""
        self.close()
        with self._lock:
            if self.was_cut:
                raise TimeoutError
            self._same = opened.dup()

    def _cut(self) -> None:
        with self._lock:
            self.was_cut = True
            if self._same is not None:
                with suppress(OSError):
                    self._same.shutdown(socket.SHUT_RDWR)
