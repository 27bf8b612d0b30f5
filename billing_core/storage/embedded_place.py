"""Where the embedded database and its programs are: where they were asked for, or below ``/var/lib/radiusd``.

PostgreSQL does not run as root, and the user whom root runs it as may not reach a clone in the home of root.
No folder is opened for it and it gets no capability: what it cannot reach is put where it can.

==========================================  =====================================================
``/var/lib/radiusd/programs/<version>``     PostgreSQL's programs, a copy of the wheel's
``/var/lib/radiusd/databases/<name>``       the database of a directory that cannot be reached
==========================================  =====================================================
"""

import os
import shutil
import stat
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from billing_core.storage.embedded_cluster import shut_down
from billing_core.storage.embedded_files import ServerFiles, give, try_lock
from billing_core.storage.embedded_user import (
    DISTRIBUTION,
    WHEEL,
    EmbeddedServerError,
    ServerUser,
    installation,
)

STATE = Path("/var/lib/radiusd")


def place(directory: Path) -> Path:
    """Return where the database of *directory* is now, if there is one yet."""
    elsewhere = _elsewhere(directory)
    # Before a move has ended, the database is still where it was.
    return elsewhere if (elsewhere / "data").exists() else directory


def reachable_place(directory: Path, user: ServerUser) -> Path:
    """Return where *user* serves the database of *directory*; what it cannot reach is moved, once.

    Raises when the place cannot be made, or while another daemon serves what must be moved.
    """
    now = place(directory)
    if os.geteuid() != 0 or now != directory or user.enters(_nearest(directory)):
        return now
    elsewhere = _elsewhere(directory)
    _make(STATE, 0o711)
    _make(elsewhere.parent, 0o711)
    _make(elsewhere, 0o711, user)
    if (directory / "data").exists():
        _move(ServerFiles(directory), ServerFiles(elsewhere), user)
    return elsewhere


def reachable_programs(user: ServerUser) -> Path:
    """Return the folder of PostgreSQL's programs that *user* can run, copying them if it must be."""
    programs = installation()
    if user.runs(programs):
        return programs
    if os.geteuid() != 0:
        raise EmbeddedServerError(
            f"{programs}: user {user.name}, who runs the embedded database, cannot run PostgreSQL from this "
            "folder: install the program where that user can read, or set database.url"
        )
    wheel = STATE / "programs" / version(DISTRIBUTION)
    if not wheel.exists():
        _make(STATE, 0o711)
        _make(wheel.parent, 0o755)
        _copy_programs(programs, wheel)
    copy = wheel / programs.relative_to(programs.parents[1])
    if not user.runs(copy):
        raise EmbeddedServerError(
            f"{copy}: user {user.name} cannot run PostgreSQL from this folder: mount it without noexec and "
            "open it to that user, or set database.url"
        )
    return copy


def _elsewhere(directory: Path) -> Path:
    return STATE / "databases" / ServerFiles(directory).name


def _nearest(directory: Path) -> Path:
    """Return *directory*, or the nearest folder above it that is there."""
    return next(folder for folder in (directory, *directory.parents) if folder.exists())


def _make(folder: Path, mode: int, user: ServerUser | None = None) -> None:
    """Create a folder of root's, or *user*'s; raise when it is there and others may write to it."""
    owner = user.uid if user else 0
    try:
        folder.mkdir(mode=0o700, parents=folder == STATE)
        if user:
            give(folder, user)
        folder.chmod(mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise EmbeddedServerError(
            f"{folder}: cannot be made: {error.strerror}: make room there for the embedded database, "
            "or set database.url"
        ) from error
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & 0o022:
        raise EmbeddedServerError(
            f"{folder}: must be a folder that only user {user.name if user else 'root'} may write to: "
            "give it back (chown, chmod go-w), or set database.url"
        )


def _copy_programs(programs: Path, wheel: Path) -> None:
    """Copy *programs* and the libraries that they look for beside their package, to *wheel*."""
    packages = programs.parents[1]
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=wheel.parent))
    try:
        for part in (programs, *packages.glob(f"{WHEEL}.libs")):
            shutil.copytree(part, unfinished / "copy" / part.relative_to(packages), symlinks=True)
        _run("chmod", "-R", "u=rwX,go=rX", str(unfinished / "copy"))
        (unfinished / "copy").rename(wheel)
    except OSError as error:
        if not wheel.exists():  # Somebody else who started at the same time may have made it.
            raise EmbeddedServerError(
                f"{wheel}: PostgreSQL cannot be copied there: {error}: make room, or set database.url"
            ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _move(old: ServerFiles, new: ServerFiles, user: ServerUser) -> None:
    """Move a cluster; when it breaks off, the old one is as it was."""
    old.make_folders(user)
    keeper = old.open_lock("keeper", user)
    try:
        if not try_lock(keeper):
            raise EmbeddedServerError(
                f"{old.directory}: the daemon that serves this database is of an earlier version: restart it"
            )
        with old.locked("starting", user):
            if not old.data.exists():
                return
            shut_down(old)
            unfinished = new.new_cluster_folder(user)
            _run("cp", "--archive", "--no-target-directory", str(old.data), str(unfinished))
            _run("sync", "--file-system", str(unfinished))
            new.publish(unfinished)
            shutil.rmtree(old.data)
    finally:
        os.close(keeper)


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise EmbeddedServerError(
            f"the embedded database cannot be moved below {STATE}: {done.stdout.strip()}: "
            "make room there, or set database.url"
        )
