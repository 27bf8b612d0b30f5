"""The user that the daemon becomes: whatever reads the network runs as it, and not as root."""

import grp
import os
import pwd
import subprocess
import sys
from typing import NamedTuple

from radiusd.config import Config


class ServantError(Exception):
    """We can't become the user of the settings; the message says why, and the cure."""


class Servant(NamedTuple):
    """A user of this machine, its group, and its home."""

    name: str
    uid: int
    gid: int
    home: str


def servant(settings: Config) -> Servant | None:
    """Return the user to become; None where none is named, or we are that user. Raises ServantError."""
    if settings.user is None:
        return None
    found = pwd.getpwnam(settings.user)
    gid = found.pw_gid if settings.group is None else grp.getgrnam(settings.group).gr_gid
    if os.geteuid() == found.pw_uid and gid in (os.getegid(), *os.getgroups()):
        return None
    if os.geteuid() != 0:
        raise ServantError(
            f'only root may become another user or group: start the daemon as root or as "{settings.user}",'
            " or take user and group out of radiusd.toml"
        )
    return Servant(settings.user, found.pw_uid, gid, found.pw_dir)


def become(servant: Servant) -> None:
    """Give up what root may, for good: this process and all that it starts are *servant*'s."""
    os.initgroups(servant.name, servant.gid)
    os.setresgid(servant.gid, servant.gid, servant.gid)
    os.setresuid(servant.uid, servant.uid, servant.uid)
    # What looks for files there, as libpq does for certificates, may not enter that of root.
    os.environ.update(HOME=servant.home, USER=servant.name, LOGNAME=servant.name)


def require_program(servant: Servant) -> None:
    """Make sure that *servant* can run this program, as workers will. Raises ServantError."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", "import radiusd.worker"],
            user=servant.uid,
            group=servant.gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
    except OSError as error:
        raise _unreachable(servant, str(error.strerror)) from error
    if tried.returncode:
        raise _unreachable(servant, (tried.stderr.strip().splitlines() or ["it does not start"])[-1])


def _unreachable(servant: Servant, reason: str) -> ServantError:
    return ServantError(
        f'user "{servant.name}" can\'t run this program with {sys.executable} ({reason}): install it where'
        " that user may read, such as below /opt, and not in a home that is closed"
    )
