"""The worker processes: executed with their sockets, replaced when they die, ended in time."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from socket import socket as Socket  # noqa: N812 - a class with a small letter

import structlog
from prometheus_client.multiprocess import mark_process_dead

from radiusd import clock
from radiusd.listening import Listening
from radiusd.sockets import Listener
from radiusd.wire import Port

_STOP_SECONDS = 4.0
_RESTART_SECONDS = 1.0

log = structlog.get_logger()


class WorkerProcess:
    """One worker as its supervisor sees it."""

    def __init__(
        self, directory: Path, rates: Path, listeners: list[Listener], streams: list[Socket]
    ) -> None:
        """Execute a worker that serves these; no connection crosses, only sockets and two pipes."""
        self.started_at = clock.monotonic_seconds()
        self.is_ready = False
        self._status, status = os.pipe()
        lifeline, self._lifeline = os.pipe()
        os.set_blocking(self._status, False)
        sockets = {
            port: [listener.socket.fileno() for listener in listeners if listener.port is port]
            for port in Port
        }
        command = [sys.executable, "-m", "radiusd.main", "--config", str(directory)]
        command += ["--rates", str(rates)]
        command += ["--auth", *map(str, sockets[Port.AUTHENTICATION])]
        command += ["--acct", *map(str, sockets[Port.ACCOUNTING])]
        radsec = [stream.fileno() for stream in streams]
        command += ["--radsec", *map(str, radsec)]
        command += ["--status", str(status), "--lifeline", str(lifeline)]
        descriptors = [descriptor for group in (*sockets.values(), radsec) for descriptor in group]
        self._process = subprocess.Popen(command, pass_fds=(*descriptors, status, lifeline))
        os.close(status)
        os.close(lifeline)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def ended(self) -> int | None:
        """Return the exit status of a worker that has ended, None while it runs."""
        self._hear()
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait for the end; after *seconds* force it."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            log.error("worker_killed", pid=self.pid, reason="did not finish its turn in time")
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Give back the pipes and the metric files of an ended worker."""
        os.close(self._status)
        os.close(self._lifeline)
        mark_process_dead(self.pid)  # type: ignore[no-untyped-call]

    def _hear(self) -> None:
        try:
            said = os.read(self._status, 4096)
        except BlockingIOError:
            return
        if said:
            self.is_ready = said.endswith(b"1")


class Workers:
    """All workers; `restarts` counts those that had to be replaced."""

    def __init__(self, directory: Path, rates: Path, listening: Listening) -> None:
        """Know what to execute; nothing is started yet."""
        self._directory = directory
        self._rates = rates
        self._listening = listening
        self._processes: list[WorkerProcess] = []
        self.restarts = 0

    def start(self) -> None:
        """Execute every worker."""
        self._processes = [self._executed(index) for index in range(len(self._listening.groups))]

    def are_ready(self) -> bool:
        """Tell whether every worker has bound, connected and loaded its catalogue."""
        return bool(self._processes) and all(process.is_ready for process in self._processes)

    def watch(self) -> None:
        """Hear what workers say of themselves, and replace those that died."""
        for index, process in enumerate(self._processes):
            status = process.ended()
            if status is None:
                continue
            process.is_ready = False
            # One that dies at once is not replaced at once, or the machine would do nothing else.
            if clock.monotonic_seconds() - process.started_at < _RESTART_SECONDS:
                continue
            log.error("worker_died", pid=process.pid, status=status)
            process.close()
            self.restarts += 1
            self._processes[index] = self._executed(index)

    def _executed(self, index: int) -> WorkerProcess:
        listening = self._listening
        return WorkerProcess(self._directory, self._rates, listening.groups[index], listening.streams[index])

    def reload(self) -> None:
        """Let every worker re-read NASes and limits."""
        for process in self._processes:
            process.send(signal.SIGHUP)

    def stop(self) -> None:
        """End every worker after its turn; those that take too long are killed."""
        deadline = clock.monotonic_seconds() + _STOP_SECONDS
        for process in self._processes:
            process.send(signal.SIGTERM)
        for process in self._processes:
            process.wait(deadline - clock.monotonic_seconds())
            process.close()
        self._processes = []
