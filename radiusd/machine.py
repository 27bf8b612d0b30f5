"""What the daemon needs of its machine before it begins: a clock that was set, and room for its files."""

import resource
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from radiusd.config import Config
from radiusd.connections import CONNECTIONS_MAX
from radiusd.own_ports import own_ports

HTTP_CONNECTIONS_MAX: Final = 32
"""So many at once has the HTTP port, which shares the supervisor's open files."""

# No record is older than this program; a machine whose clock was never set begins in 1970.
_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
# Log, database, metrics, rates and whatever Python opens for a moment.
_OTHER_FILES = 64
# PostgreSQL fills files up to this size before it begins another.
_FILE_OCTETS = 1 << 30


class MachineError(Exception):
    """The machine lacks something; the message names the figures and the remedy."""


def await_clock(
    now: Callable[[], datetime], tell: Callable[[str], None], pause: Callable[[], object]
) -> None:
    """Wait until the clock has been set, and *tell* once that it was not: at boot it may be set later."""
    moment = now()
    if moment >= _EARLIEST:
        return
    tell(
        f"the clock of this machine says {moment:%Y-%m-%d %H:%M} UTC; set it: records and prices go by it."
        " The daemon waits until then"
    )
    while now() < _EARLIEST:
        pause()


def check(settings: Config) -> None:
    """Make sure that *settings* can be served here, and take as many open files as we may and need.

    Raises MachineError.
    """
    needed = _files_needed(settings)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _is_below(hard, needed):
        raise MachineError(
            f"radius.workers = {settings.radius.workers} takes {needed} open files, and a process may have"
            f" {hard} here: raise that (ulimit -Hn, LimitNOFILE= of systemd), or have fewer workers"
        )
    if _is_below(soft, needed):
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if settings.database.url is None and _is_below(largest, _FILE_OCTETS):
        raise MachineError(
            f"a file may have {largest} octets here, and the embedded database writes files of"
            f" {_FILE_OCTETS}: raise that (ulimit -f unlimited, LimitFSIZE= of systemd)"
        )


def _files_needed(settings: Config) -> int:
    """Return how many files the supervisor or a worker has open at most, whichever has more."""
    is_secure = settings.radsec.certificate is not None
    sockets = len(settings.radius.listen) * ((3 if is_secure else 2) + len(own_ports(settings.nas)))
    # And two pipes to each worker.
    of_the_supervisor = settings.radius.workers * (sockets + 2) + HTTP_CONNECTIONS_MAX
    of_a_worker = sockets + (CONNECTIONS_MAX if is_secure else 0)
    return max(of_the_supervisor, of_a_worker) + _OTHER_FILES


def _is_below(limit: int, needed: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < needed
