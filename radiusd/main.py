"""The composition root of a worker: builds every object once, by hand, and runs the turns.

The supervisor executes it as `python -m radiusd.main`, with the sockets it opened.
"""

import argparse
import gc
import os
import signal
import socket
from collections import Counter as Tally
from collections.abc import Sequence
from pathlib import Path

import structlog

from billing_core.catalogue import Catalogue
from billing_core.charging import Charging
from billing_core.ports import StorageDownError
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.compiled_files import CompiledFiles
from billing_core.storage.postgres import PostgresStorage
from billing_core.sweep import OnSilence, Sweep
from radiusd import logs, sockets
from radiusd.answers import Answers
from radiusd.config import Config
from radiusd.database import serving_url
from radiusd.duplicates import DuplicateCache
from radiusd.handover import Handover
from radiusd.metrics import Metrics
from radiusd.protocol import Protocol
from radiusd.radsec import Acceptor
from radiusd.readiness import Beacon
from radiusd.reception import Reception
from radiusd.tls_files import TlsFiles, handed_context
from radiusd.wire import Port
from radiusd.worker import Worker

log = structlog.get_logger()


class Service:
    """Everything a worker consists of, and what a reload may replace of it."""

    def __init__(
        self,
        handover: Handover,
        rates: Path,
        settings: Config,
        listeners: list[sockets.Listener],
        acceptors: list[Acceptor],
        sink: logs.LineSink,
        signals: Sequence[int],
        status: int,
        beacon: Beacon,
    ) -> None:
        """Build a worker for *settings*; newer ones come by *handover*, and *rates* is for compiled rates.

        *signals* are descriptors that wake it.
        """
        self._handover = handover
        catalogue = Catalogue()
        limits = settings.limits.calls
        self.storage = PostgresStorage(serving_url(settings), "radiusd")
        files = CompiledFiles(
            rates, serving_url(settings), lambda reason: log.error("rates_not_compiled", reason=reason)
        )
        self.reader = CatalogueReader(catalogue, files)
        self._protocol = Protocol(settings.nas, DuplicateCache())
        self._charging = Charging(self.storage, catalogue, limits, self._take_over_definitions)
        self._sweep = Sweep(self.storage.turn, catalogue, limits, self._on_silence)
        metrics, tally = Metrics(), Tally[tuple[str, str, str]]()
        self.worker = Worker(
            Reception(
                listeners, acceptors, signals, self._protocol, metrics, tally, settings.radius.batch_max
            ),
            Answers(
                self._protocol,
                metrics,
                logs.RequestLog(sink, settings.log),
                tally,
                settings.radius.reject_delay_seconds,
            ),
            self.storage,
            self.reader,
            self._charging,
            self._sweep,
            metrics,
            tally,
            sweep_seconds=settings.limits.sweep_seconds,
            status=status,
            beacon=beacon,
        )

    def load_catalogue(self) -> None:
        """Read all definitions; without a database start all the same, not ready."""
        try:
            self.reader.read_all(self.storage.connection(), lambda: self.worker.is_stopping)
        except StorageDownError as error:
            log.error("database_down", reason=str(error))
        # The catalogue lives as long as the process: never look through it for garbage. And within a turn
        # never look at all, for others wait for its locks meanwhile: the worker looks between turns.
        gc.collect()
        gc.freeze()
        gc.disable()

    def reload(self) -> None:
        """Take over NASes and limits from the settings that the supervisor has read anew, without a fault."""
        settings = self._handover.taken().settings
        self._protocol.nas_table = settings.nas
        self._charging.limits = self._sweep.limits = settings.limits.calls
        self.worker.sweep_seconds = settings.limits.sweep_seconds
        log.info("reloaded", nas=len(settings.nas))

    def _take_over_definitions(self) -> int:
        self.reader.step(self.storage.connection())
        return self.reader.followed_version

    def _on_silence(self, name: str) -> OnSilence:
        """Return the policy of the NAS of that name; one that is gone from the settings gets the default."""
        policies = (nas.on_silence for nas in self._protocol.nas_table if nas.name == name)
        return OnSilence(next(policies, OnSilence.CHARGE_KNOWN))


def main() -> None:
    """Run a worker until SIGTERM, or until the supervisor is gone."""
    arguments = _arguments()
    handover = Handover(arguments.settings)
    settings, tls = handover.taken()
    sink = logs.configure(settings.log.level, settings.log.format)
    listeners = [
        sockets.inherited(descriptor, port)
        for port, descriptors in ((Port.AUTHENTICATION, arguments.auth), (Port.ACCOUNTING, arguments.acct))
        for descriptor in descriptors
    ]
    acceptors = _acceptors(tls, arguments.radsec)
    wake = _wake_descriptor()
    service = Service(
        handover,
        arguments.rates,
        settings,
        listeners,
        acceptors,
        sink,
        (wake, arguments.lifeline),
        arguments.status,
        Beacon(arguments.beacon),
    )
    _obey_signals(service)
    service.load_catalogue()
    service.worker.run(wake, arguments.lifeline)
    service.reader.close()
    service.storage.close()


def _acceptors(tls: TlsFiles | None, descriptors: list[int]) -> list[Acceptor]:
    if tls is None:
        return []
    context = handed_context(tls)
    opened = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for accepting in opened:
        accepting.setblocking(False)
    return [Acceptor(accepting, context) for accepting in opened]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m radiusd.main")
    parser.add_argument("--settings", type=int, required=True)
    parser.add_argument("--rates", type=Path, required=True)
    parser.add_argument("--auth", type=int, nargs="+", required=True)
    parser.add_argument("--acct", type=int, nargs="+", required=True)
    parser.add_argument("--radsec", type=int, nargs="*", default=[])
    parser.add_argument("--status", type=int, required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--beacon", type=int, required=True)
    return parser.parse_args()


def _wake_descriptor() -> int:
    """Return what becomes readable when a signal comes."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _obey_signals(service: Service) -> None:
    """Take note of TERM and HUP, to be obeyed between turns."""
    signal.signal(signal.SIGTERM, lambda *_: service.worker.stop())
    signal.signal(signal.SIGHUP, lambda *_: service.worker.between_turns(service.reload))
    # Ctrl-C reaches the whole terminal; the supervisor is the one who ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()
