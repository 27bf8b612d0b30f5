"""Files, locks and processes of one embedded database.

======================  ==========================================================================
``<directory>/data``    the cluster; it appears complete or not at all
``<directory>/run``     log, lock files and, where its path is short enough, the Unix socket
``~/.radiusd/<name>``   the socket of a directory whose path is too long for one; for root below
                        ``/var/lib/radiusd/sockets``
======================  ==========================================================================

All of them have mode 0700, and none lies in a folder where others may write. Existing folders are never
changed. Locks are advisory locks of the kernel, so they vanish with the process that holds them. A server's
processes are known by the cluster name in their titles, readable for everybody; a process id in a file proves
nothing.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from billing_core.storage.embedded_user import EmbeddedServerError, ServerUser, user_name

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"

# sockaddr_un.sun_path has 108 bytes, the last of them NUL.
SOCKET_PATH_MAX = 107

UNFINISHED = "data.unfinished-"
_SOCKETS = Path("/var/lib/radiusd/sockets")


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Where the database in *directory* (absolute, symbolic links resolved) keeps what it needs."""

    directory: Path

    @property
    def name(self) -> str:
        """The cluster's name, which follows from the directory and differs from any other's."""
        return "billing-" + hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]

    @property
    def data(self) -> Path:
        """The cluster, which exists only when it is complete."""
        return self.directory / "data"

    @property
    def run(self) -> Path:
        """The folder of log and locks."""
        return self.directory / "run"

    @property
    def log(self) -> Path:
        """PostgreSQL's own messages."""
        return self.run / "postgresql.log"

    @property
    def socket_folder(self) -> Path:
        """The folder of the Unix socket, which PostgreSQL and its clients call the host."""
        fits = len(os.fsencode(self.run / SOCKET)) <= SOCKET_PATH_MAX
        # The daemon and the commands must agree without asking each other, whatever their environments.
        return self.run if fits else _short_folder(self.name) / self.name

    def owner(self) -> int | None:
        """Return the id of the user whose database this is, None when there is none yet."""
        owners = map(_owner, (self.data, self.run, self.directory))
        return next((uid for uid in owners if uid is not None), None)

    def make_folders(self, user: ServerUser) -> None:
        """Create, for *user*, the folders that are missing; raise when one that exists is not his alone."""
        make_parents(self.directory)
        make_folder(self.directory, user)
        for folder in (self.run, self.socket_folder):
            make_parents(folder)
            make_folder(folder, user)
            require_private(folder, user)

    def new_cluster_folder(self, user: ServerUser) -> Path:
        """Return a new folder in which to prepare a cluster; earlier unfinished ones are removed."""
        for unfinished in self.directory.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        # The name is new: an initdb whose daemon was killed may still be writing to the old one.
        folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.directory))
        give(folder, user)
        return folder

    def publish(self, cluster: Path) -> None:
        """Make the finished *cluster* the data, surviving a power failure from here on."""
        cluster.rename(self.data)
        folder = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def processes(self) -> list[int]:
        """Return the ids of all living PostgreSQL processes of this database, orphaned ones included."""
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and self._serves(entry)]

    def main_process(self) -> int | None:
        """Return the id of the server's main process, None when its file names some other process."""
        pid = _first_line(self.data / "postmaster.pid")
        return int(pid) if pid.isdigit() and self._serves(pid) else None

    def _serves(self, pid: str) -> bool:
        """Tell by title and owner, so that no process of anybody else is ever taken for ours."""
        try:
            title = Path("/proc", pid, "cmdline").read_bytes()
            owner = Path("/proc", pid).stat().st_uid
            if owner == 0 or owner != self.data.stat().st_uid:
                return False
        except OSError:
            return False
        program = title.partition(b"\0")[0]
        # The main process shows its command line, its children show "postgres: <cluster name>: <role>".
        is_postgres = program.endswith(b"/postgres") or program.startswith(b"postgres: ")
        return is_postgres and self.name.encode() in title

    def is_privileged(self) -> bool:
        """Tell whether the server's main process may pass permissions, as earlier versions let it."""
        with suppress(OSError):
            status = Path("/proc", str(self.main_process()), "status").read_text()
            return any(line.startswith("CapEff:") and int(line[7:], 16) for line in status.splitlines())
        return False

    def remove_stale_files(self) -> None:
        """Remove the files by which PostgreSQL would take any living process for its predecessor.

        Call only when nothing answers and ``processes`` is empty. PostgreSQL's own guard against two servers
        on one directory, the shared memory keyed by the folder's inode, stays in force.
        """
        for leftover in (self.data / "postmaster.pid", self.socket_folder / f"{SOCKET}.lock"):
            leftover.unlink(missing_ok=True)

    def last_messages(self) -> str:
        """Return the end of PostgreSQL's log for an error message."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
        return "(no log)"

    def open_lock(self, name: str, user: ServerUser) -> int:
        """Open the lock file *name*; one that root creates is given to *user*, who must lock it too."""
        path = self.run / f"{name}.lock"
        with suppress(FileExistsError):
            created = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if os.geteuid() == 0:
                os.fchown(created, user.uid, user.gid)
            return created
        # The folder is the user's: root must not follow where a link of his leads.
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)

    def empty_lock(self, name: str, user: ServerUser) -> None:
        """Remove what is noted in the lock file *name*."""
        lock = self.open_lock(name, user)
        os.ftruncate(lock, 0)
        os.close(lock)

    @contextmanager
    def locked(self, name: str, user: ServerUser) -> Iterator[None]:
        """Hold the lock *name* alone, waiting for it."""
        lock = self.open_lock(name, user)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def try_lock(lock: int) -> bool:
    """Take the open *lock* alone, unless somebody else holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_parents(folder: Path) -> None:
    """Create the folders above *folder* that are missing, so that the server's user passes them."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    for parent in missing:
        parent.chmod(0o755)


def make_folder(folder: Path, user: ServerUser) -> None:
    """Create *folder* for *user* alone, unless it exists: then it is left as it is."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    give(folder, user)


def give(folder: Path, user: ServerUser) -> None:
    """Make *user* the owner of *folder*, which we have just created."""
    if os.geteuid() == 0:
        os.chown(folder, user.uid, user.gid, follow_symlinks=False)


def require_private(folder: Path, user: ServerUser) -> None:
    """Raise unless *folder* is a real folder that only *user* can enter: anybody who can is trusted."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user.uid or status.st_mode & 0o077:
        raise EmbeddedServerError(
            f"{folder}: belongs to user {user_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):o}, "
            f"but the embedded database needs a folder of user {user.name} with mode 700: "
            "remove it (it holds no data), or set another database.directory"
        )


def _short_folder(name: str) -> Path:
    """Return the folder with a short path in which this user has the folder *name* to itself."""
    # Where root began, and has become an ordinary user, that one finds what root has made.
    if os.geteuid() == 0 or _owner(_SOCKETS / name) == os.geteuid():
        return _SOCKETS
    return Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".radiusd"


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except (FileNotFoundError, PermissionError):
        return None


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0].strip()
    except OSError:
        return ""
