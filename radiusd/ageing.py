"""What is kept for so many days only is removed, in a thread of the supervisor's that nobody waits for."""

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import structlog

from billing_core.ports import DataRefusedError, StorageDownError, TurnConflictError
from billing_core.storage.ageing import AT_ONCE, remove_refusals
from billing_core.storage.connection import connect
from radiusd import clock

_ROUND_SECONDS = 600.0
# Between two transactions there is room for the turns: at most 25,000 rows go in a second.
_PAUSE_SECONDS = 0.2

log = structlog.get_logger()


def remove_old(url: str, keep_days: Callable[[], int], stopping: threading.Event) -> None:
    """Every ten minutes, remove the refusals that are older than *keep_days* says, until *stopping*."""
    while not stopping.is_set():
        days = keep_days()
        try:
            removed = _round(url, timedelta(days=days), stopping)
            if removed:
                log.info("refusals_removed", count=removed, older_than_days=days)
        except (StorageDownError, DataRefusedError, TurnConflictError) as error:
            log.warning("refusals_not_removed", reason=str(error), cure="it is tried again in ten minutes")
        stopping.wait(_ROUND_SECONDS)


def _round(url: str, age: timedelta, stopping: threading.Event) -> int:
    removed = 0
    with closing(connect(url, application="radiusd ageing")) as connection:
        while not stopping.is_set():
            gone = remove_refusals(connection, clock.now() - age)
            removed += gone
            if gone < AT_ONCE:
                break
            stopping.wait(_PAUSE_SECONDS)
    return removed
