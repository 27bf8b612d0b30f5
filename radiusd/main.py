"""The composition root of a worker: builds every object once, by hand, and runs the turns.

The supervisor executes it as `python -m radiusd.main`, with the sockets it opened.
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from billing_core.catalogue import Catalogue
from billing_core.charging import Charging
from billing_core.ports import StorageDownError
from billing_core.settings_file import SettingsError
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.postgres import PostgresStorage
from billing_core.sweep import OnSilence, Sweep
from radiusd import config, logs, sockets
from radiusd.config import Config
from radiusd.database import serving_url
from radiusd.duplicates import DuplicateCache
from radiusd.metrics import Metrics
from radiusd.nas import NasTable
from radiusd.protocol import Protocol
from radiusd.wire import Port
from radiusd.worker import Worker

log = structlog.get_logger()


class Service:
    """A worker with all that a reload may replace."""

    def __init__(self, directory: Path, settings: Config, listeners: list[sockets.Listener]) -> None:
        """Build a worker for *settings*, which were read from *directory*."""
        self._directory = directory
        self._nas_table = settings.nas
        catalogue = Catalogue()
        limits = settings.limits.calls
        storage = PostgresStorage(serving_url(settings), "radiusd")
        self.reader = CatalogueReader(catalogue)
        self.storage = storage
        self._charging = Charging(storage, catalogue, limits)
        self._sweep = Sweep(storage.turn, catalogue, limits, self._on_silence)
        self._protocol = Protocol(settings.nas, DuplicateCache())
        self.worker = Worker(
            listeners,
            self._protocol,
            storage,
            self.reader,
            self._charging,
            self._sweep,
            Metrics(),
            batch_max=settings.radius.batch_max,
            sweep_seconds=settings.limits.sweep_seconds,
        )

    def reload(self) -> None:
        """Take over NASes and limits from the settings file: all of them, or with any fault none."""
        try:
            settings = config.load(self._directory)
        except SettingsError as error:
            log.error("reload_refused", faults=[str(fault) for fault in error.faults])
            return
        self._nas_table = self._protocol.nas_table = settings.nas
        self._charging.limits = self._sweep.limits = settings.limits.calls
        self.worker.sweep_seconds = settings.limits.sweep_seconds
        log.info("reloaded", nas=len(settings.nas))

    def _on_silence(self, name: str) -> OnSilence:
        return on_silence(self._nas_table, name)


def on_silence(nas_table: NasTable, name: str) -> OnSilence:
    """Return the policy of the NAS of that name; one that is gone from the settings gets the default."""
    for nas in nas_table:
        if nas.name == name:
            return OnSilence(nas.on_silence)
    return OnSilence.CHARGE_KNOWN


def main() -> None:
    """Run a worker until SIGTERM."""
    arguments = _arguments()
    settings = config.load(arguments.config)
    logs.configure(settings.log.level, settings.log.format)
    listeners = [
        sockets.inherited(descriptor, port)
        for port, descriptors in (
            (Port.AUTHENTICATION, arguments.auth),
            (Port.ACCOUNTING, arguments.acct),
        )
        for descriptor in descriptors
    ]
    service = Service(arguments.config, settings, listeners)
    wake = _on_signals(service)
    _announce_when_ready(service, arguments.ready)
    service.worker.run(wake)
    service.storage.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="radiusd worker")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--auth", type=int, nargs="+", required=True)
    parser.add_argument("--acct", type=int, nargs="+", required=True)
    parser.add_argument("--ready", type=int, required=True)
    return parser.parse_args()


def _announce_when_ready(service: Service, descriptor: int) -> None:
    """Load the catalogue, then tell the supervisor; without a database start all the same."""
    try:
        service.reader.read_all(service.storage.connection())
        service.worker.is_ready = True
    except StorageDownError as error:
        log.error("database_down", reason=str(error))
    # The catalogue lives as long as the process: never look through it for garbage.
    gc.collect()
    gc.freeze()
    os.write(descriptor, b"ready\n")
    os.close(descriptor)


def _on_signals(service: Service) -> int:
    """Handle TERM and HUP between turns; return the descriptor that wakes the loop."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def handle(action: Callable[[], None]) -> Callable[[int, object], None]:
        def run(number: int, frame: object) -> None:
            action()
            try:
                os.read(reading, 4096)
            except BlockingIOError:
                pass

        return run

    def stop() -> None:
        service.worker.is_stopping = True

    signal.signal(signal.SIGTERM, handle(stop))
    signal.signal(signal.SIGHUP, handle(service.worker.call_between_turns(service.reload)))
    # Ctrl-C reaches the whole terminal; the supervisor is the one who ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return reading


if __name__ == "__main__":
    sys.exit(main())
