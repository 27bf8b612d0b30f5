"""The same clients, money and capacities on either storage, and a naive auditor of what comes of them."""

from collections import Counter as Tally
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import calls
import psycopg2
from calls import ALICE, ALICE_ACCOUNT, VENDOR, VENDOR_ACCOUNT
from memory import MemoryStorage
from postgres import connect

from billing_core.balance import Balance
from billing_core.call_event import CallEvent
from billing_core.capacity import Counter, CounterKey, Scope
from billing_core.catalogue import Catalogue
from billing_core.charging import Charging
from billing_core.client import Account
from billing_core.denial import Denial
from billing_core.ledger import Entry, EntryKind
from billing_core.limits import Limits
from billing_core.ports import Refusal, Storage
from billing_core.session import Leg, LegId, Session
from billing_core.storage import rows
from billing_core.storage.postgres import PostgresStorage
from billing_core.sweep import OnSilence, Sweep
from billing_core.xdr import Unbillable, Xdr, XdrState

# Bob has little money, few places and two resellers; Carol is postpaid and shares the nearer of them.
BOB = replace(ALICE, id=3, name="Bob", capacity=3, reseller_ids=(100, 101))
BOB_ACCOUNT = Account(id=30, client_id=3, name="bob", password="secret", capacity=2)
CAROL = replace(ALICE, id=4, name="Carol", postpaid=True, reseller_ids=(100, 101))
CAROL_ACCOUNT = Account(id=40, client_id=4, ip="198.51.100.4")
CLIENTS = {
    ALICE: [ALICE_ACCOUNT],
    VENDOR: [VENDOR_ACCOUNT],
    BOB: [BOB_ACCOUNT],
    CAROL: [CAROL_ACCOUNT],
}
PAID = {1: Decimal(10), 2: Decimal(0), 3: Decimal("1.50"), 4: Decimal(-3)}
PLACES = {(Scope.ACCOUNT, 30): 2, (Scope.RESELLER, 100): 4, (Scope.RESELLER, 101): 6}


def catalogue() -> Catalogue:
    """Return the definitions of all these clients."""
    return calls.catalogue(*CLIENTS.items())


@dataclass(frozen=True, slots=True)
class State:
    """All that a storage holds, in an order that does not depend on it."""

    balances: dict[int, Balance]
    counters: dict[CounterKey, Counter]
    sessions: dict[LegId, Session]
    xdrs: list[Xdr]
    entries: list[Entry]
    refusals: list[Refusal]

    def live(self, client_id: int) -> Decimal:
        return self.balances[client_id].live

    def last_xdrs(self) -> dict[tuple[bytes, int], Xdr]:
        """Return the revision of each leg that counts."""
        return {(xdr.leg_key, xdr.generation): xdr for xdr in self.xdrs}


Told = tuple[int, str, Decimal, Decimal]
"""What is kept of a notice: client, who is told, his value, and the money that is below it."""


Event = tuple[str, int | None, str, str, int]
"""What is kept of an event about a call: kind, client, NAS, call id, and for how many it stands."""

_SINGLY_A_MINUTE = 10


@dataclass(frozen=True, slots=True)
class World:
    """A storage with money in it, and how to look at all of it."""

    new_storage: Callable[[], Storage]
    new_sweep_turns: Callable[[], Callable[[], Any]]
    state: Callable[[], State]
    notices: Callable[[], list[Told]]
    events: Callable[[], list[Event]]

    def charging(self, limits: Limits = Limits()) -> Charging:  # noqa: B008 - a value that never changes
        return Charging(self.new_storage(), catalogue(), limits)

    def sweep(self, on_silence: OnSilence = OnSilence.CHARGE_KNOWN, limits: Limits | None = None) -> Sweep:
        return Sweep(self.new_sweep_turns(), catalogue(), limits or Limits(), lambda nas: on_silence)


def payment(client_id: int, amount: Decimal) -> Entry:
    return Entry(client_id, EntryKind.PAYMENT, amount, calls.NOON)


