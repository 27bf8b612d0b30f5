"""The embedded database's cluster: how it is made, its settings, how it is started and ended."""

import os
import shlex
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from billing_core.storage.embedded_access import SUPERUSER
from billing_core.storage.embedded_files import PORT, ServerFiles
from billing_core.storage.embedded_user import EmbeddedServerError, ServerUser

# C.UTF-8 is PostgreSQL's own: it sorts by code point on every machine, yet knows upper and lower case.
INITDB_OPTIONS = (
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth=peer",
    f"--username={SUPERUSER}",
)

# Given on the command line, so that a cluster made by an earlier version runs with today's settings.
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    # Log files are used again rather than made anew, which holds up every commit for tens of milliseconds.
    "min_wal_size": "1GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Starts, stops and crashes only, for the file is never rotated; the daemon logs failed statements.
    "log_min_messages": "log",
    "log_checkpoints": "off",
}

START_TIMEOUT_SECONDS = 300  # Recovery after a crash replays up to max_wal_size.
STOP_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05


def create_cluster(files: ServerFiles, user: ServerUser, programs: Path) -> None:
    """Make the cluster of *files*, which has none; an attempt that fails or is killed leaves none either."""
    unfinished = files.new_cluster_folder(user)
    made = user.run(str(programs / "bin" / "initdb"), f"--pgdata={unfinished}", *INITDB_OPTIONS)
    if made.returncode:
        raise EmbeddedServerError(
            f"{files.directory}: initdb failed as user {user.name}: {made.stdout.strip()}"
        )
    files.publish(unfinished)


def launch(files: ServerFiles, user: ServerUser, programs: Path, settings: Mapping[str, str]) -> None:
    """Start PostgreSQL in a session of its own, out of the terminal's reach, and wait until it is ready."""
    files.remove_stale_files()
    every_setting = {
        **SETTINGS,
        **settings,
        "cluster_name": files.name,
        "unix_socket_directories": f'"{files.socket_folder}"',
    }
    started = user.run(
        str(programs / "bin" / "pg_ctl"),
        "start",
        "--wait",
        f"--timeout={START_TIMEOUT_SECONDS}",
        f"--pgdata={files.data}",
        f"--log={files.log}",
        # pg_ctl hands its options to a shell.
        f"--options={shlex.join(f'-c{name}={value}' for name, value in every_setting.items())}",
    )
    if started.returncode:
        raise EmbeddedServerError(
            f"{files.directory}: the embedded database did not start as user {user.name}; "
            f"{files.log} ends with:\n{files.last_messages()}"
        )


def shut_down(files: ServerFiles) -> None:
    """End the server and its connections; what was committed is kept in either way of ending."""
    # PostgreSQL's fast shutdown writes everything out; the immediate one leaves that to the next start.
    for how in (signal.SIGINT, signal.SIGQUIT):
        main_process = files.main_process()
        if main_process is None:
            return
        send(how, [main_process])
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while files.processes() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def send(how: signal.Signals, processes: Sequence[int]) -> None:
    """Send the signal *how* to *processes*; those that have just ended are passed over."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, how)
