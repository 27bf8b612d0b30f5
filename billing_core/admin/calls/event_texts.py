"""The kinds of events, and what is told of each."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import StrEnum

from billing_core.admin.definitions.difference import Change
from billing_core.admin.output import Record


class EventKind(StrEnum):
    """What kind of event it is.

    LOW_BALANCE: a client's money became low. BLOCKED: somebody, or a watch, barred calls. UNBILLABLE: a
    record could not be charged. DISCONNECTED: a switch was asked to end a call. CONFIGURATION: a field
    of a definition was changed. The others are about single calls, see `CallEventKind`.
    """

    LOW_BALANCE = "low_balance"
    BLOCKED = "blocked"
    UNBILLABLE = "unbillable"
    DISCONNECTED = "disconnected"
    CONFIGURATION = "configuration"
    ANOTHER_DIALOG = "another_dialog"
    ANOTHER_NUMBER = "another_number"
    GUESSED_LEG = "guessed_leg"
    NUMBER_DIFFERS = "number_differs"
    FAILED_AFTER_ANSWER = "failed_after_answer"
    LATE_START = "late_start"
    OVERRUN = "overrun"
    OVER_GRANT = "over_grant"
    CONTRADICTORY_TIME = "contradictory_time"
    AFTER_DECISION = "after_decision"


def event_text(kind: EventKind, facts: Record) -> str:
    """Return what is told of an event for people: of one that stands for several, how many they are."""
    count = facts.get("count", 1)
    more = f"; the first of {count} within a minute" if count > 1 else ""
    return _TEXTS[kind](facts) + more


def _low_balance(facts: Record) -> str:
    money = f"available {facts['available']} {facts['currency']} is below {facts['value']}"
    return f"{money}; the {facts['notify']} is told"


def _blocked(facts: Record) -> str:
    until = f"until {facts['expires_at']}" if facts["expires_at"] else "until removed"
    reason = f": {facts['reason']}" if facts["reason"] else ""
    return f"{facts['kind']} {facts['value']} is blocked {until} by {facts['who']}{reason}"


def _unbillable(facts: Record) -> str:
    numbers = f"from {facts['calling'] or 'nobody'} to {facts['called'] or 'nowhere'}"
    return f"{facts['leg']} {facts['call_id']} {numbers} could not be charged: {facts['reason']}"


def _disconnected(facts: Record) -> str:
    call = facts["call_id"] or facts["session_id"] or "a call that is not known any more"
    became = facts["outcome"] or "no answer yet"
    return f"{facts['nas']} was asked to end {call}: {facts['reason']}; {became}"


def _configuration(facts: Record) -> str:
    what = (facts[key] for key in ("object_kind", "object_name", "field", "before", "after"))
    return f"{Change(*what)} by {facts['who']} through {facts['through']}"


def _of_call(words: str) -> Callable[[Record], str]:
    """Return what tells of a call by *words*, in which facts may stand."""

    def told(facts: Record) -> str:
        call = facts["call_id"] or facts["session_id"] or "without a name"
        known = {name: "an unknown one" if value in (None, "") else value for name, value in facts.items()}
        return f"{facts['nas']}, call {call}: " + words.format_map(
            defaultdict(lambda: "an unknown one", known)
        )

    return told


_TEXTS: Mapping[EventKind, Callable[[Record], str]] = {
    EventKind.LOW_BALANCE: _low_balance,
    EventKind.BLOCKED: _blocked,
    EventKind.UNBILLABLE: _unbillable,
    EventKind.DISCONNECTED: _disconnected,
    EventKind.CONFIGURATION: _configuration,
    EventKind.ANOTHER_DIALOG: _of_call("a record is of another dialog that nobody asked for, to {called}"),
    EventKind.ANOTHER_NUMBER: _of_call("a record names {called}, which nobody asked for"),
    EventKind.GUESSED_LEG: _of_call("nothing tells which leg a record is of, so the dearest took it"),
    EventKind.NUMBER_DIFFERS: _of_call("a record names {called}, and {leg_called} was asked for"),
    EventKind.FAILED_AFTER_ANSWER: _of_call("it was answered and is reported as failed; it goes on"),
    EventKind.LATE_START: _of_call("it began after its money and place had been given back"),
    EventKind.OVERRUN: _of_call("{seconds} s are longer than it can have lasted; charge or waive it"),
    EventKind.OVER_GRANT: _of_call("it lasted {seconds} s, was granted {granted_seconds} s, and is charged"),
    EventKind.CONTRADICTORY_TIME: _of_call("a record contradicts itself on how long it lasted"),
    EventKind.AFTER_DECISION: _of_call("{seconds} s were decided, a record tells {told_seconds} s by now"),
}
