"""A world of honest switches and callers who cheat: one seed writes the script and shuffles the rest."""

import random
from collections import Counter as Tally
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from auditor import Auditor
from habits import habits
from invites import Callers, Invite
from market import CONCURRENCIES, Market
from nas import SURE_ATTEMPT, Character
from network import CALM, Weather
from proxy import Proxy
from world import DISCONNECT_SECONDS, SWEEP_SECONDS, World

from billing_core.report import Report
from billing_core.session import Session
from billing_core.sweep import OnSilence

SCENES = 5
SWITCHES = ("north", "south")


class Onlooker(Auditor):
    """Recomputes the sums after every step; what a leg must cost it leaves to those who saw the calls."""

    def look(self) -> None:
        """Recompute the sums, if anything was committed since the last look."""
        if self._storage.commits == self._commits:
            return
        self._commits = self._storage.commits
        self.looks += 1
        self._entries_are_only_added()
        self._sums_are_right()
        for id, client in self._clients.items():
            self.worst[id] = max(self.worst[id], -(self._live[id] + client.credit))

    def accepted(self, session: Session) -> None:
        """Remember nothing."""

    def received(self, report: Report) -> None:
        """Remember nothing."""

    def in_doubt(self, leg_key: bytes) -> None:
        """Remember nothing."""

    def acknowledged(self, report: Report) -> None:
        """Remember nothing."""


class HostileWorld(World):
    """Switches obey, operators only give, losses in a row are bounded: only callers are up to something.

    With a *script* these invites happen instead of the seed's own, with `is_calm` in calm weather and without
    dying workers: so a seed that fails is made smaller.
    """

    definitions: Market
    switches: list[Proxy]  # type: ignore[assignment]

    def __init__(self, seed: int, *, script: Sequence[Invite] | None = None, is_calm: bool = False) -> None:
        """Prepare what *seed* says; `run` lets it happen."""
        self._is_calm = is_calm
        self._hung_up: Tally[tuple[bytes, int]] = Tally()
        if script is None:
            script = Callers(random.Random(f"{seed} callers"), len(SWITCHES), 1200.0).script(SCENES)
        self.script = script
        self._habits = random.Random(f"{seed} habits")
        self.trace: list[str] = []
        super().__init__(seed, orderly=True)

    def _definitions(self) -> Market:  # type: ignore[override]
        return Market(self.chance)

    def _auditor(self) -> Onlooker:
        return Onlooker(self.storage, self.definitions.clients)

    def _weather(self) -> Weather:
        # Half of the worlds are quiet: what goes wrong there is nobody's fault but the callers'.
        is_quiet = self._habits.random() < 0.5
        self._is_calm = self._is_calm or is_quiet
        return CALM if self._is_calm else super()._weather()

    def _faults(self) -> float:
        return 0.0 if self._is_calm else super()._faults()

    def _switch(self, name: str) -> Proxy:
        choose = self._habits.choice
        character = Character(
            sends_start=choose([True, True, False]),
            dated=choose([True, True, False]),
            interim_seconds=choose([None, None, 30]),
            skew_seconds=choose([0.0, 0.0, 20.0, -20.0]),
            tells_twice=not self._is_calm and choose([False] * 4 + [True]),
            can_disconnect=choose([True, True, False]),
            on_silence=OnSilence.CHARGE_KNOWN,
        )
        switch = Proxy(
            name,
            habits(self._habits, character.dated, character.sends_start),
            character,
            self.chance,
            self.network,
            self.later,
            lambda: self.seconds,
            [worker.receive for worker in self.workers],
        )
        switch.told = self.trace.append
        return switch

    def _switch_names(self) -> tuple[str, ...]:
        return SWITCHES

    def _open_accounts(self) -> None:
        for id in CONCURRENCIES:
            self._pay(id, Decimal(self._habits.choice(["5", "40", "200"])))

    def _plan(self, calls: int) -> None:
        self._every(SWEEP_SECONDS, self._sweep)
        self._every(DISCONNECT_SECONDS, self._disconnect)
        for switch in self.switches:
            self.later(self._habits.random() * 1500, switch.restart_spare)
        for invite in self.script:
            self.later(invite.at, partial(self._invite, invite))

    def _invite(self, invite: Invite) -> None:
        self.switches[invite.switch].invite(invite, self.definitions.way(invite.client_id))

    def _disconnect(self) -> None:
        """Ask switches to end legs, a few times."""
        for leg, order in self.storage.disconnects.items():
            if self._hung_up[leg] < SURE_ATTEMPT + 1:
                self._hung_up[leg] += 1
                switch = next(switch for switch in self.switches if switch.name == order.nas)
                self.network.carry(partial(switch.end_leg, leg), self._hung_up[leg] >= SURE_ATTEMPT)
