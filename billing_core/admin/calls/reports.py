"""Calls under way, and the finished records of calls, with names in place of ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, or_, select, tuple_

from billing_core.admin.calls.hidden_numbers import hidden
from billing_core.admin.calls.xdr_ids import ID_SQL
from billing_core.admin.found import found_client
from billing_core.admin.output import Record
from billing_core.session import State
from billing_core.storage.tables import account, client, session, xdr
from billing_core.xdr import XdrState

CALL_COLUMNS = (
    "client",
    "account",
    "leg",
    "called",
    "destination",
    "since",
    "state",
    "credit_time_seconds",
    "reserved",
    "currency",
    "nas",
)
XDR_COLUMNS = (
    "id",
    "client",
    "account",
    "leg",
    "dated_at",
    "called",
    "destination",
    "duration_seconds",
    "billed_seconds",
    "amount",
    "currency",
    "state",
    "reason",
    "disconnect_cause",
)

_INTERNAL = ("leg_key", "client_id", "account_id")
XDR_FIELDS = (
    "client",
    "account",
    *(column.name for column in xdr.columns if column.name not in _INTERNAL),
    "id",
)

Records = Iterator[Record]

_account_label = func.coalesce(account.c.name, account.c.ip, account.c.ani).label("account")


@dataclass(frozen=True, slots=True)
class XdrFilter:
    """Which records are wanted; what is absent does not matter.

    `call` is a call id or a session id, `reason` why a record could not be charged. `since` and `until` are
    compared with the moment that dates a record; `until` itself is not wanted any more. With `shows_numbers`
    none are hidden, whatever clients want.
    """

    client: str | None = None
    call: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_unbillable: bool = False
    reason: str | None = None
    nas: str | None = None
    limit: int | None = None
    shows_numbers: bool = False


def calls(
    connection: Connection, limit: int | None = None, *, shows_numbers: bool = False
) -> Iterator[Record]:
    """Yield the legs under way, the longest first."""
    statement = (
        select(
            client.c.name.label("client"),
            _account_label,
            session.c.leg,
            session.c.call_id,
            session.c.session_id,
            session.c.calling,
            session.c.called,
            session.c.code,
            session.c.destination,
            func.coalesce(session.c.connect_at, session.c.opened_at).label("since"),
            session.c.state,
            session.c.credit_time_seconds,
            session.c.reserved,
            session.c.currency,
            session.c.known_seconds,
            session.c.nas,
            client.c.hidden_numbers,
        )
        .outerjoin(client, client.c.id == session.c.client_id)
        .outerjoin(account, account.c.id == session.c.account_id)
        .where(session.c.closed_at.is_(None))
        .order_by("since", session.c.leg_key, session.c.generation)
        .limit(limit)
    )
    for record in hidden(_records(connection, statement), are_shown=shows_numbers):
        yield {**record, "state": State(record["state"]).name.lower()}


def xdrs(connection: Connection, wanted: XdrFilter) -> Iterator[Record]:
    """Yield the last revision of each finished leg, in order of the moment that dates it.

    A limit leaves the newest. Raises CommandError for a client who does not exist.
    """
    statement = (
        select(
            literal_column(ID_SQL.format("xdr")).label("id"),
            client.c.name.label("client"),
            _account_label,
            *(column for column in xdr.columns if column.name not in _INTERNAL),
            client.c.hidden_numbers,
        )
        .outerjoin(client, client.c.id == xdr.c.client_id)
        .outerjoin(account, account.c.id == xdr.c.account_id)
        .where(_is_last_revision())
    )
    statement = statement.where(*_conditions(connection, wanted))
    order = (xdr.c.dated_at, xdr.c.leg_key, xdr.c.generation)
    if wanted.limit is None:
        return hidden(_records(connection, statement.order_by(*order)), are_shown=wanted.shows_numbers)
    newest = statement.order_by(*(column.desc() for column in order)).limit(wanted.limit)
    return hidden(reversed(list(_records(connection, newest))), are_shown=wanted.shows_numbers)


def _conditions(connection: Connection, wanted: XdrFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.client is not None:
        yield xdr.c.client_id == found_client(connection, wanted.client).id
    if wanted.is_unbillable or wanted.reason is not None:
        yield xdr.c.state == XdrState.UNBILLABLE.value
    for value, condition in (
        (wanted.reason, lambda reason: xdr.c.reason == reason),
        (wanted.nas, lambda nas: xdr.c.nas == nas),
        (wanted.call, lambda call: or_(xdr.c.call_id == call, xdr.c.session_id == call)),
        (wanted.since, lambda since: xdr.c.dated_at >= since),
        (wanted.until, lambda until: xdr.c.dated_at < until),
    ):
        if value is not None:
            yield condition(value)


def _is_last_revision() -> Any:
    later = xdr.alias("later")
    key = tuple_(xdr.c.leg_key, xdr.c.generation)
    return ~(
        select(later.c.revision)
        .where(tuple_(later.c.leg_key, later.c.generation) == key, later.c.revision > xdr.c.revision)
        .exists()
    )


def _records(connection: Connection, statement: Select[Any]) -> Iterator[dict[str, Any]]:
    for row in connection.execution_options(yield_per=1000).execute(statement):
        yield dict(row._mapping)
