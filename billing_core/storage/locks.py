"""What PostgreSQL says when a lock is not to be had."""

from psycopg2 import errorcodes
from sqlalchemy.exc import DBAPIError

_BUSY = {errorcodes.DEADLOCK_DETECTED, errorcodes.LOCK_NOT_AVAILABLE}


def is_busy(error: DBAPIError) -> bool:
    """Tell whether nothing is wrong but that others hold what was wanted: try again."""
    return getattr(error.orig, "pgcode", None) in _BUSY
