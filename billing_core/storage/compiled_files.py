"""Large rate tables as a worker uses them: mapped files, written once for all by a short-lived process.

The directory belongs to one daemon and ends with it.
"""

import fcntl
import json
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from billing_core.compiled_rates import CompiledRates
from billing_core.storage.rates_compiler import Order, path_of

_LOOK_SECONDS = 0.05


class CompiledFiles:
    """The files of one directory, and the process that is writing some, if we started one."""

    def __init__(self, directory: Path, url: str, on_failure: Callable[[str], None]) -> None:
        """Compile the database at *url* into *directory*; what fails is told *on_failure* and tried again."""
        self._directory = directory
        self._url = url
        self._on_failure = on_failure
        self._process: subprocess.Popen[bytes] | None = None

    def find(self, table_id: int, changed_in: int) -> CompiledRates | None:
        """Return a table's rates if they are compiled; they outlive the file."""
        try:
            with path_of(self._directory, table_id, changed_in).open("rb") as file:
                return CompiledRates(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        except FileNotFoundError:
            return None

    def is_compiling(self) -> bool:
        """Tell whether a process that we started is at work; if it failed, tell why."""
        if self._process is None:
            return False
        status = self._process.poll()
        if status is None:
            return True
        reason = self._forget()
        if status:
            self._on_failure(reason or f"the compiler of rate tables ended with status {status}")
        return False

    def compile(self, tables: Sequence[tuple[int, int]]) -> None:
        """See to it that *tables*, each its id and version, get compiled: by us, or by whoever already does.

        The first of them was not found: else it would be compiled twice.
        """
        if self.is_compiling():
            return
        lock = os.open(self._directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            # The new process holds the lock, by the descriptor it inherits, exactly as long as it lives.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path_of(self._directory, *tables[0]).exists():
                self._process = self._started(tables, lock)
        except BlockingIOError:
            pass  # Another worker's process is compiling.
        finally:
            os.close(lock)

    def remove_before(self, table_id: int, changed_in: int) -> None:
        """Remove a table's earlier files: who has mapped one keeps it, and nobody else will want it."""
        for path in self._directory.glob(f"{table_id}-*.rates"):
            if int(path.stem.partition("-")[2]) < changed_in:
                path.unlink(missing_ok=True)

    def pause(self) -> None:
        """Let some time pass, when there is nothing to do but to wait for a file."""
        threading.Event().wait(_LOOK_SECONDS)

    def close(self) -> None:
        """End the process that is at work."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def _forget(self) -> str:
        """Let go of a process that has ended, and return what it said."""
        assert self._process is not None
        assert self._process.stderr is not None
        with self._process.stderr as said:
            self._process = None
            return said.read().decode(errors="replace").strip()

    def _started(self, tables: Sequence[tuple[int, int]], lock: int) -> "subprocess.Popen[bytes]":
        order = Order(self._url, str(self._directory), list(tables))
        process = subprocess.Popen(
            [sys.executable, "-m", "billing_core.storage.rates_compiler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(lock,),
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps(asdict(order)).encode())
        return process
