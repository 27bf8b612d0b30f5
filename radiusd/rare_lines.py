"""Lines that come once a minute for each NAS and reason, and tell how many they stand for.

Whoever can send from a softswitch's address could otherwise fill the disk, and a switch with a wrong secret
would bury every other line. `radiusd_dropped_total` counts everything.
"""

from typing import Final

import structlog

from radiusd.suspicion import Suspicion
from radiusd.wire import DropReason

INTERVAL_SECONDS: Final = 60.0

_COMPARE_SECRETS = "compare the secret of this NAS with the switch's"
_ADVICE: dict[DropReason | Suspicion, str] = {
    DropReason.MA_MISSING: "make the switch send Message-Authenticator, or set require_message_authenticator"
    " = false for this NAS",
    DropReason.PROXY_STATE_NO_MA: "make the proxy send Message-Authenticator, or set limit_proxy_state"
    " = false for this NAS",
    DropReason.BAD_AUTHENTICATOR: _COMPARE_SECRETS,
    DropReason.BAD_MA: _COMPARE_SECRETS,
    DropReason.STATUS_DISABLED: "make the switch send none, or set status_server = true for this NAS",
    DropReason.STALE: "more is asked than can be decided, so questions older than patience_seconds of this"
    " NAS are dropped unread: add workers or processors",
    DropReason.OVERLOAD: "more comes than can be kept waiting: add workers or processors",
    Suspicion.SECRET_MISMATCH: _COMPARE_SECRETS,
    Suspicion.FOREIGN_REALM: "add the realm to realms of this NAS, if its callers may come by this switch",
    Suspicion.THOUSANDFOLD: 'set duration_unit = "ms" for this NAS, if it counts durations in milliseconds',
}

# What an admin may want as it is.
_NO_WARNING = frozenset((DropReason.STATUS_DISABLED,))

log = structlog.get_logger()


class RareLines:
    """Remembers of which NAS and reason something was written lately; both are few, whoever sends."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._silent_until: dict[tuple[str, DropReason | Suspicion], float] = {}
        self._suppressed: dict[tuple[str, DropReason | Suspicion], int] = {}

    def note(self, nas: str, source: str, reason: DropReason | Suspicion, now: float) -> None:
        """Write a line about a datagram from *source*, or count it for the next one.

        *now* is in seconds of a monotonic clock.
        """
        key = (nas, reason)
        if now < self._silent_until.get(key, now):
            self._suppressed[key] = self._suppressed.get(key, 0) + 1
            return
        self._silent_until[key] = now + INTERVAL_SECONDS
        suppressed = self._suppressed.pop(key, 0)
        facts = {
            "nas": nas,
            "source": source,
            "reason": reason.value,
            "suppressed": suppressed,
            "advice": _ADVICE.get(reason),
        }
        if isinstance(reason, Suspicion):
            log.warning("suspicious", **facts)
        elif reason in _ADVICE and reason not in _NO_WARNING:
            log.warning("dropped", **facts)
        else:
            log.info("dropped", **facts)
