"""What the first user of the daemon alone may do, which may be root: read files, keep the embedded database.

Where the daemon becomes another user, a process stays behind that does this when it is asked to. It reads
nothing but those requests.
"""

import os
import pickle
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import structlog

from billing_core.admin.changes.apply import apply_files, require_acceptable_files
from billing_core.admin.output import CommandError
from billing_core.ports import DataRefusedError, StorageDownError
from billing_core.settings import SettingsError
from billing_core.storage.embedded import EmbeddedServerError
from billing_core.storage.schema import SchemaError, prepare
from radiusd import config
from radiusd.config import Config
from radiusd.database import database_name, embedded_server, owner_url, serving_url
from radiusd.handover import Handed
from radiusd.tls_files import TlsError, tls_files

_GONE = "the process that keeps the rights of root is gone: restart the daemon"
_LENGTH = struct.Struct("=Q")
# These are told in their own words; they cross as they are.
_EXPECTED = (
    CommandError,
    SettingsError,
    TlsError,
    EmbeddedServerError,
    StorageDownError,
    DataRefusedError,
    SchemaError,
    OSError,
)

log = structlog.get_logger()


class StewardError(Exception):
    """What was asked for can't be done; the message says why."""


class Kept(NamedTuple):
    """A database that was found or started: how it is reached, what people call it, and if it was moved."""

    url: str
    owner_url: str | None
    name: str
    moved_from: Path | None
    directory: Path | None


class Steward(Protocol):
    """Does what may take the rights of the first user."""

    def handed(self) -> Handed:
        """Read the settings anew. Raises SettingsError, TlsError."""

    def start_database(self) -> Kept:
        """Start the embedded database, if it is ours to keep. Raises EmbeddedServerError."""

    def ensure_database(self) -> bool:
        """Start it again if it has died; return whether that was necessary. Raises EmbeddedServerError."""

    def stop_database(self) -> None:
        """Stop it."""

    def prepare_database(self) -> str:
        """Bring schema and definitions up to date, and return the schema's version.

        Nothing is kept of a new schema before all files are accepted that the settings name.
        Raises what `prepare` and `apply_files` raise.
        """


class LocalSteward:
    """Does it at once, in this process."""

    def __init__(self, directory: Path, settings: Config) -> None:
        """Serve the daemon whose *settings* were read from *directory*."""
        self._directory = directory
        self._settings = settings
        self._database = embedded_server(settings)

    def handed(self) -> Handed:
        """Read the settings anew."""
        settings = config.load(self._directory, strict=True)
        return Handed(settings, tls_files(settings.radsec))

    def start_database(self) -> Kept:
        """Start the embedded database, if it is ours to keep."""
        database, moved_from, directory = self._database, None, None
        if database is not None:
            database.start()
            moved_from, directory = database.moved_from, database.files.directory
        settings = self._settings
        name = database_name(settings)
        return Kept(serving_url(settings), owner_url(settings), name, moved_from, directory)

    def ensure_database(self) -> bool:
        """Start it again if it has died."""
        return self._database is not None and self._database.ensure()

    def stop_database(self) -> None:
        """Stop it."""
        if self._database is not None:
            self._database.stop()

    def prepare_database(self) -> str:
        """Bring schema and definitions up to date, and return the schema's version."""
        files, url = self._settings.billing.apply_on_start, serving_url(self._settings)
        version = prepare(
            url, owner_url(self._settings), lambda connection: require_acceptable_files(connection, files)
        )
        if files:
            apply_files(url, files, who="radiusd", through="start", only_if_changed=True)
        return version


class DistantSteward:
    """Asks the process that stayed behind, and waits for what it says."""

    def __init__(self, line: socket.socket) -> None:
        """Ask over *line*."""
        self._line = line

    def handed(self) -> Handed:
        """Read the settings anew."""
        handed: Handed = self._asked("handed")
        return handed

    def start_database(self) -> Kept:
        """Start the embedded database, if it is ours to keep."""
        kept: Kept = self._asked("start_database")
        return kept

    def ensure_database(self) -> bool:
        """Start it again if it has died."""
        return bool(self._asked("ensure_database"))

    def stop_database(self) -> None:
        """Stop it."""
        self._asked("stop_database")

    def prepare_database(self) -> str:
        """Bring schema and definitions up to date, and return the schema's version."""
        return str(self._asked("prepare_database"))

    def _asked(self, what: str) -> Any:
        try:
            self._line.sendall(what.encode() + b"\n")
        except OSError as gone:
            raise StewardError(_GONE) from gone
        (length,) = _LENGTH.unpack(_received(self._line, _LENGTH.size))
        error, answer = pickle.loads(_received(self._line, length))
        if error is not None:
            raise error
        return answer


def left_behind(steward: LocalSteward) -> DistantSteward:
    """Let *steward* work in a process of its own, which keeps our rights; return who asks it."""
    ours, its = socket.socketpair()
    if os.fork() == 0:
        # It never goes on as the daemon, not even where that ends while an answer is under way.
        try:
            ours.close()
            _attend(steward, its)
        except OSError:
            pass
        finally:
            os._exit(0)
    its.close()
    return DistantSteward(ours)


def _attend(steward: LocalSteward, line: socket.socket) -> None:
    """Do what is asked for until nobody is there to ask."""
    # It ends after the daemon, whoever ends that; a terminal and a service manager tell all processes.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    requests: dict[str, Callable[[], object]] = {
        name: getattr(steward, name) for name in Steward.__dict__ if not name.startswith("_")
    }
    with line, line.makefile("rb") as asked:
        for what in asked:
            answer = _answer(requests[what.decode().strip()])
            line.sendall(_LENGTH.pack(len(answer)) + answer)


def _answer(request: Callable[[], object]) -> bytes:
    try:
        return pickle.dumps((None, request()))
    except _EXPECTED as error:
        return pickle.dumps((error, None))
    except Exception as error:
        log.exception("steward_failed", reason=str(error))
        return pickle.dumps((StewardError(f"{type(error).__name__}: {error}"), None))


def _received(line: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = line.recv(length - len(received))
        if not part:
            raise StewardError(_GONE)
        received += part
    return bytes(received)
