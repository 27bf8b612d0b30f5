"""The turn: take what is waiting, decide it in one transaction, and only then answer."""

import math
import os
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from billing_core.authorization import AuthorizationRequest
from billing_core.charging import Charging, Outcome
from billing_core.ports import DataRefusedError, StorageDownError, TurnConflictError
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.postgres import PostgresStorage
from billing_core.sweep import Sweep
from radiusd import clock, logs
from radiusd.answers import KINDS, Answers, Waiting
from radiusd.canonical import settled_of
from radiusd.intake import Door, Intake
from radiusd.logs import RequestLog
from radiusd.metrics import Metrics
from radiusd.protocol import Challenged, Dropped, Ping, Protocol, Received, Resent, failure
from radiusd.radsec import Acceptor, ends_connection, port_of
from radiusd.rare_lines import RareLines
from radiusd.readiness import Beacon
from radiusd.rubbish import Rubbish
from radiusd.sockets import Datagram, Listener
from radiusd.suspicion import Suspicions
from radiusd.watchdog import Watchdog
from radiusd.wire import Code, DropReason

_IDLE_SECONDS = 0.1
_RECONNECT_SECONDS = 1.0
# Beyond the two seconds that the database allows a statement.
_PATIENCE_SECONDS = 3.0

log = structlog.get_logger()


