"""What the supervisor does beside its watch, in threads that nobody waits for; each tries again later."""

import itertools
import threading
from collections.abc import Callable

import structlog

from billing_core.ports import DataRefusedError, StorageDownError
from billing_core.storage.disconnects import Disconnects
from billing_core.storage.low_balances import LowBalances
from billing_core.storage.schema import extend
from radiusd import clock
from radiusd.ageing import remove_old
from radiusd.disconnect import Disconnector
from radiusd.gauges import SupervisorGauges
from radiusd.steward import Kept

_GAUGES_SECONDS = 10.0
_NOTICES_SECONDS = 2.0
_NOTICES_LOOKS = 30
_MONTHS_SECONDS = 86_400.0

log = structlog.get_logger()


def start_chores(
    kept: Kept,
    gauges: SupervisorGauges,
    disconnector: Disconnector,
    keep_refusals_days: Callable[[], int],
    stopping: threading.Event,
) -> None:
    """Begin everything that is done now and then, until *stopping*, with the database that is *kept*."""
    # Months are tables, which their owner alone can make.
    owner_url = kept.owner_url or kept.url
    chores: dict[str, Callable[[], None]] = {
        "gauges": lambda: _measure(gauges, kept.url, stopping),
        "notices": lambda: _look_at_balances(kept.url, stopping),
        "months": lambda: _extend(owner_url, stopping),
        "ageing": lambda: remove_old(kept.url, keep_refusals_days, stopping),
        "disconnects": lambda: disconnector.run(Disconnects(kept.url), stopping),
    }
    for name, chore in chores.items():
        threading.Thread(target=chore, name=name, daemon=True).start()


def _measure(gauges: SupervisorGauges, url: str, stopping: threading.Event) -> None:
    """Ask the database for the gauges."""
    while not stopping.is_set():
        try:
            gauges.measure(url)
        except StorageDownError as error:
            log.warning("gauges_unknown", reason=str(error))
        stopping.wait(_GAUGES_SECONDS)


def _look_at_balances(url: str, stopping: threading.Event) -> None:
    """Soon after definitions have changed, and now and then, tell of balances that they made low."""
    balances = LowBalances(url)
    looks = itertools.cycle([False] + [True] * _NOTICES_LOOKS)
    while not stopping.is_set():
        try:
            if notices := balances.look(clock.now(), only_if_changed=next(looks)):
                log.info("low_balances", notices=notices)
        except (StorageDownError, DataRefusedError) as error:
            balances.close()
            log.warning("notices_delayed", reason=str(error))
        stopping.wait(_NOTICES_SECONDS)
    balances.close()


def _extend(owner_url: str, stopping: threading.Event) -> None:
    """At start and once a day, make room for the records of a year, if we own the tables."""
    while not stopping.is_set():
        try:
            made = extend(owner_url)
        except StorageDownError as error:
            log.warning("months_not_made", reason=str(error))
        else:
            log.info("months", made=made)
        stopping.wait(_MONTHS_SECONDS)
