"""Values of the core to columns and back, for the few statements that a turn sends.

A batch travels as one array literal a column: PostgreSQL parses a handful of constants, however
many rows there are.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

from sqlalchemy.dialects import postgresql

from billing_core.denial import Denial
from billing_core.facts import Facts
from billing_core.ledger import Entry, EntryKind
from billing_core.money import DEFAULT_ROUNDING, ONE, read_rounding
from billing_core.ports import Refusal
from billing_core.rate_table import Rate
from billing_core.session import Leg, Session, State
from billing_core.storage.tables import decision, entry, event, mail, session, xdr
from billing_core.xdr import Unbillable, Xdr, XdrState


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ELEMENTS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "NULL",
    bool: lambda value: "t" if value else "f",
    int: str,
    State: lambda value: str(value.value),
    Decimal: str,
    str: _text,
    **dict.fromkeys((Denial, EntryKind, Leg, Unbillable, XdrState), lambda value: _text(value.value)),
    tuple: lambda value: _text(" ".join(value)),
    bytes: lambda value: '"\\\\x' + value.hex() + '"',
    datetime: lambda value: '"' + value.isoformat() + '"',
}

_TYPES = {
    table.name: {column.name: column.type.compile(postgresql.dialect()) for column in table.columns}  # type: ignore[no-untyped-call]
    for table in (session, xdr, entry, decision, event, mail)
}

PINNED_RATE = (
    "code",
    "destination",
    "price_per_minute",
    "setup_fee",
    "min_volume_seconds",
    "interval_seconds",
    "grace_seconds",
    "factor",
    "rounding",
)
# What a leg is, which most of its turns leave alone.
_IDENTITY = (
    "client_id",
    "account_id",
    "nas",
    "nas_box",
    "nas_address",
    "nas_source",
    "leg",
    "calling",
    "called",
    "call_id",
    "opened_at",
    "currency",
    "rated_for",
    "authorized_at",
    "credit_time_seconds",
    "decision",
    "asked_session_id",
    "questions",
    "asked",
    *PINNED_RATE,
)
FACTS = Facts._fields
_PROGRESS = (
    "leg_key",
    "generation",
    "state",
    "session_id",
    "look_at",
    "last_heard_at",
    "reserved",
    "posted",
    "revision",
    "closed_at",
    "estimated",
    "reserved_seconds",
    "tags",
    "call_type",
    "decided_seconds",
    *FACTS,
)
_SESSION = (*_PROGRESS, *_IDENTITY)
_FACTS_AT = len(_PROGRESS) - len(FACTS)
_IDENTITY_AT = len(_PROGRESS)
_RATE_AT = len(_SESSION) - len(PINNED_RATE)
_LEGS = {leg.value: leg for leg in Leg}
_STATES = {state.value: state for state in State}
_XDR = (*Xdr._fields, "recorded_at")


def array_literal(values: Collection[object]) -> str:
    """Return a PostgreSQL array constant of *values*, which are of one type or None."""
    elements = _ELEMENTS
    column = tuple(values)
    # Most columns of a batch hold one value throughout: the moment of the turn, a zero, nothing.
    if column.count(column[0] if column else None) == len(column):
        written = [elements[type(value)](value) for value in column[:1]] * len(column)
    else:
        written = [elements[type(value)](value) for value in column]
    return "{" + ",".join(written) + "}"


def array_literals(rows: Sequence[tuple[object, ...]]) -> list[str]:
    """Return one array constant for each column of *rows*."""
    return [array_literal(column) for column in zip(*rows, strict=True)]


def _rows(table: str, columns: Sequence[str]) -> str:
    """Return a query of the rows that the array parameters make.

    Unnested in the select list they come row by row; in FROM, PostgreSQL would first store every
    column, a megabyte of fresh memory for each statement.
    """
    types = _TYPES[table]
    unnested = (f"unnest(${place}::{types[name]}[]) AS {name}" for place, name in enumerate(columns, 1))
    return f"SELECT {', '.join(unnested)}"


def insert(table: str, columns: Sequence[str]) -> str:
    """Return a statement that inserts the rows which the array parameters make."""
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) {_rows(table, columns)}"


def _update(table: str, columns: Sequence[str]) -> str:
    setting = ", ".join(f"{name} = new.{name}" for name in columns if name not in ("leg_key", "generation"))
    return (
        f"UPDATE {table} AS old SET {setting} FROM ({_rows(table, columns)}) AS new"  # noqa: S608
        " WHERE old.leg_key = new.leg_key AND old.generation = new.generation"
    )


SELECT_SESSIONS = f"SELECT {', '.join(_SESSION)} FROM session WHERE leg_key = ANY($1::bytea[])"  # noqa: S608
SELECT_VERSION_AND_SESSIONS = (
    f"SELECT version, {', '.join(_SESSION)} FROM catalogue"  # noqa: S608
    " LEFT JOIN session ON leg_key = ANY($1::bytea[])"
)
INSERT_SESSIONS = insert("session", _SESSION)
UPDATE_SESSIONS = _update("session", _SESSION)
UPDATE_PROGRESS = _update("session", _PROGRESS)
INSERT_XDRS = insert("xdr", _XDR)
INSERT_ENTRIES = insert("entry", Entry._fields)
INSERT_REFUSALS = insert("decision", Refusal._fields)


def _of_leg(columns: Sequence[str]) -> Callable[[Session], tuple[object, ...]]:
    """Return what takes the values of these columns out of a session, in their order."""
    return itemgetter(*map(Session._fields.index, columns))


_progress_of = _of_leg(_PROGRESS[:_FACTS_AT])
_identity_of = _of_leg(_IDENTITY[: -len(PINNED_RATE)])


def is_progress(before: Session, after: Session) -> bool:
    """Tell whether *after* differs from *before* only in the columns of `progress_row`."""
    return before.rate is after.rate and _identity_of(before) == _identity_of(after)


def progress_row(leg: Session) -> tuple[object, ...]:
    """Return the values of `_PROGRESS`, in its order."""
    return (*_progress_of(leg), *leg.facts)


def session_row(leg: Session) -> tuple[object, ...]:
    """Return the values of `_SESSION`, in its order."""
    rate = _rate_row(leg.rate) if leg.rate else (None,) * len(PINNED_RATE)
    return (*progress_row(leg), *_identity_of(leg), *rate)


def _rate_row(rate: Rate) -> tuple[object, ...]:
    return (
        rate.code,
        rate.destination,
        rate.price_per_minute,
        rate.setup_fee,
        rate.min_volume_seconds,
        rate.interval_seconds,
        rate.grace_seconds,
        None if rate.factor == ONE else rate.factor,
        None if rate.rounding == DEFAULT_ROUNDING else str(rate.rounding),
    )


def _rate_of(row: Sequence[Any]) -> Rate:
    terms, (factor, rounding) = row[:7], row[7:]
    if factor is None and rounding is None:
        return Rate(*terms)
    pinned = read_rounding(rounding) if rounding else DEFAULT_ROUNDING
    return replace(Rate(*terms), factor=factor or ONE, rounding=pinned)


def session_of(row: Sequence[Any]) -> Session:
    """Return the session that a row of `SELECT_SESSIONS` tells."""
    key, generation, state, session_id, look_at, last_heard_at, reserved, posted = row[:8]
    revision, closed_at, estimated, reserved_seconds, tags, call_type, decided_seconds = row[8:_FACTS_AT]
    client_id, account_id, nas, nas_box, nas_address, nas_source, leg, calling, called, call_id, opened_at = (
        row[_IDENTITY_AT : _IDENTITY_AT + 11]
    )
    currency, rated_for, authorized_at, credit_time_seconds = row[_IDENTITY_AT + 11 : _IDENTITY_AT + 15]
    decision, asked_session_id, questions, asked = row[_IDENTITY_AT + 15 : _RATE_AT]
    rate = row[_RATE_AT:]
    return Session(
        leg_key=bytes(key),
        generation=generation,
        nas=nas,
        nas_box=nas_box,
        nas_address=nas_address,
        nas_source=nas_source,
        leg=_LEGS[leg],
        state=_STATES[state],
        call_id=call_id,
        session_id=session_id,
        calling=calling,
        called=called,
        client_id=client_id,
        account_id=account_id,
        opened_at=opened_at,
        look_at=look_at,
        last_heard_at=last_heard_at,
        currency=currency,
        rate=_rate_of(rate) if rate[0] is not None else None,
        rated_for=rated_for,
        authorized_at=authorized_at,
        credit_time_seconds=credit_time_seconds,
        reserved=reserved,
        posted=posted,
        revision=revision,
        closed_at=closed_at,
        estimated=estimated,
        reserved_seconds=reserved_seconds,
        decision=decision,
        tags=tuple(tags.split()),
        asked_session_id=asked_session_id,
        call_type=call_type,
        questions=questions,
        asked=asked,
        decided_seconds=decided_seconds,
        facts=Facts(*row[_FACTS_AT:_IDENTITY_AT]),
    )


def xdr_row(record: Xdr, recorded_at: datetime) -> tuple[object, ...]:
    """Return the values of the `xdr` table, in its order."""
    return (*record, recorded_at)
