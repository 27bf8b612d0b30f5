"""The events log: what happened that an admin may want to look at, read from where it is kept anyway.

Nothing is written for it, so it costs a call nothing. Each kind of event is a query of its own that can
use an index by time; a period, a client and a limit narrow each of them before they are brought together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from billing_core.admin.calls.hidden_numbers import masked
from billing_core.admin.definitions.difference import Change
from billing_core.admin.found import found_client
from billing_core.admin.output import Record, instant

COLUMNS = ("at", "kind", "client", "text")


class EventKind(StrEnum):
    """What kind of event it is.

    LOW_BALANCE: a client's money became low. BLOCKED: somebody, or a watch, barred calls. UNBILLABLE: a
    record could not be charged. DISCONNECTED: a switch was asked to end a call. CONFIGURATION: a field
    of a definition was changed.
    """

    LOW_BALANCE = "low_balance"
    BLOCKED = "blocked"
    UNBILLABLE = "unbillable"
    DISCONNECTED = "disconnected"
    CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted; what is absent does not matter, and `until` itself is not wanted any more."""

    kind: EventKind | None = None
    client: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    shows_numbers: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    """Where events of a kind stand: tables, the column that dates them, and the facts that are told.

    `order` tells apart what happened at one moment, `of_client` those of one client; all is SQL.
    """

    tables: str
    at: str
    facts: Sequence[str]
    of_client: str
    order: str = "0"
    client: str = "client.name"
    where: str = "true"


_SOURCES: Mapping[EventKind, _Source] = {
    EventKind.LOW_BALANCE: _Source(
        "event LEFT JOIN client ON client.id = event.client_id",
        "event.at",
        ("event.facts",),
        "event.client_id = :client_id",
        "event.id",
        where="event.kind = 'low_balance'",
    ),
    # A number or a code concerns nobody alone, nor does a name that accounts of several clients have.
    EventKind.BLOCKED: _Source(
        """block LEFT JOIN (
            SELECT COALESCE(name, ip, ani) AS label, min(client_id) AS client_id FROM account
            GROUP BY label HAVING min(client_id) = max(client_id)
        ) AS account ON block.kind = 'account' AND account.label = block.value
        LEFT JOIN client ON client.id = account.client_id OR block.kind = 'client' AND client.name = value""",
        "block.created_at",
        ("block.kind", "value", "reason", "who", "expires_at", "removed_at"),
        "(client.id = :client_id)",
        "block.id",
    ),
    EventKind.UNBILLABLE: _Source(
        "xdr LEFT JOIN client ON client.id = xdr.client_id",
        "xdr.dated_at",
        ("nas", "leg", "call_id", "session_id", "calling", "called", "reason"),
        "xdr.client_id = :client_id",
        where="""state = 'unbillable' AND NOT EXISTS (
            SELECT FROM xdr AS later WHERE later.leg_key = xdr.leg_key
                AND later.generation = xdr.generation AND later.revision > xdr.revision)""",
    ),
    EventKind.DISCONNECTED: _Source(
        """disconnect LEFT JOIN session USING (leg_key, generation)
        LEFT JOIN client ON client.id = session.client_id""",
        "disconnect.asked_at",
        ("disconnect.nas", "call_id", "session_id", "called", "reason", "attempts", "outcome"),
        "session.client_id = :client_id",
    ),
    # That something was blocked is an event of another kind.
    EventKind.CONFIGURATION: _Source(
        "audit LEFT JOIN client ON client.id = audit.client_id",
        "audit.at",
        ("object_kind", "object_name", "field", "before", "after", "who", "through", "version"),
        "audit.client_id = :client_id",
        "audit.id",
        where="NOT (object_kind = 'block' AND field <> 'removed')",
    ),
}


