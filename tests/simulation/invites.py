"""What callers do, honest and not: a script of invites that one seed writes before its world begins.

A caller chooses its Call-ID and its From tag, the number and the caller id, how long it rings and talks, and
how it ends. It chooses nothing that a switch makes up: session ids, GUIDs, dates.
"""

import random
from dataclasses import dataclass, replace
from enum import Enum

from market import (
    ANI,
    ANI_ID,
    BARRED,
    CHEAP,
    CONCURRENCIES,
    DEAR,
    NUMBERS,
    PREFIXED_ID,
    UNPRICED,
)


class Ending(Enum):
    """How an invite ends: ANSWERED talks; the others never do, and UNTOLD ends without any record."""

    ANSWERED = "answered"
    BUSY = "busy"
    CANCELLED = "cancelled"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Invite:
    """One INVITE. Times in seconds; `at` since noon, all others since the step before.

    `call_id` and `from_tag` are the caller's choice. `dialogs` are answered (a fork has two), `by_callee`
    says who hangs up. `guesses` are wrong passwords sent first, and with `only_guesses` no other. `restamps`
    are late copies of each Stop: how long after it, and the Acct-Delay-Time that it tells.
    """

    at: float
    switch: int
    client_id: int
    number: str
    call_id: str
    from_tag: str
    ring_seconds: float
    wanted_seconds: int
    ending: Ending = Ending.ANSWERED
    dialogs: int = 1
    by_callee: bool = False
    form: str = ""
    guesses: int = 0
    only_guesses: bool = False
    forwarded_to: str = ""
    asks_again_after: float | None = None
    leaves_prefix_out: bool = False
    claimed_ani: str = ""
    restamps: tuple[tuple[float, int], ...] = ()


class Callers:
    """Writes the script: scenes of an honest call and what is done to it."""

    def __init__(self, chance: random.Random, switches: int, horizon_seconds: float) -> None:
        """Write for so many *switches*, with scenes that begin within the horizon."""
        self._chance = chance
        self._switches = switches
        self._horizon = horizon_seconds
        self._tags = 0
        self._used: list[Invite] = []

    def script(self, scenes: int) -> list[Invite]:
        """Return every invite of so many scenes."""
        for _ in range(scenes):
            base = self._honest()
            self._used.append(base)
            for _ in range(self._chance.choice([0, 1, 1, 2, 3])):
                self._used.append(self._twin(base))
            if self._chance.random() < 0.25:
                self._used += self._burst(base)
        return self._used

    def _burst(self, base: Invite) -> list[Invite]:
        """Return calls of one client at once, each with a twin that is to free what is held for it."""
        found = []
        for position in range(self._chance.choice([2, 3, 4])):
            call = replace(
                self._honest(),
                at=base.at + 10 * position,
                switch=base.switch,
                client_id=base.client_id,
                number=self._chance.choice([DEAR, DEAR, CHEAP]),
                call_id=f"{base.call_id}-{position}",
                ring_seconds=self._chance.choice([0.0, 1.0]),
                wanted_seconds=self._chance.choice([100, 600]),
                ending=Ending.ANSWERED,
                forwarded_to="",
                leaves_prefix_out=False,
                claimed_ani="",
            )
            twin = replace(
                self._twin(call),
                at=call.at + 3,
                client_id=call.client_id,
                ring_seconds=1.0,
                ending=self._chance.choice([Ending.BUSY, Ending.CANCELLED, Ending.UNTOLD]),
            )
            found += [call, twin]
        return found

    def _tag(self) -> str:
        self._tags += 1
        return f"f{self._tags}"

    def _honest(self) -> Invite:
        chance = self._chance
        ring = chance.choice([0.0, 2.0, 5.0, 12.0, 20.0, chance.uniform(100, 420)])
        wanted = chance.choice([1, 3, 60, 61, chance.randrange(1, 300), chance.randrange(1, 1500)])
        call = Invite(
            at=chance.random() * self._horizon,
            switch=chance.randrange(self._switches),
            client_id=chance.choice(list(CONCURRENCIES)),
            number=chance.choice(NUMBERS),
            call_id=f"c{len(self._used)}",
            from_tag=self._tag(),
            ring_seconds=ring,
            wanted_seconds=wanted,
            ending=chance.choice([Ending.ANSWERED] * 6 + [Ending.BUSY, Ending.CANCELLED]),
            dialogs=chance.choice([1] * 7 + [2]),
            by_callee=chance.random() < 0.4,
            form=chance.choice(["", "", "+", "00"]),
            guesses=chance.choice([0, 0, 0, 1]),
            forwarded_to=chance.choice(["", "", "", "", "", chance.choice(NUMBERS)]),
        )
        if chance.random() < 0.2:
            call = replace(call, asks_again_after=chance.uniform(1, 100))
        if chance.random() < 0.3:
            call = replace(call, restamps=self._restamps())
        if chance.random() < 0.1:
            call = self._steals(call)
        return call

    def _restamps(self) -> tuple[tuple[float, int], ...]:
        chance = self._chance
        return tuple(
            (chance.choice([20.0, 190.0, 400.0, 3700.0, 4 * 3600.0]), chance.choice([0, 0, 7, 300]))
            for _ in range(chance.choice([1, 3]))
        )

    def _steals(self, call: Invite) -> Invite:
        """Leave the prefix out, and give the caller id of another client for its own."""
        return replace(call, client_id=PREFIXED_ID, leaves_prefix_out=True, claimed_ani=ANI)

    def _twin(self, base: Invite) -> Invite:
        """Return another invite under the Call-ID of *base*: before, during or after it."""
        chance = self._chance
        rings, talks = base.ring_seconds, float(base.wanted_seconds)
        moments = [0.0, 0.5, rings / 2, rings + 3, rings + talks / 2, rings + talks + 4, rings + talks + 60]
        moments += [rings + talks + 200.0, chance.uniform(0, rings + talks + 300)]
        is_own = chance.random() < 0.7
        number = chance.choice([base.number, CHEAP, CHEAP, DEAR, BARRED, UNPRICED, chance.choice(NUMBERS)])
        twin = self._honest()
        return replace(
            twin,
            at=max(0.0, base.at + chance.choice(moments)),
            switch=base.switch,
            client_id=base.client_id if is_own else twin.client_id,
            call_id=base.call_id,
            from_tag=base.from_tag if chance.random() < 0.3 else twin.from_tag,
            number=number,
            ring_seconds=chance.choice([0.0, 3.0, 30.0, twin.ring_seconds]),
            ending=chance.choice(list(Ending)),
            forwarded_to="",
            only_guesses=chance.random() < 0.1 and base.client_id not in (PREFIXED_ID, ANI_ID),
            leaves_prefix_out=twin.leaves_prefix_out and not is_own,
            claimed_ani="" if is_own else twin.claimed_ani,
        )
