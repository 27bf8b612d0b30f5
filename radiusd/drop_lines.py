"""Lines about dropped datagrams: for each NAS and reason one a minute, which tells how many it stands for.

Whoever can send from a softswitch's address could otherwise fill the disk, and a switch with a wrong secret
would bury every other line. Strangers get no line at all; `radiusd_dropped_total` counts everything.
"""

from typing import Final

import structlog

from radiusd.wire import DropReason

INTERVAL_SECONDS: Final = 60.0

_ADVICE = {
    DropReason.MA_MISSING: "make the switch send Message-Authenticator, or set require_message_authenticator"
    " = false for this NAS",
    DropReason.PROXY_STATE_NO_MA: "make the proxy send Message-Authenticator, or set limit_proxy_state"
    " = false for this NAS",
    DropReason.BAD_AUTHENTICATOR: "compare the secret of this NAS with the switch's",
    DropReason.BAD_MA: "compare the secret of this NAS with the switch's",
}

log = structlog.get_logger()


class DropLines:
    """Remembers of which NAS and reason something was written lately; both are few, whoever sends."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._silent_until: dict[tuple[str, DropReason], float] = {}
        self._suppressed: dict[tuple[str, DropReason], int] = {}

    def note(self, nas: str, source: str, reason: DropReason, now: float) -> None:
        """Write a line about a datagram from *source*, or count it for the next one.

        *now* is in seconds of a monotonic clock.
        """
        key = (nas, reason)
        if now < self._silent_until.get(key, now):
            self._suppressed[key] = self._suppressed.get(key, 0) + 1
            return
        self._silent_until[key] = now + INTERVAL_SECONDS
        suppressed = self._suppressed.pop(key, 0)
        log.info(
            "dropped",
            nas=nas,
            source=source,
            reason=reason.value,
            suppressed=suppressed,
            advice=_ADVICE.get(reason),
        )
