"""Waiting for others: for whoever defines something, and for locks that are not to be had at once."""

import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from billing_core.storage.locks import is_busy
from billing_core.storage.tables import catalogue

ATTEMPTS = 20

Result = TypeVar("Result")


class StillBusyError(Exception):
    """Others held what was wanted, as often as it was tried; nothing was done."""


def when_free(
    engine: Engine, work: Callable[[Connection], Result], *, lock_timeout: str, pause_seconds: float
) -> Result:
    """Do *work* in a transaction that waits for no lock longer than *lock_timeout*, and commit it.

    It is tried again after pauses by chance, each time of up to *pause_seconds* more. Raises StillBusyError.
    """
    for attempt in range(ATTEMPTS):
        try:
            with engine.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = '{lock_timeout}'"))
                return work(connection)
        except DBAPIError as error:
            if not is_busy(error):
                raise
            time.sleep(random.uniform(0, pause_seconds * (attempt + 1)))
    raise StillBusyError


def locked_catalogue(connection: Connection) -> int:
    """Wait for whoever else changes definitions, and return the catalogue's version."""
    return int(connection.execute(select(catalogue.c.version).with_for_update()).scalar_one())


def moment(connection: Connection) -> datetime:
    """Return the database's time now: its transactions' begin is from before they waited for a lock."""
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now
