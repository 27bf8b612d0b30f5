"""The embedded database: a real PostgreSQL beside the daemon, for machines without a server of their own.

Two roles use it. The daemon's supervisor *keeps* it::

    server = EmbeddedServer(directory)
    server.start()        # takes over a server that a killed daemon left behind
    server.ensure()       # every second: restarts a server that was killed
    server.stop()

A command *borrows* it, beside a daemon or without one::

    with borrow(directory) as server:
        create_engine(server.url())

A borrower starts a server only when none answers; the last borrower to leave stops one that borrowers
started, unless a daemon has taken it over. Whether a server is there is found out by connecting to it.
Linux only.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from fcntl import LOCK_SH, flock
from pathlib import Path

import psycopg2
from sqlalchemy.engine import URL

from billing_core.storage.embedded_access import SERVING_ROLE, SUPERUSER, admit
from billing_core.storage.embedded_cluster import (
    POLL_SECONDS,
    create_cluster,
    launch,
    send,
    shut_down,
)
from billing_core.storage.embedded_files import PORT, ServerFiles, try_lock
from billing_core.storage.embedded_place import place, reachable_place, reachable_programs
from billing_core.storage.embedded_user import EmbeddedServerError, ServerUser, choose_user

__all__ = ["EmbeddedServer", "EmbeddedServerError", "borrow"]

DATABASE = "billing"
CONNECT_TIMEOUT_SECONDS = 2
PREDECESSOR_TIMEOUT_SECONDS = 60.0

# Noted in the borrowers' lock file until a daemon takes the server over.
STARTED_BY_BORROWER = b"started by a borrower"


class EmbeddedServer:
    """The PostgreSQL server of one directory, as its keeper sees it.

    *settings* are added to those of ``embedded_cluster`` (tests switch fsync off). A method that cannot do
    what it says raises ``EmbeddedServerError``. `moved_from` is where the database was until just now, if it
    had to be moved.
    """

    def __init__(
        self, directory: Path, settings: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        """Name the server of *directory*; nothing is created or started yet.

        *user* is as whom root runs it; None is its owner, or one of the usual.
        """
        self._directory = directory.resolve()
        self.files = ServerFiles(place(self._directory))
        self.moved_from: Path | None = None
        self._settings = dict(settings or {})
        self._user = user
        self._keeper: int | None = None

    def url(self, database: str = DATABASE, role: str = SUPERUSER) -> str:
        """Return the SQLAlchemy URL of *database* through the Unix socket; it is known before the start."""
        query = {"host": str(self.files.socket_folder), "port": str(PORT)}
        url = URL.create("postgresql+psycopg2", username=role, database=database, query=query)
        return url.render_as_string(hide_password=False)

    def serving_url(self) -> str:
        """Return the URL by which turns and commands connect: by a role that can't rewrite the ledger."""
        return self.url(role=SERVING_ROLE)

    def answers(self) -> bool:
        """Tell whether the server takes a connection now."""
        try:
            self._connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    @property
    def pid(self) -> int | None:
        """The id of the server's main process, None when it does not run."""
        return self.files.main_process()

    def alive(self) -> bool:
        """Tell whether the server's main process lives; it may be too busy to answer."""
        return self.pid is not None

    def start(self) -> None:
        """Keep the server from now on: adopt the one that answers or start it, and create the database."""
        user = self._prepare()
        with self.files.locked("starting", user):
            keeper = self._become_keeper(user)
            try:
                self.files.empty_lock("borrowers", user)
                if self.files.is_privileged():
                    shut_down(self.files)
                self._bring_up(user)
            except BaseException:
                os.close(keeper)
                raise
        self._keeper = keeper

    def ensure(self) -> bool:
        """Start the server again if it has died; return whether that was necessary."""
        if self.alive():
            return False
        user = self._prepare()
        with self.files.locked("starting", user):
            self._bring_up(user)
        return True

    def stop(self) -> None:
        """Stop the server, ending its connections, if this object keeps it; otherwise do nothing."""
        if self._keeper is None:
            return
        with self.files.locked("starting", self._prepare()):
            shut_down(self.files)
            os.close(self._keeper)
            self._keeper = None

    def _connect(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host=str(self.files.socket_folder),
            port=PORT,
            user=SUPERUSER,
            dbname="postgres",
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
        )

    def _prepare(self) -> ServerUser:
        """Find out who serves this directory, and create the folders that are missing."""
        if not Path("/proc/self/cmdline").exists():
            raise EmbeddedServerError(
                "the embedded database needs Linux with /proc mounted: set database.url"
            )
        user = choose_user(self._directory, self.files.owner(), self._user)
        before, existed = self.files, self.files.data.exists()
        files = self.files = ServerFiles(reachable_place(self._directory, user))
        if existed and files != before:
            self.moved_from = before.directory
        try:
            files.make_folders(user)
        except OSError as error:
            raise EmbeddedServerError(
                f"{files.directory}: cannot hold the embedded database: {error}: "
                "set database.directory to a folder that can, or set database.url"
            ) from error
        if files.data.exists() and files.data.stat().st_uid == 0:
            raise EmbeddedServerError(
                f"{files.data}: belongs to root, as whom PostgreSQL refuses to run: "
                f"give it to another user (chown -R {user.name}), or set database.url"
            )
        return user

    def _become_keeper(self, user: ServerUser) -> int:
        """Return the keeper's lock, which the kernel releases in whatever way this process ends."""
        keeper = self.files.open_lock("keeper", user)
        if not try_lock(keeper):
            other = os.pread(keeper, 20, 0).decode(errors="replace")
            os.close(keeper)
            raise EmbeddedServerError(
                f"{self.files.directory}: another daemon (process {other}) keeps this embedded database: "
                "stop it first, or set another database.directory"
            )
        os.ftruncate(keeper, 0)
        os.pwrite(keeper, str(os.getpid()).encode(), 0)
        return keeper

    def _bring_up(self, user: ServerUser) -> None:
        """Make the server answer and have its database and its roles; the lock ``starting`` is held."""
        if not self._predecessor_answers():
            programs = reachable_programs(user)
            if not self.files.data.exists():
                create_cluster(self.files, user, programs)
            admit(self.files, user)
            launch(self.files, user, programs, self._settings)
        else:
            admit(self.files, user)
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (SERVING_ROLE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {SERVING_ROLE} LOGIN")

    def _predecessor_answers(self) -> bool:
        """Wait while processes of an earlier server live; return whether it came to answer."""
        deadline = time.monotonic() + PREDECESSOR_TIMEOUT_SECONDS
        while not self.answers():
            left = self.files.processes()
            if not left:
                return False
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"{self.files.directory}: PostgreSQL's processes {left} hold the embedded database "
                    f"but do not answer: read {self.files.log}, end them with kill -QUIT and start again"
                )
            if not self.alive():
                # Backends whose main process was killed finish their statement first, however long it is.
                send(signal.SIGQUIT, left)
            time.sleep(POLL_SECONDS)
        return True

    def _is_kept(self, user: ServerUser) -> bool:
        """Tell whether a daemon keeps the server."""
        keeper = self.files.open_lock("keeper", user)
        try:
            return not try_lock(keeper)
        finally:
            os.close(keeper)


@contextmanager
def borrow(directory: Path) -> Iterator[EmbeddedServer]:
    """Use the server of *directory* for a while, starting one only when none answers.

    A server started so is stopped by the last borrower to leave, unless a daemon keeps it by then. Any other
    server is left running.
    """
    server = EmbeddedServer(directory)
    files, user = server.files, server._prepare()
    borrowers = files.open_lock("borrowers", user)
    try:
        with files.locked("starting", user):
            flock(borrowers, LOCK_SH)
            if not server.answers():
                server._bring_up(user)
                os.pwrite(borrowers, STARTED_BY_BORROWER, 0)
        yield server
    finally:
        with files.locked("starting", user):
            last = try_lock(borrowers)
            if last and os.pread(borrowers, 1, 0) and not server._is_kept(user):
                shut_down(files)
            os.close(borrowers)