def events(connection: Connection, wanted: EventFilter) -> Iterator[Record]:
    """Yield the wanted events in order of time; a limit leaves the newest.

    Raises CommandError for a client who does not exist.
    """
    values: dict[str, object] = {
        "since": wanted.since,
        "until": wanted.until,
        "limit": wanted.limit,
    }
    if wanted.client is not None:
        values["client_id"] = found_client(connection, wanted.client).id
    direction = "ASC" if wanted.limit is None else "DESC"
    order = f"ORDER BY at {direction}, place {direction} LIMIT :limit"
    kinds = [wanted.kind] if wanted.kind else list(_SOURCES)
    branches = " UNION ALL ".join(f"({_branch(kind, wanted)} {order})" for kind in kinds)
    statement = text(f"SELECT * FROM ({branches}) AS event {order}")  # noqa: S608
    rows = connection.execution_options(yield_per=1000).execute(statement, values)
    found = (_event(row, wanted.shows_numbers) for row in rows)
    return found if wanted.limit is None else reversed(list(found))


def _branch(kind: EventKind, wanted: EventFilter) -> str:
    """Return the query of one kind; a condition that is not wanted does not stand in it."""
    source = _SOURCES[kind]
    narrowed = {
        f"{source.at} >= :since": wanted.since,
        f"{source.at} < :until": wanted.until,
        source.of_client: wanted.client,
    }
    conditions = [source.where, *(condition for condition, value in narrowed.items() if value is not None)]
    facts = ", ".join(f"'{name.rpartition('.')[2]}', {name}" for name in source.facts)
    return f"""
        SELECT {source.at} AS at, CAST({source.order} AS bigint) AS place, '{kind}' AS kind,
            {source.client} AS client, client.hidden_numbers, jsonb_build_object({facts}) AS facts
        FROM {source.tables} WHERE {" AND ".join(conditions)}"""  # noqa: S608 - of the constants above


def _event(row: Row[Any], shows_numbers: bool) -> Record:
    facts = row.facts
    if row.kind == EventKind.LOW_BALANCE:
        facts = facts["facts"]
    if row.hidden_numbers and not shows_numbers and facts.get("called"):
        facts["called"] = masked(facts["called"])
    for name in _MOMENTS & facts.keys():
        facts[name] = facts[name] and instant(datetime.fromisoformat(facts[name]))
    told = _TEXTS[EventKind(row.kind)](facts)
    return {"at": row.at, "kind": row.kind, "client": row.client, "text": told, "facts": facts}


_MOMENTS = {"expires_at", "removed_at"}

# --- what is told of each kind ----------------------------------------------------------------------


def _low_balance(facts: Record) -> str:
    money = f"available {facts['available']} {facts['currency']} is below {facts['value']}"
    return f"{money}; the {facts['notify']} is told"


def _blocked(facts: Record) -> str:
    until = f"until {facts['expires_at']}" if facts["expires_at"] else "until removed"
    reason = f": {facts['reason']}" if facts["reason"] else ""
    return f"{facts['kind']} {facts['value']} is blocked {until} by {facts['who']}{reason}"


def _unbillable(facts: Record) -> str:
    numbers = f"from {facts['calling'] or 'nobody'} to {facts['called'] or 'nowhere'}"
    return f"{facts['leg']} {facts['call_id']} {numbers} could not be charged: {facts['reason']}"


def _disconnected(facts: Record) -> str:
    call = facts["call_id"] or facts["session_id"] or "a call that is not known any more"
    became = facts["outcome"] or "no answer yet"
    return f"{facts['nas']} was asked to end {call}: {facts['reason']}; {became}"


def _configuration(facts: Record) -> str:
    what = (facts[key] for key in ("object_kind", "object_name", "field", "before", "after"))
    return f"{Change(*what)} by {facts['who']} through {facts['through']}"


_TEXTS: Mapping[EventKind, Callable[[Record], str]] = {
    EventKind.LOW_BALANCE: _low_balance,
    EventKind.BLOCKED: _blocked,
    EventKind.UNBILLABLE: _unbillable,
    EventKind.DISCONNECTED: _disconnected,
    EventKind.CONFIGURATION: _configuration,
}
