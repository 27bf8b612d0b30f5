"""Connections to PostgreSQL with bounds on every wait, and its errors in the words of the ports."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter
from sqlalchemy.engine import URL, make_url

from billing_core.ports import DataRefusedError, StorageDownError, TurnConflictError

# All are shorter than the 5 seconds after which a switch asks again.
CONNECT_SECONDS = 2
_TURN_SETTINGS = (
    "-c statement_timeout=2000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=5000"
    # One plan serves every batch: all are look-ups by key. It may have been made when the tables were
    # empty, when reading them whole seemed cheap, so that is ruled out.
    " -c plan_cache_mode=force_generic_plan"
    " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)

_CONFLICTS = {errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE, errorcodes.UNIQUE_VIOLATION}


def connect(url: str | URL, *, application: str) -> Connection:
    """Connect in autocommit mode, with bounds on how long a statement or a lock may take.

    Raises StorageDownError when nobody answers.
    """
    parsed = make_url(url)
    # What the URL asks for beyond the address, as sslmode, holds; only our bounds can't be taken away.
    parameters: dict[str, Any] = {
        "host": parsed.host,
        "port": parsed.port,
        "user": parsed.username,
        "password": parsed.password,
        "dbname": parsed.database,
        **parsed.query,
        "application_name": application,
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": 3000,
        "keepalives_idle": 10,
        "options": _TURN_SETTINGS + " -c timezone=UTC",
    }
    try:
        connection: Connection = psycopg2.connect(**parameters)
    except psycopg2.OperationalError as error:
        raise StorageDownError(str(error).strip()) from error
    connection.autocommit = True
    return connection


def cut(connection: Connection) -> None:
    """Break off a statement that nobody answers, which then fails; for another thread to call."""
    # It may be closed, or its other end be gone, at this very moment: then nothing is left to cut.
    with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the driver's errors as the ports name them."""
    try:
        yield
    except psycopg2.Error as error:
        reason = str(error).strip()
        if error.pgcode in _CONFLICTS:
            raise TurnConflictError(reason) from error
        if isinstance(error, psycopg2.DataError | psycopg2.IntegrityError):
            raise DataRefusedError(reason) from error
        raise StorageDownError(reason) from error
    except ValueError as error:  # The driver's own word for a value that it can't send, as NUL in a text.
        raise DataRefusedError(str(error)) from error