class Worker:
    """One process's share of the service: its sockets, its connection, its catalogue."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        protocol: Protocol,
        storage: PostgresStorage,
        reader: CatalogueReader,
        charging: Charging,
        sweep: Sweep,
        metrics: Metrics,
        request_log: RequestLog,
        *,
        batch_max: int,
        sweep_seconds: float,
        status: int,
        beacon: Beacon,
        acceptors: Sequence[Acceptor] = (),
        reject_delay_seconds: float = 0.0,
    ) -> None:
        """Bring together what `main` built; *status* is where the supervisor reads whether we can work.

        *beacon* is lit while the whole service can.
        """
        self._listeners = listeners
        self._acceptors = acceptors
        self._protocol = protocol
        self._storage = storage
        self._reader = reader
        self._charging = charging
        self._sweep = sweep
        self._metrics = metrics
        self._batch_max = batch_max
        self.sweep_seconds = sweep_seconds
        self._next_sweep_at = clock.monotonic_seconds() + sweep_seconds
        self._retry_at = 0.0
        self._status = status
        self._beacon = beacon
        self._tally: Tally[tuple[str, str, str]] = Tally()
        self._rare_lines = RareLines()
        self._suspicions = Suspicions()
        self._watchdog = Watchdog(_PATIENCE_SECONDS, storage.cut)
        self._is_ready = False
        self._trouble = ""
        self._rubbish = Rubbish()
        self._is_stopping = False
        self._errands: list[Callable[[], None]] = []
        self._answers = Answers(protocol, metrics, request_log, self._tally, reject_delay_seconds)

    @property
    def is_stopping(self) -> bool:
        """Tell whether it was told to stop."""
        return self._is_stopping

    def stop(self) -> None:
        """Finish the turn, then return from `run`."""
        self._is_stopping = True

    def between_turns(self, errand: Callable[[], None]) -> None:
        """Run *errand* when the turn is over."""
        self._errands.append(errand)

    def run(self, signals: Sequence[int]) -> None:
        """Turn until stopped.

        *signals* are descriptors: the first becomes readable when a signal came, the second when the
        supervisor is gone.
        """
        wake, lifeline = signals
        intake = Intake(self._listeners, self._acceptors, signals, self._may_come)
        while not self._is_stopping:
            ready = intake.wait(0 if self._reader.is_behind else _IDLE_SECONDS)
            if wake in ready:
                os.read(wake, 4096)
            if lifeline in ready:
                self.stop()
            while self._errands:
                self._errands.pop(0)()
            began = clock.monotonic_seconds()
            self._answers.release(began)
            batch = self._take(list(intake.doors(ready, began)), began)
            with self._watchdog.watching():
                self._work(batch, began)
            self._count()
            self._rubbish.look(is_idle=not batch, is_growing=self._reader.is_behind)
        self._answers.release(math.inf)
        self._count()
        intake.close()

    def _may_come(self, address: str) -> bool:
        """Tell whether somebody at *address* may shake hands; strangers are counted as such."""
        if self._protocol.nas_table.may_come_by_tls(address):
            return True
        self._tally["dropped", "unknown", DropReason.UNKNOWN_CLIENT.value] += 1
        return False

    def _work(self, batch: list[Waiting], began: float) -> None:
        """Do everything that needs the database."""
        if batch:
            self._turn(batch, began)
        # Not only when idle: under load, too, we must find out that the database is back.
        if not batch or not self._is_ready:
            self._follow_definitions(began)
        self._sweep_if_due(began)

    def _take(self, doors: Sequence[tuple[int, Door]], began: float) -> list[Waiting]:
        """Read what is waiting, up to a batch, and answer at once what needs no transaction.

        Every door has its share, of which nonsense uses up a part too: neither a flood of it nor one
        of questions may keep records waiting.
        """
        now = clock.now()
        batch: list[Waiting] = []
        for descriptor, door in doors:
            for _ in range(max(1, self._batch_max // len(doors))):
                datagram = door.receive()
                if datagram is None:
                    break
                received = self._receive(door, datagram, descriptor, now, began)
                if isinstance(received, Received):
                    self._tally["requests", received.nas.name, KINDS[received.frame.code]] += 1
                    if suspicion := self._suspicions.of(received, now):
                        self._rare_lines.note(received.nas.name, datagram.source[0], suspicion, began)
                    batch.append(Waiting(received, door, datagram))
                else:
                    self._settle_at_once(received, door, datagram, began)
        return batch

    def _receive(
        self, door: Door, datagram: Datagram, descriptor: int, now: datetime, began: float
    ) -> Dropped | Resent | Ping | Challenged | Received:
        protocol = self._protocol
        if isinstance(door, Listener):
            owner = protocol.nas_table.owners.get(door.number)
            if owner is not None and protocol.nas_table.find(datagram.source[0]) is not owner:
                return Dropped(DropReason.UNKNOWN_CLIENT)
            return protocol.receive(datagram.octets, datagram.source, door.port, descriptor, now, began)
        # RFC 6614 section 2.5: a connection is of whom its certificate names; the addresses in the settings
        # hold as well.
        nas = protocol.nas_table.by_certificate(door.names)
        if nas is None or not nas.is_at(datagram.source[0]):
            door.hang_up()
            return Dropped(DropReason.UNKNOWN_CLIENT)
        port = port_of(datagram.octets)
        received = protocol.receive(datagram.octets, datagram.source, port, door, now, began, nas)
        if isinstance(received, Dropped) and ends_connection(received.reason):
            door.hang_up()
        return received

    def _settle_at_once(
        self,
        received: Dropped | Resent | Ping | Challenged,
        listener: Door,
        datagram: Datagram,
        began: float,
    ) -> None:
        match received:
            case Dropped():
                self._drop(received.reason, received.nas.name if received.nas else None, datagram)
            case Resent():
                self._tally["requests", received.nas.name, KINDS[received.code]] += 1
                self._tally["duplicates", received.nas.name, "packet"] += 1
                listener.send(received.reply, datagram)
            case Challenged():
                self._tally["requests", received.nas.name, "access"] += 1
                self._tally["replies", received.nas.name, Code.ACCESS_CHALLENGE.name.lower()] += 1
                listener.send(received.reply, datagram)
            case Ping():
                self._tally["requests", received.nas.name, "status"] += 1
                if not (self._is_ready and self._beacon.is_lit(clock.monotonic_seconds())):
                    # RFC 5997 section 4.2: silence tells the switch to use its next server.
                    self._drop(DropReason.BACKEND_DOWN, received.nas.name, datagram)
                    return
                code = Code(received.reply[0])
                self._tally["replies", received.nas.name, code.name.lower()] += 1
                listener.send(received.reply, datagram)
                self._metrics.replied("status", clock.monotonic_seconds() - began)

    def _drop(self, reason: DropReason, nas: str | None, datagram: Datagram) -> None:
        self._tally["dropped", nas or "unknown", reason.value] += 1
        if nas is not None:
            self._rare_lines.note(nas, datagram.source[0], reason, clock.monotonic_seconds())

    def _follow_definitions(self, began: float) -> None:
        """Idle: take over a piece of changed definitions, and so find out whether the database is there."""
        if began < self._retry_at:
            return
        try:
            complete = self._reader.step(self._storage.connection())
        except (StorageDownError, DataRefusedError) as error:
            self._storage_failed(str(error))
            return
        if complete and not self._is_ready:
            self._say_ready(True)
            self._trouble = ""
            log.info("worker_ready", catalogue_version=self._reader.version)

    def _say_ready(self, is_ready: bool) -> None:
        """Tell the supervisor whether we can work."""
        self._is_ready = is_ready
        os.write(self._status, b"1" if is_ready else b"0")

    def _storage_failed(self, reason: str) -> None:
        """Stop saying that we can work, and leave the database alone for a moment."""
        # The supervisor tells as well, and goes on looking; a line a second would hide all others.
        if reason != self._trouble:
            log.error("database_down", reason=reason)
        self._trouble = reason
        if self._is_ready:
            self._say_ready(False)
        self._storage.close()
        self._retry_at = clock.monotonic_seconds() + _RECONNECT_SECONDS

    def _turn(self, batch: list[Waiting], began: float) -> None:
        now = clock.now()
        outcomes = self._decide([waiting.received for waiting in batch], now)
        ended = clock.monotonic_seconds()
        timestamp = logs.timestamp(clock.now())
        for waiting, outcome in zip(batch, outcomes, strict=True):
            self._answers.give(waiting, outcome, ended, began, timestamp)
        settled = [pair for outcome in outcomes if (pair := settled_of(outcome)) is not None]
        self._metrics.xdrs(settled)
        self._metrics.turn(len(batch), ended - began)

    def _decide(self, requests: Sequence[Received], now: datetime) -> list[Outcome | DropReason]:
        """Decide a batch; one that fails is run again one by one, so that poison harms only itself."""
        # Without all definitions we would take known clients for strangers.
        if clock.monotonic_seconds() < self._retry_at or not self._reader.is_complete:
            return [self._without_database(received) for received in requests]
        try:
            return list(self._charging.handle([received.request for received in requests], now))
        except StorageDownError as error:
            self._storage_failed(str(error))
            return [self._without_database(received) for received in requests]
        except Exception as error:
            if len(requests) > 1:
                log.warning("batch_failed", requests=len(requests), reason=str(error))
                return [self._decide([received], now)[0] for received in requests]
            refused = isinstance(error, DataRefusedError)
            log.exception("request_failed", nas=requests[0].nas.name, id=requests[0].frame.identifier)
            return [DropReason.NOT_RECORDED if refused else DropReason.INTERNAL_ERROR]

    def _without_database(self, received: Received) -> Outcome | DropReason:
        """Say nothing, or refuse the call where the NAS wants that; never acknowledge a record."""
        is_access = isinstance(received.request, AuthorizationRequest)
        if is_access and received.nas.on_backend_failure == "reject":
            return failure()
        return DropReason.BACKEND_DOWN if is_access else DropReason.NOT_RECORDED

    def _sweep_if_due(self, began: float) -> None:
        """Between turns look after one chunk of silent legs; come back at once while there are more."""
        if began < self._next_sweep_at or not self._is_ready:
            return
        try:
            swept = self._sweep.step(clock.now())
        except TurnConflictError:
            swept = None  # Somebody else was first: the next sweep sees what is left.
        except (StorageDownError, DataRefusedError) as error:
            self._storage_failed(str(error))
            return
        if swept is None:
            self._next_sweep_at = began + self.sweep_seconds
            return
        self._metrics.swept(swept)
        for item in swept:
            if item.xdr is not None:
                log.warning(
                    "leg_fell_silent",
                    nas=item.session.nas,
                    call_id=item.session.call_id,
                    session_id=item.session.session_id,
                    seconds=item.xdr.duration_seconds,
                    amount=str(item.xdr.amount),
                )

    def _count(self) -> None:
        if self._tally:
            self._metrics.add(self._tally)
            self._tally.clear()
