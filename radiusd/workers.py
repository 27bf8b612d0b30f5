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
from radiusd.readiness import Reason
from radiusd.scratch import SLOT
from radiusd.sockets import Listener
from radiusd.wire import Port

_STOP_SECONDS = 4.0
_RESTART_SECONDS = 1.0
_NO_PROCESS = (
    "give the machine memory, or raise its limits of processes and open files: it is tried each second"
)

log = structlog.get_logger()


class WorkerProcess:
    """One worker as its supervisor sees it."""

    def __init__(
        self,
        slot: int,
        rates: Path,
        listeners: list[Listener],
        streams: list[Socket],
        beacon: int,
        settings: int,
    ) -> None:
        """Execute the worker *slot* for these; no connection crosses, only sockets, pipes and shared memory.

        Raises OSError where the machine can't start another process.
        """
        self._slot = slot
        self.started_at = clock.monotonic_seconds()
        self.is_ready = False
        (self._status, status), (lifeline, self._lifeline) = _pipes()
        os.set_blocking(self._status, False)
        sockets = {
            port: [listener.socket.fileno() for listener in listeners if listener.port is port]
            for port in Port
        }
        command = [sys.executable, "-m", "radiusd.main", "--settings", str(settings)]
        command += ["--rates", str(rates)]
        command += ["--auth", *map(str, sockets[Port.AUTHENTICATION])]
        command += ["--acct", *map(str, sockets[Port.ACCOUNTING])]
        radsec = [stream.fileno() for stream in streams]
        command += ["--radsec", *map(str, radsec)]
        command += ["--status", str(status), "--lifeline", str(lifeline), "--beacon", str(beacon)]
        descriptors = [descriptor for group in (*sockets.values(), radsec) for descriptor in group]
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=(*descriptors, status, lifeline, beacon, settings),
                env={**os.environ, SLOT: f"worker{slot}"},
            )
        except OSError:
            os.close(self._status)
            os.close(self._lifeline)
            raise
        finally:
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
        """Give back the pipes of an ended worker, and what it alone measured."""
        os.close(self._status)
        os.close(self._lifeline)
        mark_process_dead(f"worker{self._slot}")  # type: ignore[no-untyped-call]

    def _hear(self) -> None:
        try:
            said = os.read(self._status, 4096)
        except BlockingIOError:
            return
        if said:
            self.is_ready = said.endswith(b"1")


def _pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """Return two pipes, or none. Raises OSError."""
    first = os.pipe()
    try:
        return first, os.pipe()
    except OSError:
        for descriptor in first:
            os.close(descriptor)
        raise


class Workers:
    """All workers; `restarts` counts those that had to be replaced."""

    def __init__(self, rates: Path, listening: Listening, beacon: int, settings: int) -> None:
        """Know what to execute; nothing is started yet.

        *beacon* and *settings* are descriptors of memory that every worker is given.
        """
        self._settings = settings
        self._rates = rates
        self._listening = listening
        self._beacon = beacon
        self._processes: list[WorkerProcess | None] = []
        self._refusal: str | None = None
        self._retry_at = 0.0
        self.restarts = 0

    def start(self) -> None:
        """Execute every worker."""
        self._processes = [None] * len(self._listening.groups)
        self.watch()

    def unready(self) -> list[Reason]:
        """Return which workers have not connected and loaded their catalogue, and why."""
        if not self._processes:
            return [Reason("workers", "starting", "none has been started yet")]
        return [
            self._reason(index, process)
            for index, process in enumerate(self._processes)
            if process is None or not process.is_ready
        ]

    def _reason(self, index: int, process: WorkerProcess | None) -> Reason:
        if process is None:
            return Reason(f"worker {index}", "not_started", self._refusal or "it is about to be started")
        detail = f"process {process.pid} has no database, or not all definitions yet"
        return Reason(f"worker {index}", "loading", detail)

    def watch(self) -> None:
        """Hear what workers say of themselves, and replace those that died."""
        for index, process in enumerate(self._processes):
            if process is not None and (status := process.ended()) is not None:
                process.is_ready = False
                # One that dies at once is not replaced at once, or the machine would do nothing else.
                if clock.monotonic_seconds() - process.started_at < _RESTART_SECONDS:
                    continue
                log.error("worker_died", pid=process.pid, status=status)
                process.close()
                self.restarts += 1
                self._processes[index] = None
            if self._processes[index] is None and clock.monotonic_seconds() >= self._retry_at:
                self._processes[index] = self._executed(index)

    def _executed(self, index: int) -> WorkerProcess | None:
        """Execute a worker; where the machine can't, say so once, and try again in a second."""
        groups, streams = self._listening.groups, self._listening.streams
        try:
            process = WorkerProcess(
                index, self._rates, groups[index], streams[index], self._beacon, self._settings
            )
        except (OSError, MemoryError) as error:
            if self._refusal is None:
                log.error("worker_not_started", worker=index, reason=str(error), cure=_NO_PROCESS)
            self._refusal = f"no process can be had for it: {error}"
            self._retry_at = clock.monotonic_seconds() + _RESTART_SECONDS
            return None
        self._refusal = None
        return process

    def reload(self) -> None:
        """Let every worker re-read NASes and limits."""
        for process in filter(None, self._processes):
            process.send(signal.SIGHUP)

    def stop(self) -> None:
        """End every worker after its turn; those that take too long are killed."""
        deadline = clock.monotonic_seconds() + _STOP_SECONDS
        running = [process for process in self._processes if process is not None]
        for process in running:
            process.send(signal.SIGTERM)
        for process in running:
            process.wait(deadline - clock.monotonic_seconds())
            process.close()
        self._processes = []
