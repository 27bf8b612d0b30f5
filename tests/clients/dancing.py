"""Dances as they are played through a running switch, and what is seen of them.

All are played at once, step by step, since what they are about is how calls lie beside each other.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from dances import PASSWORD, Dance, Scene
from kamailio_proxy import Kamailio
from served import Daemon
from sip import ANSWERS, IS_BUSY, RINGS
from sip_callee import Callee, callee
from sip_caller import Call
from sippy_b2bua import Sippy
from tap import FAILED, START, STOP

_SECONDS_APART = 1.2


@dataclass(frozen=True, slots=True)
class Money:
    """What `billing` shows of a client: its live balance, what is set aside of it, and its calls."""

    live: Decimal
    reserved: Decimal
    calls: int
    sent: int


@dataclass(slots=True)
class Played:
    """What was seen: all clients' money before, with both calls there, when one had ended, and after all."""

    before: dict[str, Money]
    both: dict[str, Money]
    one: dict[str, Money]
    none: dict[str, Money]
    xdrs: dict[str, list[dict[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """A running switch to dance through."""

    switch: Kamailio | Sippy
    scene: Scene

    def call(self, dance: Dance, tag: str, number: str) -> Call:
        scene, port = self.scene, self.switch.phones.switch_port
        user, address = scene.user(dance), scene.address(dance)
        return Call(port, scene.call_id(dance), tag, number, user, PASSWORD, address)

    def await_begun(self, dance: Dance, count: int) -> None:
        """Wait until so many calls of the dance were reported as answered."""
        call_id = self.scene.call_id(dance)
        self.switch.tap.await_answers(count * self.scene.legs, status=START, call=call_id)

    def await_ended(self, dance: Dance, talked: int, failed: int) -> None:
        """Wait until so many calls of the dance were reported as ended, and so many as failed.

        Sippy has Stops for all of them; Kamailio has Failed, and besides a Stop for what was cancelled.
        """
        call_id, tap = self.scene.call_id(dance), self.switch.tap
        if self.scene.octet:
            tap.await_answers((talked + failed) * self.scene.legs, status=STOP, call=call_id)
        else:
            tap.await_answers(failed, status=FAILED, call=call_id)
            tap.await_answers(talked + (failed if dance.fate == RINGS else 0), status=STOP, call=call_id)


@dataclass(slots=True)
class _Dancer:
    """The two calls of a dance, step by step."""

    dance: Dance
    stage: Stage
    callee: Callee
    call: Call = field(init=False)
    twin: Call = field(init=False)
    _arrived_as: list[int] = field(default_factory=list)

    def begins_and_doubles(self) -> None:
        self.call = self._placed("honest", self.dance.number, RINGS if self.dance.first_rings else ANSWERS)
        self.stage.await_begun(self.dance, int(not self.dance.first_rings))
        self.twin = self._placed("twin", self.dance.twin, self.dance.fate)
        if self.dance.first_rings:
            self.callee.answer(self._arrived_as[0])
            self.call.await_answer()
        self.stage.await_begun(self.dance, 1 + self.dance.is_twin_answered)
        self.stage.await_ended(self.dance, 0, self.dance.fate == IS_BUSY)

    def ends_one(self) -> None:
        if self.dance.fate == RINGS:
            self.twin.cancel()
        elif self.dance.is_twin_answered:
            self._ended(int(self.dance.twin_ends_first))
        failed = self.dance.fate in (IS_BUSY, RINGS)
        self.stage.await_ended(self.dance, int(self.dance.is_twin_answered), failed)

    def ends(self) -> None:
        self._ended(int(self.dance.is_twin_answered and not self.dance.twin_ends_first))
        failed = self.dance.fate in (IS_BUSY, RINGS)
        self.stage.await_ended(self.dance, 1 + self.dance.is_twin_answered, failed)
        self.call.close()
        self.twin.close()

    def _placed(self, tag: str, number: str, fate: str) -> Call:
        self.callee.then = fate
        self._arrived_as.append(self.callee.calls)
        call = self.stage.call(self.dance, tag, number).place()
        assert call.status == int(fate[:3]), f"{self.dance.name}: {tag} was answered {call.status}"
        return call

    def _ended(self, which: int) -> None:
        """End the honest call (0) or the twin (1)."""
        call = (self.call, self.twin)[which]
        if self.dance.callee_ends:
            self.callee.hang_up(self._arrived_as[which])
            call.hear_bye()
        else:
            call.hang_up()


def played(stage: Stage) -> Played:
    """Play all dances beside each other."""
    daemon = stage.switch.daemon
    before = money(daemon)
    with callee(stage.switch.phones.callee) as called:
        dancers = [_Dancer(dance, stage, called) for dance in stage.scene.dances]
        _all(dancers, _Dancer.begins_and_doubles)
        both = money(daemon)
        _all(dancers, _Dancer.ends_one)
        one = money(daemon)
        _all(dancers, _Dancer.ends)
    seen = Played(before, both, one, money(daemon))
    for xdr in daemon.billing("xdrs"):
        seen.xdrs.setdefault(xdr["call_id"], []).append(xdr)
    return seen


def money(daemon: Daemon) -> dict[str, Money]:
    """Return what every client has, by name."""
    return {
        row["name"]: Money(Decimal(row["live"]), Decimal(row["reserved"]), row["in_use"], row["term_in_use"])
        for row in daemon.billing("clients", "list")
    }


def _all(dancers: list[_Dancer], step: Callable[[_Dancer], None]) -> None:
    """Let all make that step, and see to it that the next one comes a second later."""
    for dancer in dancers:
        step(dancer)
    time.sleep(_SECONDS_APART)
