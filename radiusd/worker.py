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
from radiusd.answers import Answers, Waiting
from radiusd.canonical import settled_of
from radiusd.metrics import Metrics
from radiusd.protocol import Received, failure
from radiusd.readiness import Beacon
from radiusd.reception import Reception
from radiusd.rubbish import Rubbish
from radiusd.watchdog import Watchdog
from radiusd.wire import DropReason

_IDLE_SECONDS = 0.1
_RECONNECT_SECONDS = 1.0
# Beyond the two seconds that the database allows a statement.
_PATIENCE_SECONDS = 3.0

log = structlog.get_logger()


class Worker:
    """One process's share of the service: its sockets, its connection, its catalogue."""

    def __init__(
        self,
        reception: Reception,
        answers: Answers,
        storage: PostgresStorage,
        reader: CatalogueReader,
        charging: Charging,
        sweep: Sweep,
        metrics: Metrics,
        tally: "Tally[tuple[str, str, str]]",
        *,
        sweep_seconds: float,
        status: int,
        beacon: Beacon,
    ) -> None:
        """Bring together what `main` built; *status* is where the supervisor reads whether we can work.

        *beacon* is lit while the whole service can. *tally* is what *reception* and *answers* count into.
        """
        self._reception = reception
        self._answers = answers
        self._storage = storage
        self._reader = reader
        self._charging = charging
        self._sweep = sweep
        self._metrics = metrics
        self._tally = tally
        self.sweep_seconds = sweep_seconds
        self._next_sweep_at = clock.monotonic_seconds() + sweep_seconds
        self._retry_at = 0.0
        self._status = status
        self._beacon = beacon
        self._watchdog = Watchdog(_PATIENCE_SECONDS, storage.cut)
        self._is_ready = False
        self._trouble = ""
        self._rubbish = Rubbish()
        self._is_stopping = False
        self._errands: list[Callable[[], None]] = []

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

    def run(self, wake: int, lifeline: int) -> None:
        """Turn until stopped.

        Of the two descriptors, *wake* becomes readable when a signal came, *lifeline* when the supervisor is
        gone; both wake the reception.
        """
        reception = self._reception
        while not self._is_stopping:
            ready = reception.wait(0 if self._reader.is_behind else _IDLE_SECONDS)
            if wake in ready:
                os.read(wake, 4096)
            if lifeline in ready:
                self.stop()
            while self._errands:
                self._errands.pop(0)()
            began = clock.monotonic_seconds()
            self._answers.release(began)
            batch = reception.take(ready, began, is_serving=self._is_ready and self._beacon.is_lit(began))
            with self._watchdog.watching():
                self._work(batch, began)
            self._count()
            self._rubbish.look(is_idle=not batch, is_growing=self._reader.is_behind)
        self._answers.release(math.inf)
        self._count()
        reception.close()

    def _work(self, batch: list[Waiting], began: float) -> None:
        """Do everything that needs the database."""
        if batch:
            self._turn(batch, began)
        # Not only when idle: under load, too, we must find out that the database is back.
        if not batch or not self._is_ready:
            self._follow_definitions(began)
        self._sweep_if_due(began)

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
            self._answers.give(waiting, outcome, ended, timestamp)
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
