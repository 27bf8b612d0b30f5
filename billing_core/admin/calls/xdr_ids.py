"""The ids of records: a leg's key in hexadecimal, of which its beginning will do, and its generation.

`4f0c82…-0` is the first leg of that key; `4f0c-0` and `4f0c` are the same, as long as no other begins so.
"""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text

from billing_core.admin.output import CommandError
from billing_core.session import LegId

SHOWN_DIGITS = 12
"""So much of the key people are shown; programs get all of it."""

_ID = re.compile(r"([0-9a-f]{1,32})(?:-([0-9]{1,9}))?")
_KEY_DIGITS = 32
_TOLD = 5

ID_SQL = "encode({0}.leg_key, 'hex') || '-' || {0}.generation"
"""The id of a row of a table {0} as SQL."""


def id_text(leg: LegId) -> str:
    """Return the whole id of a leg."""
    key, generation = leg
    return f"{key.hex()}-{generation}"


def short(id: str) -> str:
    """Return an id as people are shown it."""
    key, _, generation = id.partition("-")
    return f"{key[:SHOWN_DIGITS]}-{generation}"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The legs that a beginning of an id means: keys between two, of one generation or any."""

    first: bytes
    last: bytes
    generation: int | None


def found_ids(connection: Connection, written: str, table: str = "session") -> list[LegId]:
    """Return the legs that *written* may mean, at most a few; none if it can't be an id."""
    wanted = _wanted(written)
    if wanted is None:
        return []
    statement = f"""
        SELECT DISTINCT leg_key, generation FROM {table}
        WHERE leg_key BETWEEN :first AND :last
            AND (CAST(:generation AS int) IS NULL OR generation = :generation)
        ORDER BY leg_key, generation LIMIT {_TOLD + 1}"""  # noqa: S608 - one of two tables
    values = {"first": wanted.first, "last": wanted.last, "generation": wanted.generation}
    return [(bytes(key), generation) for key, generation in connection.execute(text(statement), values)]


def found_id(connection: Connection, written: str) -> LegId:
    """Return the leg that an id means; raise CommandError if it means none, or several."""
    legs = found_ids(connection, written)
    if len(legs) == 1:
        return legs[0]
    if legs:
        raise ambiguous(written, legs)
    if found_ids(connection, written, "xdr"):
        raise CommandError(
            f'record "{written}": its leg is not remembered any more; book what is to be changed with'
            " `billing correction`"
        )
    raise CommandError(f'record "{written}" is not known; `billing xdrs --unbillable` shows the ids')


def ambiguous(written: str, legs: list[LegId]) -> CommandError:
    """Return the error that *written* means several *legs*."""
    ids = ", ".join(id_text(leg) for leg in legs[:_TOLD])
    more = ", …" if len(legs) > _TOLD else ""
    return CommandError(f'record "{written}" may be {ids}{more}; write more of it')


def _wanted(written: str) -> _Wanted | None:
    match = _ID.fullmatch(written.lower())
    if match is None:
        return None
    key, generation = match.groups()
    first, last = (bytes.fromhex(key.ljust(_KEY_DIGITS, filler)) for filler in "0f")
    return _Wanted(first, last, int(generation) if generation is not None else None)
