"""The one process that starts everything, watches it, and ends it in order.

It opens all sockets once and hands them to the workers it executes; it keeps them when a worker dies,
so that nothing sent meanwhile is lost. It alone starts, watches and stops the embedded database.
"""

import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from socket import socket as Socket  # noqa: N812 - a class with a small letter

import structlog

from billing_core.ports import StorageDownError
from billing_core.settings import SettingsError
from billing_core.storage.connection import connect
from billing_core.storage.embedded import EmbeddedServerError
from billing_core.storage.pulse import trouble_of
from billing_core.storage.url import database_url
from radiusd import clock
from radiusd.chores import start_chores
from radiusd.disconnect import Disconnector
from radiusd.gauges import SupervisorGauges
from radiusd.handover import Handed, Handover
from radiusd.heartbeat import CURES, Heartbeat
from radiusd.http import HttpServer
from radiusd.listening import Listening
from radiusd.own_ports import own_ports
from radiusd.readiness import BELIEVED_SECONDS, Beacon, Readiness, Reason, readiness
from radiusd.steward import Steward
from radiusd.tls_files import TlsError
from radiusd.workers import Workers

_TICK_SECONDS = 0.2
_RETRY_SECONDS = 1.0

log = structlog.get_logger()


class Supervisor:
    """The daemon as a whole."""

    def __init__(
        self,
        directory: Path,
        handed: Handed,
        rates: Path,
        listening: Listening,
        http: Socket,
        steward: Steward,
    ) -> None:
        """Serve by what was *handed* to us, at open sockets; *steward* does what it alone may.

        *directory* has the settings, and in *rates* workers keep compiled rate tables.
        """
        self._directory = directory
        self._handed = handed
        self._settings = settings = handed.settings
        self._listening = listening
        self._steward = steward
        beacon = Beacon()
        self._handover = Handover()
        self._workers = Workers(rates, listening, beacon.descriptor, self._handover.descriptor)
        self._disconnector = Disconnector(settings.nas, settings.radius.listen)
        self._gauges = SupervisorGauges(self._workers, self._disconnector.outcomes)
        self._heartbeat = Heartbeat(lambda: self._kept.url)
        self._beacon = beacon
        self._stage: Reason | None = Reason("database", "starting", "the daemon has just begun")
        self._http = HttpServer(http, self._readiness, self._gauges, settings.http.hosts)
        self._is_announced = False
        self._ensure_at = 0.0
        self._stopping = threading.Event()
        self._reload = threading.Event()

    def run(self) -> None:
        """Serve until TERM or INT."""
        signal.signal(signal.SIGTERM, lambda *_: self._stopping.set())
        signal.signal(signal.SIGINT, lambda *_: self._stopping.set())
        signal.signal(signal.SIGHUP, lambda *_: self._reload.set())
        for fault in self._settings.undecided:
            log.error("nas_undecided", fault=str(fault))
        try:
            self._prepare_database()
            if not self._stopping.is_set():
                self._workers.start()
                threading.Thread(
                    target=self._heartbeat.run, args=[self._stopping], name="heartbeat", daemon=True
                ).start()
                start_chores(
                    self._kept, self._gauges, self._disconnector, self._keep_refusals_days, self._stopping
                )
                self._watch()
        finally:
            self._workers.stop()
            self._http.close()
            self._steward.stop_database()
            log.info("stopped")

    def _prepare_database(self) -> None:
        """Start the embedded database or wait for the other, and bring schema and definitions up to date."""
        self._kept = kept = self._steward.start_database()
        if kept.moved_from:
            log.warning("database_moved", source=str(kept.moved_from), target=str(kept.directory))
        self._handover.put(self._handed_on(self._handed))
        while not self._stopping.is_set():
            try:
                connect(self._kept.url, application="radiusd").close()
                break
            except StorageDownError as error:
                log.error("database_down", reason=str(error))
                self._stage = Reason("database", trouble_of(error).value, str(error))
                self._stopping.wait(_RETRY_SECONDS)
        else:
            return
        self._stage = Reason("database", "migrating", "its tables are brought to this version")
        version = self._steward.prepare_database()
        log.info("schema", version=version)
        if not self._settings.billing.apply_on_start:
            log.info("definitions_not_applied", cure="`billing apply`, or billing.apply_on_start")
        self._stage = None

    def _watch(self) -> None:
        """Look after everything, round after round; one that fails is told, and the next one tries again."""
        failed: str | None = None
        while not self._stopping.wait(_TICK_SECONDS):
            try:
                self._look()
                failed = None
            except Exception as error:
                if str(error) != failed:
                    log.exception("watch_failed", reason=str(error))
                failed = str(error)

    def _look(self) -> None:
        """Make one round: workers, readiness, a reload that was asked for, the embedded database."""
        self._workers.watch()
        ready = self._readiness().is_ready
        committed_at = self._heartbeat.committed_at
        self._beacon.light(committed_at + BELIEVED_SECONDS if ready and committed_at is not None else 0.0)
        if ready and not self._is_announced:
            self._is_announced = True
            self._announce()
        if self._reload.is_set():
            self._reload.clear()
            self._check_and_reload()
        if clock.monotonic_seconds() >= self._ensure_at:
            self._ensure_at = clock.monotonic_seconds() + _RETRY_SECONDS
            self._ensure_database()

    def _ensure_database(self) -> None:
        """Start the embedded database again if it has died; where it can't be, say why, once."""
        try:
            if self._steward.ensure_database():
                log.error("database_restarted")
            self._stage = None
        except (EmbeddedServerError, OSError) as error:
            trouble, reason = trouble_of(error), " ".join(str(error).split())
            if self._stage is None:
                log.error("database_not_restarted", trouble=trouble, reason=reason, cure=CURES[trouble])
            self._stage = Reason("database", trouble.value, reason)

    def _readiness(self) -> Readiness:
        """Return whether calls can be served, and else why not."""
        return readiness(
            self._stage or self._heartbeat.trouble,
            self._heartbeat.committed_at,
            self._workers.unready(),
            clock.monotonic_seconds(),
        )

    def _check_and_reload(self) -> None:
        """Let the workers re-read NASes and limits, unless the settings have a fault."""
        try:
            handed = self._steward.handed()
        except SettingsError as error:
            log.error("reload_refused", faults=[str(fault) for fault in error.faults])
            return
        except TlsError as error:
            log.error("reload_refused", faults=[str(error)])
            return
        settings = handed.settings
        if own_ports(settings.nas) != self._listening.own:
            fault = "nas.auth_port and nas.acct_port take a restart: ports are opened at the start only"
            log.error("reload_refused", faults=[fault])
            return
        self._settings = settings
        self._disconnector.use(settings.nas)
        self._handover.put(self._handed_on(handed))
        self._workers.reload()

    def _handed_on(self, handed: Handed) -> Handed:
        """Return what workers are given: they need not know how the database is kept, only where it is."""
        settings = handed.settings
        database = settings.database.model_copy(update={"url": database_url(self._kept.url)})
        return handed._replace(settings=replace(settings, database=database))

    def _keep_refusals_days(self) -> int:
        return self._settings.limits.keep_refusals_days

    def _announce(self) -> None:
        """Say on one line that calls can come, and how to try one."""
        program = Path(sys.argv[0])
        command = program if program.exists() and program.name == "radiusd" else "radiusd"
        example = f"{command} call --config {self._directory} --account 1001 --to 390612345678"
        is_secure = self._settings.radsec.certificate is not None
        radsec = f" radsec {self._listening.radsec_port}/tcp," if is_secure else ""
        sys.stdout.write(
            f"radiusd ready: authentication {self._listening.auth_port}/udp,"
            f" accounting {self._listening.acct_port}/udp, http {self._http.port}/tcp,{radsec}"
            f" database {self._kept.name}; place a test call with: {example}\n"
        )
        sys.stdout.flush()
