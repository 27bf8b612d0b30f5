"""A line to PostgreSQL that can be cut, stalled, and cut exactly between a COMMIT and its answer."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from sqlalchemy.engine import make_url


class FaultProxy:
    """Forwards a TCP port of 127.0.0.1 to the server behind a URL."""

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self._folder = str(self._target.query["host"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lines: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._is_cut = False
        self._is_closed = False
        self._commits_to_swallow = 0
        self.swallowed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the same database through this line."""
        port = self._listener.getsockname()[1]
        return f"postgresql://{self._target.username}@127.0.0.1:{port}/{self._target.database}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        # A thread that waits in accept notices only a shutdown.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._flows.set()

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self._is_cut = True
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            for end in line:
                _hang_up(end)

    def stall(self) -> None:
        """Keep every connection and take new ones, but forward nothing."""
        self._flows.clear()

    def restore(self) -> None:
        """Work again."""
        self._is_cut = False
        self._flows.set()

    def swallow_commits(self, number: int) -> None:
        """Let the next COMMITs through, but cut the line in place of their answers."""
        self._commits_to_swallow = number

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                near.close()
                continue
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.connect(f"{self._folder}/.s.PGSQL.{self._target.query.get('port', 5432)}")
            with self._lock:
                self._lines.append((near, far))
            told = threading.Event()
            threading.Thread(target=self._forward, args=(near, far, told), daemon=True).start()
            threading.Thread(target=self._answer, args=(far, near, told), daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket, swallow: threading.Event) -> None:
        with suppress(OSError):
            while octets := near.recv(65_536):
                self._flows.wait()
                if self._commits_to_swallow and b"COMMIT" in octets:
                    self._commits_to_swallow -= 1
                    swallow.set()
                far.sendall(octets)
        _hang_up(far)

    def _answer(self, far: socket.socket, near: socket.socket, swallow: threading.Event) -> None:
        with suppress(OSError):
            while octets := far.recv(65_536):
                self._flows.wait()
                if swallow.is_set():
                    # The server answers when it has committed.
                    self.swallowed += 1
                    break
                near.sendall(octets)
        _hang_up(near)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