def memory_world() -> World:
    """Return a world in memory."""
    storage = MemoryStorage(
        balances={id: Balance(live=amount) for id, amount in PAID.items()},
        counters={key: Counter(places, 0) for key, places in PLACES.items()},
        entries=[payment(id, amount) for id, amount in PAID.items() if amount],
    )

    def state() -> State:
        return State(
            dict(storage.balances),
            dict(storage.counters),
            dict(storage.sessions),
            sorted(storage.xdrs, key=_by_leg),
            sorted(storage.entries, key=_by_text),
            list(storage.refusals),
        )

    def notices() -> list[Told]:
        return [(item.client_id, item.audience.value, item.value, item.available) for item in storage.notices]

    return World(lambda: storage, lambda: storage.turn, state, notices, lambda: kept_events(storage.events))


def kept_events(events: list[CallEvent]) -> list[Event]:
    """Return what is to be kept: ten of a kind, NAS and minute, and the eleventh for the others."""
    kept: list[Event] = []
    places: dict[tuple[str, str, str], list[int]] = {}
    for event in events:
        places_of = places.setdefault((event.kind, event.nas, f"{event.at:%Y%m%d%H%M}"), [])
        if len(places_of) <= _SINGLY_A_MINUTE:
            places_of.append(len(kept))
            kept.append((event.kind.value, event.client_id, event.nas, event.call_id, 1))
        else:
            *what, count = kept[places_of[-1]]
            kept[places_of[-1]] = (*what, count + 1)  # type: ignore[assignment]
    return kept


def postgres_world(url: str, opened: list[PostgresStorage]) -> World:
    """Return a world in the empty, migrated database at *url*; its storages are added to *opened*."""
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO rate_table (id, name, currency, changed_in)"
            " VALUES (1, 'Sold', 'USD', 1), (2, 'Bought', 'USD', 1)"
        )
        for id, amount in PAID.items():
            cursor.execute(
                "INSERT INTO client (id, name, status, currency, timezone, tags, bill_by, postpaid, credit,"
                " company, changed_in) VALUES (%s, %s, 'active', 'USD', 'UTC', '{}', 'disconnect', false, 0,"
                " '{}', 1)",
                (id, f"client {id}"),
            )
            cursor.execute("INSERT INTO balance VALUES (%s, %s, 0, 0, 0)", (id, amount))
            if amount:
                cursor.execute(
                    "INSERT INTO entry (client_id, kind, amount, at) VALUES (%s, 'payment', %s, %s)",
                    (id, amount, calls.NOON),
                )
        for (scope, owner_id), places in PLACES.items():
            cursor.execute(
                "INSERT INTO capacity_counter VALUES (%s, %s, %s, 0)", (scope.value, owner_id, places)
            )

    def new_storage() -> PostgresStorage:
        storage = PostgresStorage(url, "test")
        opened.append(storage)
        return storage

    return World(
        new_storage,
        lambda: new_storage().turn,
        lambda: read_state(url),
        lambda: read_notices(url),
        lambda: read_events(url),
    )


def read_notices(url: str) -> list[Told]:
    """Read the events of low balances from PostgreSQL, in their order."""
    events = (
        "SELECT client_id, facts->>'notify', facts->>'value', facts->>'available' FROM event"
        " WHERE kind = 'low_balance' ORDER BY id"
    )
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        found = _select(cursor, events)
    return [(id, audience, Decimal(value), Decimal(money)) for id, audience, value, money in found]


def read_events(url: str) -> list[Event]:
    """Read the events about calls from PostgreSQL, in their order."""
    events = (
        "SELECT kind, client_id, facts->>'nas', facts->>'call_id', count FROM event"
        " WHERE kind <> 'low_balance' ORDER BY id"
    )
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        return [(*row,) for row in _select(cursor, events)]


