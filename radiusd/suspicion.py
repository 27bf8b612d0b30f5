"""What questions that are answered say about the settings: somebody should look at them."""

from collections import Counter
from enum import StrEnum
from typing import Final

from billing_core.authorization import AuthorizationRequest
from radiusd.credentials import PapCredential
from radiusd.protocol import Received

UNREADABLE_IN_A_ROW: Final = 5
"""So many passwords that are no text, and none between them that is: not a typing error of one caller."""


class Suspicion(StrEnum):
    """What to look into; the value is the `reason` in the log."""

    SECRET_MISMATCH = "secret_mismatch"
    FOREIGN_REALM = "foreign_realm"


class Suspicions:
    """Looks at what each NAS sends; a few numbers are all that it remembers."""

    def __init__(self) -> None:
        """Suspect nobody."""
        self._unreadable: Counter[str] = Counter()

    def of(self, received: Received) -> Suspicion | None:
        """Return what a question gives reason to look into, if anything.

        Our passwords are text. One that was covered with another secret is as good as never text, and there
        is nothing else that shows a wrong secret where switches do not sign.
        """
        request = received.request
        if not isinstance(request, AuthorizationRequest):
            return None
        if request.barred:
            return Suspicion.FOREIGN_REALM
        is_signed = received.frame.message_authenticator_offset is not None
        if is_signed or not isinstance(request.credential, PapCredential):
            return None
        name = received.nas.name
        self._unreadable[name] = 0 if request.credential.is_text else self._unreadable[name] + 1
        return Suspicion.SECRET_MISMATCH if self._unreadable[name] >= UNREADABLE_IN_A_ROW else None
