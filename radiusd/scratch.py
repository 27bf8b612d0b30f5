"""The daemon's scratch folder, for metric files and compiled rates: gone with the daemon, however it ends."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SLOT = "RADIUSD_WORKER"
"""What the environment calls a worker's place among the workers, by which its metric files are named."""

_PREFIX = "radiusd-"
# Who lives holds a lock on this file. It has its name once it is locked, so that nobody finds it free before.
_OWNER = "owner.lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder of our own until the end of the block; those that dead daemons left are removed first."""
    remove_leftovers(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = os.open(folder / f"{_OWNER}.new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / f"{_OWNER}.new").rename(folder / _OWNER)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_leftovers(parent: Path) -> None:
    """Remove the scratch folders of our user in *parent* whose daemons are dead."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                continue
            lock = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
