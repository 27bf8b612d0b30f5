"""A worker of the daemon in virtual time: it takes what is waiting, decides it, commits, and then answers."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor import Auditor
from calls import NOON
from nas import Letter
from network import Network, Timer
from shaky_storage import DiedError, ShakyStorage, WouldWaitError

from billing_core.authorization import AuthorizationRequest, Authorized
from billing_core.catalogue import Catalogue
from billing_core.charging import Charging
from billing_core.limits import Limits
from billing_core.ports import DataRefusedError, StorageDownError
from billing_core.report import Report

CACHE_SECONDS = 10.0


@dataclass(slots=True)
class Answer:
    """An outcome in the duplicate cache of a worker, until it is forgotten."""

    outcome: object
    until: float


class Worker:
    """Serves letters in batches by its own catalogue, which may be older than the definitions."""

    def __init__(
        self,
        storage: ShakyStorage,
        catalogue: Catalogue,
        limits: Limits,
        refresh: Callable[[Catalogue], None],
        auditor: Auditor,
        chance: random.Random,
        network: Network,
        later: Timer,
        clock: Callable[[], float],
        batch_max: int,
    ) -> None:
        self.catalogue = catalogue
        self.skew_seconds = 0.0
        self.stale = False
        self.inbox: list[Letter] = []
        self.serving: list[Letter] = []
        self.deaths = self.waits = self.resends = 0
        self._storage = storage
        self._refresh = refresh
        self._auditor = auditor
        self._chance = chance
        self._network = network
        self._later = later
        self._clock = clock
        self._batch_max = batch_max
        self._dead_until = 0.0
        self._busy = False
        self._answers: dict[tuple[str, int], Answer] = {}
        self.charging = Charging(storage, catalogue, limits, self.refresh)

    def now(self) -> datetime:
        """Return the time by this worker's clock, which may have stepped."""
        return NOON + timedelta(seconds=self._clock() + self.skew_seconds)

    def refresh(self) -> int:
        """Take the newest definitions over, unless they are slow to arrive, and return which are in use."""
        if not self.stale:
            self._refresh(self.catalogue)
        return self.catalogue.version

    def receive(self, letter: Letter) -> None:
        """Take a packet in; its copies are answered from memory, and a dead worker hears nothing."""
        if self._clock() < self._dead_until and not letter.sure:
            return
        known = self._answers.get((letter.nas.name, letter.number))
        if known is not None and known.until > self._clock():
            self.resends += 1
            self._reply(letter, known.outcome)
            return
        if any((other.nas, other.number) == (letter.nas, letter.number) for other in self.inbox):
            return
        if isinstance(letter.request, Report):
            self._auditor.received(letter.request)
        self.inbox.append(letter)
        self._later(self._chance.random() * 0.2, self.serve)

    def serve(self) -> None:
        """Do one turn with what is waiting."""
        if self._busy or not self.inbox:
            return
        batch, self.inbox = self.inbox[: self._batch_max], self.inbox[self._batch_max :]
        self._busy, self.serving = True, batch
        try:
            outcomes = self.charging.handle([letter.request for letter in batch], self.now())
        except WouldWaitError:
            self.waits += 1
            self.inbox = batch + self.inbox
            self._later(0.01, self.serve)
        except (StorageDownError, DataRefusedError):
            self._unknown(batch)
        except DiedError:
            self._unknown(batch)
            self.deaths += 1
            self.inbox = [letter for letter in self.inbox if letter.sure]
            self._answers.clear()
            self._dead_until = self._clock() + self._chance.random() * 3
        else:
            self._answer(batch, outcomes)
        finally:
            self._busy, self.serving = False, []
        if self.inbox:
            self._later(0.01, self.serve)

    def _answer(self, batch: list[Letter], outcomes: list[object]) -> None:
        for letter, outcome in zip(batch, outcomes, strict=True):
            request = letter.request
            if isinstance(outcome, Authorized) and isinstance(request, AuthorizationRequest):
                self._auditor.accepted(self._storage.sessions[request.leg_key, outcome.generation])
            if isinstance(request, Report):
                self._auditor.acknowledged(request)
            self._answers[letter.nas.name, letter.number] = Answer(outcome, self._clock() + CACHE_SECONDS)
            self._reply(letter, outcome)

    def _unknown(self, batch: list[Letter]) -> None:
        """Nobody knows whether these were committed, so nobody is answered."""
        for letter in batch:
            if isinstance(letter.request, AuthorizationRequest):
                self._auditor.in_doubt(letter.request.leg_key)

    def _reply(self, letter: Letter, outcome: object) -> None:
        self._network.carry(lambda: letter.answered(outcome), letter.sure)