def read_state(url: str) -> State:
    """Read everything from PostgreSQL."""
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        sessions = [rows.session_of(row) for row in _select(cursor, rows.SELECT_SESSIONS.split(" WHERE")[0])]
        return State(
            {row[0]: Balance(*row[1:]) for row in _select(cursor, "SELECT * FROM balance")},
            {
                (Scope(row[0]), row[1]): Counter(*row[2:])
                for row in _select(cursor, "SELECT * FROM capacity_counter")
            },
            {session.id: session for session in sessions},
            sorted((_xdr(row) for row in _select(cursor, _columns(Xdr, "xdr"))), key=_by_leg),
            sorted((_entry(row) for row in _select(cursor, _columns(Entry, "entry"))), key=_by_text),
            [_refusal(row) for row in _select(cursor, f"{_columns(Refusal, 'decision')} ORDER BY id")],
        )


def _select(cursor: psycopg2.extensions.cursor, statement: str) -> list[tuple[Any, ...]]:
    cursor.execute(statement)
    return cursor.fetchall()


def _columns(kind: type[Xdr] | type[Entry] | type[Refusal], table: str) -> str:
    return f"SELECT {', '.join(kind._fields)} FROM {table}"  # noqa: S608


def _xdr(row: tuple[Any, ...]) -> Xdr:
    values = dict(zip(Xdr._fields, row, strict=True))
    reason = values["reason"]
    return Xdr(
        **values
        | {
            "leg_key": bytes(values["leg_key"]),
            "leg": Leg(values["leg"]),
            "state": XdrState(values["state"]),
            "reason": Unbillable(reason) if reason else None,
        }
    )


def _entry(row: tuple[Any, ...]) -> Entry:
    values = dict(zip(Entry._fields, row, strict=True))
    leg_key = bytes(values["leg_key"]) if values["leg_key"] else None
    return Entry(**values | {"kind": EntryKind(values["kind"]), "leg_key": leg_key})


def _refusal(row: tuple[Any, ...]) -> Refusal:
    values = dict(zip(Refusal._fields, row, strict=True))
    return Refusal(**values | {"leg_key": bytes(values["leg_key"]), "reason": Denial(values["reason"])})


def _by_leg(xdr: Xdr) -> tuple[bytes, int, int]:
    return xdr.leg_key, xdr.generation, xdr.revision


def _by_text(entry: Entry) -> tuple[Any, ...]:
    return entry.client_id, entry.at, entry.leg_key or b"", entry.generation or 0, entry.revision or 0


def audit(state: State) -> None:
    """Recompute every sum from the legs and the ledger, in the most naive way."""
    clients = catalogue().clients
    legs = [session for session in state.sessions.values() if session.state.is_open]
    counted = [leg for leg in legs if leg.leg is not Leg.FURTHER and leg.client_id is not None]
    brought = [leg for leg in counted if leg.leg is Leg.ORIGINATION]
    charged = [xdr for xdr in state.last_xdrs().values() if xdr.amount]
    in_use = Tally((Scope.ACCOUNT, leg.account_id) for leg in brought)
    in_use += Tally(
        (Scope.RESELLER, id) for leg in brought for id in clients[leg.client_id or 0].reseller_ids
    )
    disputed = [leg for leg in state.sessions.values() if leg.facts.is_overrun and not leg.state.is_open]
    for id, balance in state.balances.items():
        held = [leg.reserved for leg in (*counted, *disputed) if leg.client_id == id]
        own = [leg for leg in counted if leg.client_id == id]
        billed = [
            xdr.amount if xdr.leg is Leg.TERMINATION else -xdr.amount
            for xdr in charged
            if xdr.client_id == id
        ]
        assert balance.live == sum(entry.amount for entry in state.entries if entry.client_id == id)
        assert balance.live == PAID[id] + sum(billed)
        assert balance.reserved == sum(held) >= 0
        assert balance.in_use == sum(leg.leg is Leg.ORIGINATION for leg in own)
        assert balance.term_in_use == sum(leg.leg is Leg.TERMINATION for leg in own)
    assert {key: counter.in_use for key, counter in state.counters.items()} == {
        key: in_use[key] for key in state.counters
    }
    assert not any(
        session.reserved for session in state.sessions.values() if session not in (*counted, *disputed)
    )
