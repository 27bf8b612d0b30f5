"""Softswitches that carry whatever callers do, and tell of it as honestly as they can.

Of each conversation the switch remembers who talked to which number, and how long: the truth that the books
are compared with. Nothing here looks at what the server made of it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import inf

from calls import NOON, Password
from calls import report as a_report
from calls import request as a_request
from conversation import Attempt, Dialog
from habits import ADDRESSES, Habits, Naming
from invites import Ending, Invite
from market import Way
from nas import Character, Nas
from words import in_words

from billing_core.authorization import Authorized, Denied
from billing_core.ports import Reboot
from billing_core.report import Kind, Report
from billing_core.session import Leg, LegId, leg_key

TOLD_FAILURES = (Ending.BUSY, Ending.CANCELLED)
VENDOR_IP = "203.0.113.20"
ROUTED = "1999"
"""What a switch that rewrites numbers puts before them."""
REACTION_SECONDS = 20.0
"""How long a copy of a packet may still be on its way after the switch has its answer."""


class Proxy(Nas):
    """A switch that obeys granted times and Disconnect-Requests, and repeats records until answered."""

    def __init__(self, name: str, habits: Habits, character: Character, *rest: object) -> None:
        """Take what `Nas` takes after *habits*."""
        super().__init__(name, character, *rest)  # type: ignore[arg-type]
        self.habits = habits
        self.attempts: list[Attempt] = []
        self.told: Callable[[str], None] = lambda line: None

    # --- conversations ------------------------------------------------------------------------------

    def invite(self, invite: Invite, way: Way) -> None:
        """Carry an invite: ask for it, and do with it what its caller and the called want."""
        made_up = f"{self.name}-s{len(self.attempts)}"
        call_id = f"guid-{made_up}" if self.habits.naming is Naming.GUID else invite.call_id
        attempt = Attempt(
            invite, self.name, call_id, made_up, way, invite.number, self._clock(), guesses=invite.guesses
        )
        self.attempts.append(attempt)
        self._ask(attempt)
        if invite.asks_again_after is not None:
            self._later(invite.ring_seconds + invite.asks_again_after, lambda: self._ask_again(attempt))

    def _ask(self, attempt: Attempt) -> None:
        invite, way, naming = attempt.invite, attempt.way, self.habits.naming
        attempt.numbers.add(attempt.number)
        is_guess = attempt.guesses > 0 or invite.only_guesses
        named = Password("a guess" if is_guess else "secret") if way.name else None
        asked = a_request(
            attempt.call_id,
            nas=self.name,
            nas_box=self._identifier(),
            nas_address=self._chance.choice(self.habits.addresses),
            leg_key=attempt.key,
            session_id=attempt.session_id if naming is Naming.SESSION else self._bare_session_id(attempt),
            tags=(invite.from_tag,) if naming is Naming.TAGS else (),
            name=way.name,
            credential=named,
            ip=way.ip,
            calling=self._calling(attempt),
            called=self._dialled(attempt, attempt.number),
            sends_start=self.character.sends_start,
            can_disconnect=self.character.can_disconnect,
            unheard_seconds=self.habits.unheard_seconds,
        )
        self._post(
            attempt, asked, lambda outcome, number=attempt.number: self._answered(attempt, number, outcome)
        )

    def _bare_session_id(self, attempt: Attempt) -> str:
        """Return the session id of a question that has none of its own."""
        return "" if self.habits.naming is Naming.GUID else attempt.call_id

    def _ask_again(self, attempt: Attempt) -> None:
        if attempt.accepted_at is not None and not attempt.over:
            self._ask(attempt)

    def _answered(self, attempt: Attempt, number: str, outcome: object) -> None:
        invite = attempt.invite
        if isinstance(outcome, Denied):
            attempt.refused.add(number)
            if attempt.guesses and attempt.accepted_at is None:
                attempt.guesses -= 1
                if not attempt.guesses:
                    self._ask(attempt)
            elif number != invite.number and not attempt.over:
                self._fail(attempt)
            return
        if isinstance(outcome, Authorized):
            self._accepted(attempt, number, outcome)

    def _accepted(self, attempt: Attempt, number: str, outcome: Authorized) -> None:
        linked, is_first_number = (attempt.key, outcome.generation), number == attempt.invite.number
        attempt.legs.add(linked)
        attempt.refused.discard(number)
        for dialog in attempt.dialogs:
            # It was asked again while they talk: the shorter of the two times counts.
            self._later(outcome.credit_time_seconds, lambda dialog=dialog: self._bye(dialog))
        if attempt.over or (attempt.accepted_at is not None and is_first_number):
            return
        attempt.linked = linked
        attempt.granted_seconds = outcome.credit_time_seconds
        if not is_first_number:
            self._later(1.0, lambda: self._rung(attempt))
            return
        attempt.accepted_at = self._clock()
        self._later(attempt.invite.ring_seconds, lambda: self._forward_or_ring(attempt))

    def _forward_or_ring(self, attempt: Attempt) -> None:
        to = attempt.invite.forwarded_to
        if to and to != attempt.number and not attempt.over:
            attempt.number = to
            self._ask(attempt)
        else:
            self._rung(attempt)

    def _rung(self, attempt: Attempt) -> None:
        """The ringing is over: it is answered, perhaps twice, or fails."""
        if attempt.over or attempt.dialogs:
            return
        if attempt.invite.ending is not Ending.ANSWERED:
            self._fail(attempt)
            return
        # Which side of which branch is seen twice could not be told, so such gateways do not fork. And of a
        # branch that nobody asked for and nothing dates, nothing tells what cannot be true.
        forks = not (self.habits.two_sides or self.habits.milliseconds)
        for branch in range(attempt.invite.dialogs if forks else 1):
            session_id = attempt.session_id + (f"-{branch}" if branch else "")
            tag = f"t{len(self.attempts)}-{attempt.session_id}-{branch}"
            dialog = Dialog(attempt, attempt.number, tag, session_id, self._clock())
            attempt.dialogs.append(dialog)
            lasts = min(max(1, attempt.invite.wanted_seconds // (branch + 1)), attempt.granted_seconds)
            if self.character.sends_start:
                self._record(dialog, Kind.START)
            self._later(lasts, lambda dialog=dialog: self._bye(dialog))
            if self.character.interim_seconds:
                self._later(self.character.interim_seconds, lambda dialog=dialog: self._alive_still(dialog))

    def _fail(self, attempt: Attempt) -> None:
        attempt.over = True
        if attempt.invite.ending in TOLD_FAILURES:
            dead = Dialog(
                attempt, attempt.number, f"x-{attempt.session_id}", attempt.session_id, self._clock(), 0
            )
            self._record(dead, Kind.FAILED)

    def _alive_still(self, dialog: Dialog) -> None:
        if dialog.seconds is None:
            self._record(dialog, Kind.INTERIM, int(self._clock() - dialog.answered_at))
            self._later(self.character.interim_seconds or 0, lambda: self._alive_still(dialog))

    def _bye(self, dialog: Dialog) -> None:
        """End a conversation; it is told as it is counted: in whole seconds, or by two dates."""
        if dialog.seconds is not None:
            return
        dialog.ended_at = now = self._clock()
        dialog.seconds = int(now - dialog.answered_at + 0.001)
        if not self.habits.tells_seconds:
            dialog.seconds = _whole(now) - _whole(dialog.answered_at)
        dialog.attempt.over = all(other.seconds is not None for other in dialog.attempt.dialogs)
        self._record(dialog, Kind.STOP, dialog.seconds)
        if self.habits.tells_seconds:
            for after, delay in dialog.attempt.invite.restamps:
                dialog.attempt.pending += 1  # Until then it is not quiet.
                self._later(after, lambda delay=delay: self._restamp(dialog, delay))

    def restart_spare(self) -> None:
        """Tell that a device of this switch restarts which carries no call."""
        event_at = NOON + timedelta(seconds=self._clock())
        spare = Reboot(self.name, self._identifier(), event_at, starting=True, nas_address=ADDRESSES[-1])
        self._send(spare, lambda outcome: None)

    def end_leg(self, leg: LegId) -> None:
        """Obey a Disconnect-Request for a leg: end every conversation that was granted as that leg."""
        for attempt in self.attempts:
            if leg in attempt.legs:
                for dialog in attempt.dialogs:
                    self._bye(dialog)

    # --- records ------------------------------------------------------------------------------------

    def _restamp(self, dialog: Dialog, delay_seconds: int) -> None:
        """Send a Stop once more, dated by now."""
        dialog.attempt.pending -= 1
        self._record(dialog, Kind.STOP, dialog.seconds, delay_seconds)

    def _record(self, dialog: Dialog, kind: Kind, seconds: int | None = None, delay_seconds: int = 0) -> None:
        told = self._report(dialog, kind, seconds, delay_seconds)
        self._post(dialog.attempt, told, lambda outcome: None)
        if self.habits.two_sides:
            other = told._replace(call_type="VoIP", session_id=f"{told.session_id}-voip")
            self._post(dialog.attempt, other, lambda outcome: None)
        if self.habits.vendors and kind is not Kind.FAILED:
            key = leg_key(self.name, told.call_id, Leg.TERMINATION, f"{VENDOR_IP}/{told.session_id}")
            vendors = told._replace(
                leg=Leg.TERMINATION,
                leg_keys=(key,),
                termination_address=VENDOR_IP,
                called=dialog.number,  # The prefix is between the client and us.
                linked=None,
            )
            self._post(dialog.attempt, vendors, lambda outcome: None)

    def _report(self, dialog: Dialog, kind: Kind, seconds: int | None, delay_seconds: int) -> Report:
        attempt, habits = dialog.attempt, self.habits
        calling, called, tags = self._parties(dialog, kind)
        if habits.milliseconds and seconds is not None:
            seconds *= 1000
        told = a_report(
            kind,
            attempt.call_id,
            nas=self.name,
            nas_box=self._identifier(),
            nas_address=self._chance.choice(self.habits.addresses),
            leg_keys=(attempt.key,),
            session_id=self._session_id(dialog),
            tags=tags,
            name=attempt.way.name,
            ip=attempt.way.ip,
            calling=calling,
            called=called,
            event_at=self._event_at(),
            delay_seconds=delay_seconds,
            session_seconds=seconds if habits.tells_seconds or kind is Kind.INTERIM else None,
            can_disconnect=self.character.can_disconnect,
            linked=attempt.linked if habits.returns_class else None,
            call_type="Telephony" if habits.two_sides else "",
            numbers_change=habits.rewrites,
        )
        if not habits.tells_times or kind is not Kind.STOP:
            return told
        return told._replace(
            connect_at=self._dated(dialog.answered_at), disconnect_at=self._dated(dialog.ended_at)
        )

    def _parties(self, dialog: Dialog, kind: Kind) -> tuple[str, str, tuple[str, ...]]:
        """Return the calling and called number of a record, and its tags."""
        attempt = dialog.attempt
        calling, called = self._calling(attempt), self._dialled(attempt, dialog.number)
        if self.habits.rewrites:
            called = f"{ROUTED}{dialog.number}"
        if self.habits.naming is not Naming.TAGS:
            return calling, called, ()
        if kind is Kind.STOP and attempt.invite.by_callee:
            # Within the dialog the callee's BYE is From it: a proxy tells what stands in the message.
            return called, calling, (dialog.to_tag, attempt.invite.from_tag)
        return calling, called, (attempt.invite.from_tag, dialog.to_tag)

    def _session_id(self, dialog: Dialog) -> str:
        is_named_by_call = self.habits.naming in (Naming.CALL_ID, Naming.TAGS)
        return dialog.attempt.call_id if is_named_by_call else dialog.session_id

    def _post(self, attempt: Attempt, sent: object, then) -> None:  # type: ignore[no-untyped-def]
        """Send a packet of an attempt, and note until when copies of it may be under way."""
        attempt.pending += 1
        attempt.quiet_at = inf

        def answered(outcome: object) -> None:
            self.told(f"{self._clock():8.1f} {self.name} answered: {in_words(outcome)}")
            still()
            then(outcome)

        def still() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                attempt.pending -= 1
                if not attempt.pending:
                    attempt.quiet_at = self._clock() + REACTION_SECONDS

        waiting = True
        self.told(f"{self._clock():8.1f} {self.name} {in_words(sent)}")
        self._send(sent, answered)  # type: ignore[arg-type]
        if not isinstance(sent, Report):
            self._later(REACTION_SECONDS, still)  # A question is asked a few times, and then given up.

    # --- what is written in packets ------------------------------------------------------------------

    def _identifier(self) -> str:
        return self.name if self.habits.has_identifier else ""

    def _calling(self, attempt: Attempt) -> str:
        return attempt.invite.claimed_ani or attempt.way.calling

    def _dialled(self, attempt: Attempt, number: str) -> str:
        prefix = "" if attempt.invite.leaves_prefix_out else attempt.way.prefix
        return prefix + attempt.invite.form + number

    def _event_at(self) -> datetime | None:
        return self._dated(self._clock()) if self.character.dated else None

    def _dated(self, seconds: float) -> datetime:
        """Return a moment by the switch's own clock, which tells whole seconds."""
        return NOON + timedelta(seconds=_whole(seconds) + self.character.skew_seconds)


def _whole(seconds: float) -> int:
    return int(seconds + 0.001)
