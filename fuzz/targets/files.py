"""Files for the targets that read files: one in a folder of its own, written anew for each input."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from billing_core.settings import SettingsError


@cache
def folder() -> Path:
    """Return a folder that is gone when the program ends, in memory where that can be had."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def written(name: str, octets: bytes) -> Path:
    """Return the path of a file that holds *octets*."""
    path = folder() / name
    path.write_bytes(octets)
    return path


def check_faults(error: SettingsError, lines: int) -> None:
    """Assert that every fault of a file of so many *lines* is told with its place, in words."""
    assert error.faults
    for fault in error.faults:
        assert 0 <= fault.line <= lines, f"{fault}: there are {lines} lines"
        assert fault.message
    str(error).encode()
