"""Everything that is known of one call: what was decided, on what ground, what was heard and charged."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, or_, select, true

from billing_core import decision
from billing_core.admin.calls.xdr_ids import ambiguous, found_ids, id_text
from billing_core.admin.definitions.inventory import among
from billing_core.admin.output import CommandError, Record
from billing_core.asked import asked_numbers
from billing_core.money import plain
from billing_core.session import LegId, State
from billing_core.storage import tables
from billing_core.storage.rows import FACTS, PINNED_RATE

_HEARD = (*FACTS, "last_heard_at")
_PRICE = (*PINNED_RATE, "rated_for")
_REVISION = (
    "generation",
    "revision",
    "dated_at",
    "duration_seconds",
    "billed_seconds",
    "amount",
    "currency",
    "state",
    "reason",
)
_LEG = (
    "leg",
    "nas",
    "call_id",
    "session_id",
    "calling",
    "called",
    "generation",
    "asked_session_id",
    "call_type",
    "opened_at",
    "closed_at",
    "credit_time_seconds",
    "reserved",
    "posted",
    "currency",
    "estimated",
    "decided_seconds",
)
_REFUSAL = ("at", "nas", "call_id", "session_id", "calling", "called", "reason")


def explain(connection: Connection, call: str) -> Record:
    """Return the legs and refusals of *call*, each list in order of time.

    *call* is a call id, a session id, a leg key in hexadecimal or the id of a record. Raises CommandError for
    an unknown one, and for the beginning of several ids.
    """
    legs = connection.execute(_of_call(tables.session, call).order_by("opened_at", "generation")).all()
    refusals = connection.execute(_of_call(tables.decision, call).order_by("at", "id")).all()
    if not legs and not refusals and (ids := found_ids(connection, call)):
        legs = [_leg_of(connection, call, ids)]
    if not legs and not refusals:
        raise CommandError(
            f'call "{call}" is not known; give a call id or session id as billing xdrs or billing calls '
            "--json shows it, a leg key in hexadecimal or the id of a record"
        )
    names = _Names(connection, [*legs, *refusals])
    return {
        "call": call,
        "legs": [_leg(connection, row, names) for row in legs],
        "refusals": [_refusal(connection, row, names) for row in refusals],
    }


def _of_call(table: Table, call: str) -> Select[Any]:
    # A GUID is kept in one form, however the switch or the operator groups it.
    packed = call.replace(" ", "").replace("-", "").lower()
    same: list[ColumnElement[bool]] = [
        among(table.c.call_id, {call, packed}),
        table.c.session_id == call,
    ]
    with suppress(ValueError):  # What is not hexadecimal is no leg key.
        same.append(table.c.leg_key == bytes.fromhex(packed))
    return select(table).where(or_(*same))


def _leg_of(connection: Connection, written: str, ids: list[LegId]) -> Row[Any]:
    """Return the one leg that the beginning of an id means."""
    if len(ids) > 1:
        raise ambiguous(written, ids)
    session, (leg_key, generation) = tables.session, ids[0]
    of_id = session.c.leg_key == leg_key, session.c.generation == generation
    return connection.execute(select(session).where(*of_id)).one()


class _Names:
    """The names that ids stand for."""

    def __init__(self, connection: Connection, rows: Iterable[Row[Any]]) -> None:
        rows = list(rows)
        client, account = tables.client, tables.account
        clients = {row.client_id for row in rows if row.client_id is not None}
        accounts = {row.account_id for row in rows if row.account_id is not None}
        self.clients: dict[int, Row[Any]] = {
            row.id: row for row in connection.execute(select(client).where(among(client.c.id, clients)))
        }
        self._accounts = {
            row.id: row.name or row.ip or row.ani
            for row in connection.execute(select(account).where(among(account.c.id, accounts)))
        }
        self.resellers: dict[int, str] = {
            row.id: row.name for row in connection.execute(select(tables.reseller))
        }

    def owner(self, row: Row[Any]) -> dict[str, Any]:
        client = self.clients.get(row.client_id)
        return {
            "client": client.name if client else None,
            "account": self._accounts.get(row.account_id),
            "client_currency": client.currency if client else None,
        }

    def readable(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the facts of a decision with names of resellers."""
        places = dict(facts.get("capacity", {}))
        if "resellers" in places:
            told = [(self.resellers.get(id, str(id)), *rest) for id, *rest in places["resellers"]]
            places["resellers"] = told
        return {**facts, "capacity": places} if places else facts


def _leg(connection: Connection, row: Row[Any], names: _Names) -> dict[str, Any]:
    facts = names.readable(decision.read(row.decision))
    return {
        "id": id_text((bytes(row.leg_key), row.generation)),
        "leg_key": bytes(row.leg_key).hex(),
        **names.owner(row),
        **_picked(row, _LEG),
        "tags": row.tags.split(),
        "also_asked": [
            {"number": item.number, "code": item.rate.code, "price_per_minute": item.rate.price_per_minute}
            for item in asked_numbers(row.asked)
        ],
        "state": State(row.state).name.lower(),
        "decision": facts,
        "held_by_others": _holders(connection, row, facts, row.authorized_at, row.generation),
        "heard": _picked(row, _HEARD),
        "price": _picked(row, _PRICE) if row.code is not None else None,
        "revisions": _revisions(connection, row),
    }


def _refusal(connection: Connection, row: Row[Any], names: _Names) -> dict[str, Any]:
    facts = names.readable(decision.read(row.facts))
    return {
        "leg_key": bytes(row.leg_key).hex(),
        **names.owner(row),
        **_picked(row, _REFUSAL),
        "decision": facts,
        "held_by_others": _holders(connection, row, facts, row.at),
    }


def _picked(row: Row[Any], columns: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in columns}


def _holders(
    connection: Connection,
    row: Row[Any],
    facts: dict[str, Any],
    at: datetime | None,
    generation: int | None = None,
) -> list[dict[str, Any]]:
    """Return the client's other legs that held money at the decision, and what each had set aside by then.

    *generation* is the leg's own, if one was opened. A leg that has ended holds money still while nobody has
    decided what it costs.
    """
    if at is None or facts.get("reserved", "0") == "0":
        return []
    other = tables.session
    is_itself = and_(other.c.leg_key == row.leg_key, other.c.generation == generation)
    holds_still = or_(other.c.closed_at.is_(None), other.c.closed_at >= at, other.c.reserved > 0)
    statement = (
        select(other)
        .where(other.c.client_id == row.client_id, ~is_itself if generation is not None else true())
        .where(other.c.opened_at <= at, holds_still)
        .order_by(other.c.opened_at, other.c.leg_key, other.c.generation)
    )
    return [_holder(found) for found in connection.execute(statement) if found.authorized_at is not None]


def _holder(row: Row[Any]) -> dict[str, Any]:
    waits = row.state == State.CLOSED and bool(row.reserved)
    return {
        "id": id_text((bytes(row.leg_key), row.generation)),
        **_picked(row, ("call_id", "session_id", "called", "opened_at", "closed_at")),
        "set_aside": plain(row.reserved) if waits else decision.read(row.decision).get("set_aside"),
        "waits_for_decision": waits,
    }


def _revisions(connection: Connection, leg: Row[Any]) -> list[dict[str, Any]]:
    xdr = tables.xdr
    of_leg = xdr.c.leg_key == leg.leg_key, xdr.c.generation == leg.generation
    statement = select(xdr).where(*of_leg).order_by(xdr.c.revision)
    return [_picked(row, _REVISION) for row in connection.execute(statement)]
