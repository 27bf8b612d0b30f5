"""The events log: what happened that an admin may want to look at, read from where it is kept anyway.

Nothing is written for it but what is odd about a call. What is kept in one place is a query of its own that
can use an index by time; a period, a client and a limit narrow each before they are brought together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from billing_core.admin.calls.event_texts import EventKind, event_text
from billing_core.admin.calls.hidden_numbers import masked
from billing_core.admin.found import found_client
from billing_core.admin.output import Record, instant
from billing_core.call_event import CallEventKind

COLUMNS = ("at", "kind", "client", "text")


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
    """Where events stand: tables, what names their kind and dates them, and the facts that are told.

    `order` tells apart what happened at one moment, `of_client` those of one client; all is SQL.
    """

    tables: str
    kind: str
    at: str
    facts: Sequence[str]
    of_client: str
    order: str = "0"
    client: str = "client.name"
    where: str = "true"


_SOURCES: Mapping[EventKind, _Source] = {
    EventKind.LOW_BALANCE: _Source(
        "event LEFT JOIN client ON client.id = event.client_id",
        "event.kind",
        "event.at",
        ("event.facts", "event.count"),
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
        "'blocked'",
        "block.created_at",
        ("block.kind", "value", "reason", "who", "expires_at", "removed_at"),
        "(client.id = :client_id)",
        "block.id",
    ),
    EventKind.UNBILLABLE: _Source(
        "xdr LEFT JOIN client ON client.id = xdr.client_id",
        "'unbillable'",
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
        "'disconnected'",
        "disconnect.asked_at",
        ("disconnect.nas", "call_id", "session_id", "called", "reason", "attempts", "outcome"),
        "session.client_id = :client_id",
    ),
    # That something was blocked is an event of another kind, and what a call costs is no definition.
    EventKind.CONFIGURATION: _Source(
        "audit LEFT JOIN client ON client.id = audit.client_id",
        "'configuration'",
        "audit.at",
        ("object_kind", "object_name", "field", "before", "after", "who", "through", "version"),
        "audit.client_id = :client_id",
        "audit.id",
        where="object_kind <> 'xdr' AND NOT (object_kind = 'block' AND field <> 'removed')",
    ),
}


def _of_calls(kinds: Iterable[str]) -> _Source:
    """Return where events about calls stand, of these kinds."""
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return replace(_SOURCES[EventKind.LOW_BALANCE], where=f"event.kind IN ({names})")


def _sources(kind: EventKind | None) -> list[_Source]:
    """Return where events of a kind stand, or those of all."""
    if kind is None:
        return [*_SOURCES.values(), _of_calls(CallEventKind)]
    return [_SOURCES[kind] if kind in _SOURCES else _of_calls([kind])]


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
    branches = " UNION ALL ".join(f"({_branch(source, wanted)} {order})" for source in _sources(wanted.kind))
    statement = text(f"SELECT * FROM ({branches}) AS event {order}")  # noqa: S608
    rows = connection.execution_options(yield_per=1000).execute(statement, values)
    found = (_event(row, wanted.shows_numbers) for row in rows)
    return found if wanted.limit is None else reversed(list(found))


def _branch(source: _Source, wanted: EventFilter) -> str:
    """Return the query of one source; a condition that is not wanted does not stand in it."""
    narrowed = {
        f"{source.at} >= :since": wanted.since,
        f"{source.at} < :until": wanted.until,
        source.of_client: wanted.client,
    }
    conditions = [source.where, *(condition for condition, value in narrowed.items() if value is not None)]
    facts = ", ".join(f"'{name.rpartition('.')[2]}', {name}" for name in source.facts)
    return f"""
        SELECT {source.at} AS at, CAST({source.order} AS bigint) AS place, {source.kind} AS kind,
            {source.client} AS client, client.hidden_numbers, jsonb_build_object({facts}) AS facts
        FROM {source.tables} WHERE {" AND ".join(conditions)}"""  # noqa: S608 - of the constants above


def _event(row: Row[Any], shows_numbers: bool) -> Record:
    facts = row.facts
    if (kept := facts.pop("facts", None)) is not None:
        facts = kept | facts
    if row.hidden_numbers and not shows_numbers:
        facts |= {name: masked(facts[name]) for name in _CALLED & facts.keys() if facts[name]}
    for name in _MOMENTS & facts.keys():
        facts[name] = facts[name] and instant(datetime.fromisoformat(facts[name]))
    told = event_text(EventKind(row.kind), facts)
    return {"at": row.at, "kind": row.kind, "client": row.client, "text": told, "facts": facts}


_MOMENTS = {"expires_at", "removed_at"}
_CALLED = {"called", "leg_called"}
