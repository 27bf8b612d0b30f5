"""Softswitches as they are: they repeat, forget, reboot, have clocks of their own, and ignore limits."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from calls import NOON, Password
from calls import report as a_report
from calls import request as a_request
from network import Network, Timer

from billing_core.authorization import AuthorizationRequest, Authorized, Denied
from billing_core.ports import Reboot
from billing_core.report import Kind, Report
from billing_core.session import Leg, leg_key
from billing_core.sweep import OnSilence

Request = AuthorizationRequest | Report | Reboot

RETRY_SECONDS = 3.0
SURE_ATTEMPT = 4
"""From this attempt on nothing fails in an orderly world: losses in a row are bounded."""


@dataclass(slots=True)
class Letter:
    """One packet on its way to a worker, and what to do with the answer. Copies are the same packet."""

    nas: "Nas"
    number: int
    request: Request
    answered: Callable[[object], None]
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Character:
    """How a softswitch behaves. The defaults are a good one's.

    It ends a call `reaction_seconds` after it was asked to, None: never.
    """

    obeys: bool = True
    sends_start: bool = True
    dated: bool = True
    interim_seconds: int | None = None
    honest_interims: bool = True
    skew_seconds: float = 0.0
    reuses_ids: bool = False
    tells_twice: bool = False
    can_disconnect: bool = False
    reaction_seconds: float | None = 0.0
    patient: bool = True
    asks: float = 1.0
    loses_stop: float = 0.0
    loses_start: float = 0.0
    on_silence: OnSilence = OnSilence.CHARGE_KNOWN


GOOD = Character()


@dataclass(slots=True)
class Call:
    """One call as its softswitch knows it: the truth that the books are compared with."""

    call_id: str
    key: bytes
    caller: str
    number: str
    has_vendor: bool
    ring_seconds: int
    wanted_seconds: int
    asked: bool = True
    sends_failed: bool = False
    granted_seconds: int | None = None
    answers: set[int] = field(default_factory=set)
    denied: bool = False
    answered_at: float | None = None
    ended: bool = False
    disconnected: bool = False
    told_seconds: int | None = None
    apart: frozenset[Leg] = frozenset()
    """The legs whose name was free when the call began: nobody may take them for those of an earlier call."""
    acknowledged: dict[tuple[Kind, Leg], Report] = field(default_factory=dict)

    @property
    def is_shortened(self) -> bool:
        """Tell whether it lasted shorter than the caller wanted."""
        return self.told_seconds is not None and self.told_seconds < self.wanted_seconds

    def legs(self, nas: str) -> dict[Leg, bytes]:
        """Return its legs at that switch, with their keys."""
        found = {Leg.ORIGINATION: self.key}
        if self.has_vendor:
            found[Leg.TERMINATION] = leg_key(nas, self.call_id, Leg.TERMINATION, "203.0.113.20")
        return found


class Nas:
    """One softswitch, its calls, and the packets that it repeats until they are answered."""

    def __init__(
        self,
        name: str,
        character: Character,
        chance: random.Random,
        network: Network,
        later: Timer,
        clock: Callable[[], float],
        workers: list[Callable[[Letter], None]],
    ) -> None:
        self.name = name
        self.character = character
        self.calls: list[Call] = []
        self.life = 0
        self._chance = chance
        self._network = network
        self._later = later
        self._clock = clock
        self._workers = workers
        self._counter = 0
        self._packets = 0
        self._pending: set[int] = set()

    # --- calls --------------------------------------------------------------------------------------

    def place(
        self, caller: str, number: str, ring_seconds: int, wanted_seconds: int, has_vendor: bool
    ) -> Call:
        """Begin a call: ask for it, or just start it as a switch does that was told not to ask."""
        self._counter += 1
        call_id = f"{self.name}-{self._counter}"
        key = leg_key(self.name, call_id, Leg.ORIGINATION)
        call = Call(call_id, key, caller, number, has_vendor, ring_seconds, wanted_seconds)
        call.asked = self._chance.random() < self.character.asks
        call.sends_failed = self._chance.random() < 0.5
        self.calls.append(call)
        if call.asked:
            self.ask(call)
        else:
            self._alive(call, ring_seconds, self._answer)
        return call

    def ask(self, call: Call) -> None:
        """Send an Access-Request for a call, its first or another one."""
        asked = a_request(
            call.call_id,
            nas=self.name,
            nas_box=self.name,
            leg_key=call.key,
            name=call.caller,
            credential=Password("secret"),
            called=call.number,
            sends_start=self.character.sends_start,
            can_disconnect=self.character.can_disconnect,
        )
        self._send(asked, lambda outcome: self._decided(call, outcome))

    def cheat(self, call: Call) -> None:
        """Open twins of a call under its call id, in sessions of their own: barred, busy, cancelled."""
        for twin, number in (("barred", "999"), ("busy", call.number), ("cancelled", call.number)):
            session_id = f"{twin} of {call.call_id}"
            asked = a_request(
                call.call_id,
                nas=self.name,
                nas_box=self.name,
                leg_key=call.key,
                session_id=session_id,
                name=call.caller,
                credential=Password("secret"),
                called=number,
                sends_start=self.character.sends_start,
                can_disconnect=self.character.can_disconnect,
            )
            self._send(asked, lambda _, session_id=session_id: self._fail(call, session_id))

    def _fail(self, call: Call, session_id: str) -> None:
        told = a_report(
            Kind.FAILED,
            call.call_id,
            nas=self.name,
            nas_box=self.name,
            leg_keys=(call.key,),
            session_id=session_id,
            name=call.caller,
            ip=None,
            called=call.number,
            event_at=self._event_at(),
        )
        self._send(told, lambda _: None)

    def hang_up(self, key: bytes) -> None:
        """Obey a Disconnect-Request for the call of that name, or ignore it."""
        reaction_seconds = self.character.reaction_seconds
        if not (self.character.can_disconnect and self.character.obeys) or reaction_seconds is None:
            return
        for call in self.calls:
            if call.ended or call.disconnected or call.key != key:
                continue
            call.disconnected = True
            if reaction_seconds:
                self._alive(call, reaction_seconds, self._end)
            else:
                self._end(call)

    def reboot(self, tells: bool) -> None:
        """Forget every call and every packet, and perhaps every id; the calls' Stops are never sent."""
        self.life += 1
        self._pending.clear()
        for call in self.calls:
            call.ended = True
        if self.character.reuses_ids:
            self._counter = 0
        if tells:
            event_at = self._event_at() or NOON + timedelta(seconds=self._clock())
            self._send(Reboot(self.name, self.name, event_at, starting=True), lambda outcome: None)

    def _decided(self, call: Call, outcome: object) -> None:
        if isinstance(outcome, Denied):
            call.denied = call.granted_seconds is None
        if not isinstance(outcome, Authorized) or call.ended:
            return
        call.answers.add(outcome.credit_time_seconds)
        if call.granted_seconds is not None:
            return
        call.granted_seconds = outcome.credit_time_seconds
        self._alive(call, call.ring_seconds, self._answer)

    def _answer(self, call: Call) -> None:
        if call.wanted_seconds == 0:
            call.ended = True
            if self._chance.random() < self.character.loses_stop:
                return
            call.told_seconds = 0
            if call.sends_failed:
                self._tell(call, Kind.FAILED)
            self._tell(call, Kind.STOP, 0)
            return
        call.answered_at = self._clock()
        lasts = call.wanted_seconds
        if self.character.obeys and call.granted_seconds is not None:
            lasts = min(lasts, call.granted_seconds)
        if self.character.sends_start and self._chance.random() >= self.character.loses_start:
            self._tell(call, Kind.START)
        if self.character.interim_seconds:
            self._alive(call, self.character.interim_seconds, self._interim)
        self._alive(call, lasts, self._end)

    def _interim(self, call: Call) -> None:
        if call.ended:
            return
        lasted = int(self._clock() - (call.answered_at or 0))
        if not self.character.honest_interims:
            lasted = self._chance.choice([lasted, lasted // 2, lasted * 3])
        self._tell(call, Kind.INTERIM, lasted)
        self._alive(call, self.character.interim_seconds or 0, self._interim)

    def _end(self, call: Call) -> None:
        if call.ended:
            return
        call.ended = True
        if call.answered_at is None:
            return
        # A part of a second is told as none: a switch that cuts at T never tells more than T.
        call.told_seconds = int(self._clock() - call.answered_at + 0.001)
        if self._chance.random() >= self.character.loses_stop:
            self._tell(call, Kind.STOP, call.told_seconds)

    def _alive(self, call: Call, seconds: float, action: Callable[[Call], None]) -> None:
        """Do something later with a call, unless the switch has rebooted or the call has ended."""
        life = self.life
        self._later(seconds, lambda: action(call) if life == self.life and not call.ended else None)

    # --- records ------------------------------------------------------------------------------------

    def _tell(self, call: Call, kind: Kind, seconds: int | None = None) -> None:
        for leg, key in call.legs(self.name).items():
            told = a_report(
                kind,
                call.call_id,
                leg,
                nas=self.name,
                nas_box=self.name,
                leg_keys=(key,),
                name=call.caller,
                ip=None,
                called=call.number,
                event_at=self._event_at(),
                session_seconds=seconds,
                can_disconnect=self.character.can_disconnect,
            )
            self._send(told, lambda _, told=told: self._kept(call, told))

    def _kept(self, call: Call, told: Report) -> None:
        call.acknowledged[told.kind, told.leg] = told

    def _event_at(self) -> datetime | None:
        if not self.character.dated:
            return None
        return NOON + timedelta(seconds=self._clock() + self.character.skew_seconds)

    # --- packets ------------------------------------------------------------------------------------

    def _send(self, request: Request, answered: Callable[[object], None]) -> None:
        """Send a packet until it is answered, or too often, now to one worker and now to the other."""
        self._packets += 1
        number = self._packets
        self._pending.add(number)
        worker = self._chance.randrange(len(self._workers))
        made_at = self._clock()

        def arrived(outcome: object) -> None:
            if number in self._pending:
                self._pending.discard(number)
                answered(outcome)

        def attempt(count: int) -> None:
            if number not in self._pending or (count > 2 and isinstance(request, AuthorizationRequest)):
                return
            if count > (12 if self.character.patient else 4):
                self._pending.discard(number)
                return
            sure = self.character.patient and count >= SURE_ATTEMPT
            sent, copy = request, 0
            if isinstance(request, Report) and count:
                # Acct-Delay-Time grows, so that it is another packet with another number each time.
                sent, copy = request._replace(delay_seconds=int(self._clock() - made_at)), count
            letter = Letter(self, number * 100 + copy, sent, arrived, sure)
            chosen = self._workers[(worker + count // 2) % len(self._workers)]
            self._network.carry(lambda: chosen(letter), sure)
            if self.character.tells_twice:
                other = self._workers[(worker + 1) % len(self._workers)]
                self._network.carry(lambda: other(letter), sure)
            self._later(RETRY_SECONDS, lambda: attempt(count + 1))

        attempt(0)
