"""Whole commands of `billing`, each a process of its own: how long it took, and how large it grew."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds of the clock and of its own processor time, and the most memory."""

    seconds: float
    processor_seconds: float
    peak_mib: float


def billing(directory: Path, *words: str) -> Cost:
    """Run `billing` without its output, and return what it took; end this program if it fails."""
    command = [str(Path(sys.executable).with_name("billing")), "--config", str(directory), *words]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"billing {' '.join(words)} failed")
    seconds = time.perf_counter() - began
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
