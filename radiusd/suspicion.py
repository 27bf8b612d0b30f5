"""What packets that are answered say about the settings: somebody should look at them."""

from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Final

from billing_core.authorization import AuthorizationRequest
from billing_core.report import Kind, Report
from radiusd.credentials import PapCredential
from radiusd.dialects.dialect import Unit
from radiusd.protocol import Received

UNREADABLE_IN_A_ROW: Final = 5
"""So many passwords that are no text, and none between them that is: not a typing error of one caller."""
THOUSANDFOLD_IN_A_ROW: Final = 5
"""So many durations that are true only in milliseconds, and none between them that is true in seconds."""
_SLACK_SECONDS: Final = 1


class Suspicion(StrEnum):
    """What to look into; the value is the `reason` in the log."""

    SECRET_MISMATCH = "secret_mismatch"
    FOREIGN_REALM = "foreign_realm"
    THOUSANDFOLD = "thousandfold"


class Suspicions:
    """Looks at what each NAS sends; a few numbers are all that it remembers."""

    def __init__(self) -> None:
        """Suspect nobody."""
        self._unreadable: Counter[str] = Counter()

        self._thousandfold: Counter[str] = Counter()

    def of(self, received: Received, now: datetime) -> Suspicion | None:
        """Return what a packet that came *now* gives reason to look into, if anything."""
        request = received.request
        if isinstance(request, AuthorizationRequest):
            return self._of_question(received, request)
        if not isinstance(request, Report) or request.kind is not Kind.STOP:
            return None
        told = request.session_seconds
        if told is None or not _counts_seconds(received):
            return None
        return self.of_duration(request.nas, told, possible_seconds(request, now))

    def of_duration(self, nas: str, told: int, possible: float | None) -> Suspicion | None:
        """Return whether durations of *nas* look like milliseconds that were taken for seconds.

        *told* is what a Stop says, *possible* the most that can be true, None when nothing tells it.
        """
        if possible is not None and is_thousandfold(told, possible):
            self._thousandfold[nas] += 1
        elif told > 0 and possible is not None:
            self._thousandfold[nas] = 0
        return Suspicion.THOUSANDFOLD if self._thousandfold[nas] >= THOUSANDFOLD_IN_A_ROW else None

    def _of_question(self, received: Received, request: AuthorizationRequest) -> Suspicion | None:
        """Suspect a realm that is not the switch's, or a secret that is not ours.

        Our passwords are text. One that was covered with another secret is as good as never text, and there
        is nothing else that shows a wrong secret where switches do not sign.
        """
        if request.barred:
            return Suspicion.FOREIGN_REALM
        is_signed = received.frame.message_authenticator_offset is not None
        if is_signed or not isinstance(request.credential, PapCredential):
            return None
        name = received.nas.name
        self._unreadable[name] = 0 if request.credential.is_text else self._unreadable[name] + 1
        return Suspicion.SECRET_MISMATCH if self._unreadable[name] >= UNREADABLE_IN_A_ROW else None


def _counts_seconds(received: Received) -> bool:
    return received.nas.speaks.duration_unit is Unit.SECONDS


def is_thousandfold(told_seconds: int, possible_seconds: float) -> bool:
    """Tell whether a duration can't be true in seconds by far, and can in milliseconds."""
    possible = max(possible_seconds, 0) + _SLACK_SECONDS
    return 10 * possible < told_seconds <= 1000 * possible


def possible_seconds(report: Report, now: datetime) -> float | None:
    """Return the longest time that the call of a Stop can have lasted by its dates, None if they do not tell.

    Some switches' dates of the end are reckoned from the duration, and some clocks are wrong, so the shortest
    time that is none below zero counts.
    """
    began_at = report.connect_at or report.setup_at
    if began_at is None:
        return None
    by_ours = (now - began_at).total_seconds() - report.delay_seconds
    by_switch = (report.disconnect_at - began_at).total_seconds() if report.disconnect_at else by_ours
    return min([span for span in (by_switch, by_ours) if span >= 0], default=None)
