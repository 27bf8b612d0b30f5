"""What happened to a call that an admin should know of: told in the events log, decided by nobody. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import orjson


class CallEventKind(StrEnum):
    """What happened; the value is the kind in the events log.

    ANOTHER_DIALOG: a record is of a second conversation under one call id, which nobody had asked for.
    ANOTHER_NUMBER: a record found by its call id alone names a number that nobody had asked for.
    GUESSED_LEG: nothing told which of several legs a record is of, so the dearest took it.
    NUMBER_DIFFERS: a record is of a leg beyond doubt, and names another number than was asked for.
    FAILED_AFTER_ANSWER: a call that was answered is reported as failed; it goes on.
    LATE_START: a call began whose money and place had been given back.
    OVERRUN: a call would have lasted longer than can be true; it waits for somebody to decide.
    OVER_GRANT: a call lasted longer than it was granted, and was charged.
    CONTRADICTORY_TIME: a record says that a call was not answered, and what else is known says that it was.
    AFTER_DECISION: a record tells another time of a call than somebody has decided; the decision stands.
    """

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


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One event about a call at *nas*; `facts` are whole numbers and texts, `client_id` None if nobody's."""

    at: datetime
    kind: CallEventKind
    nas: str
    client_id: int | None
    call_id: str
    session_id: str
    facts: Mapping[str, int | str | bool | None] = field(default_factory=dict)

    def text(self) -> str:
        """Return what is told, as JSON text."""
        told = {"nas": self.nas, "call_id": self.call_id, "session_id": self.session_id, **self.facts}
        return orjson.dumps(told).decode()
