"""What a call would get now, decided by the same rules as a real one; nothing is reserved."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select, tuple_

from billing_core.admin.definitions.inventory import among
from billing_core.admin.output import CommandError, Record
from billing_core.admin.rates.prices import put_prices
from billing_core.authorization import AuthorizationRequest, Authorized, Candidate, Denied, decide, identify
from billing_core.balance import Balance
from billing_core.block import Blocks
from billing_core.capacity import Counter, CounterKey, Scope, counter_keys
from billing_core.catalogue import Catalogue
from billing_core.client import Account
from billing_core.limits import Limits
from billing_core.number import normalise
from billing_core.rating import billed_seconds, cost
from billing_core.settings import address
from billing_core.storage import tables
from billing_core.storage.definition_rows import blocks_of, client_of


class _Trusted:
    """The credential of somebody who need not prove anything: the operator."""

    def proves(self, password: str) -> bool:
        return True


def quote(connection: Connection, account: str, dialled: str, seconds: int | None, limits: Limits) -> Record:
    """Return what a call by *account* (its name, IP or ANI) to the number *dialled* gets, and costs.

    Raises CommandError when there is no such account; a denial is an answer.
    """
    now = connection.execute(select(func.now())).scalar_one()
    request = _request(connection, account, dialled)
    catalogue = _catalogue(connection, account, dialled)
    found = identify(request, catalogue, now)
    outcome: Authorized | Denied = (
        found if isinstance(found, Denied) else _decided(connection, found, limits, now)
    )
    client = found.client
    answer: dict[str, Any] = {
        "account": account,
        "client": client.name if client else None,
        "to": dialled,
        "currency": client.currency if client else None,
        "authorized": isinstance(outcome, Authorized),
        "denial": outcome.reason.value if isinstance(outcome, Denied) else None,
        "because": (outcome.because or None) if isinstance(outcome, Denied) else None,
        "credit_time_seconds": outcome.credit_time_seconds if isinstance(outcome, Authorized) else None,
        "reserved": outcome.reserved if isinstance(outcome, Authorized) else None,
        "available": outcome.available if isinstance(outcome, Authorized) else None,
        "rate": asdict(found.rate) if isinstance(found, Candidate) else None,
    }
    if seconds is not None and isinstance(found, Candidate):
        answer["seconds"] = seconds
        answer["billed_seconds"] = billed_seconds(found.rate, seconds)
        answer["cost"] = cost(found.rate, seconds)
    return answer


def _decided(
    connection: Connection, candidate: Candidate, limits: Limits, now: datetime
) -> Authorized | Denied:
    client = candidate.client
    columns = [tables.balance.c[name] for name in ("live", "reserved", "in_use", "term_in_use")]
    statement = select(*columns).where(tables.balance.c.client_id == client.id)
    balance = Balance(*connection.execute(statement).one())
    counters = _counters(connection, counter_keys(client, candidate.account.id))
    return decide(candidate, balance, counters, None, limits, now)


def _counters(connection: Connection, keys: Collection[CounterKey]) -> dict[CounterKey, Counter]:
    counter = tables.capacity_counter
    wanted = tuple_(counter.c.scope, counter.c.owner_id).in_([(scope.value, id) for scope, id in keys])
    return {
        (Scope(row.scope), row.owner_id): Counter(row.capacity, row.in_use)
        for row in connection.execute(select(counter).where(wanted))
    }


def _values(label: str) -> dict[str, str | None]:
    """Return what *label* would be as a name, as an address and as a number."""
    try:
        ip = str(address(label))
    except ValueError:
        ip = None
    return {"name": label, "ip": ip, "ani": normalise(label)}


def _accounts(connection: Connection, label: str) -> list[Row[Any]]:
    account = tables.account
    same = [account.c[key] == value for key, value in _values(label).items() if value is not None]
    return list(connection.execute(select(account).where(or_(*same)).order_by(account.c.id)))


def _request(connection: Connection, label: str, dialled: str) -> AuthorizationRequest:
    """Return the question that a switch would ask for that account."""
    found = _accounts(connection, label)
    if not found:
        raise CommandError(
            f'account "{label}" is not known; give the name, the IP address or the ANI of an account'
        )
    values = _values(label)
    by_name = any(row.name == label for row in found)
    by_ip = any(row.ip == values["ip"] for row in found if row.ip)
    return AuthorizationRequest(
        nas="",
        nas_box="",
        leg_key=b"",
        call_id="",
        session_id="",
        name=label if by_name else None,
        credential=_Trusted() if by_name else None,
        ip=values["ip"] if by_ip else None,
        calling=label if not by_name and not by_ip else "",
        called=dialled,
    )


def _catalogue(connection: Connection, label: str, dialled: str) -> Catalogue:
    """Return so much of the definitions as deciding on that call takes."""
    catalogue = Catalogue()
    rows = _accounts(connection, label)
    owners = {row.client_id for row in rows}
    parents = {row.id: row.parent_id for row in connection.execute(select(tables.reseller))}
    clients = list(connection.execute(select(tables.client).where(among(tables.client.c.id, owners))))
    for row in clients:
        accounts = [_account(item) for item in rows if item.client_id == row.id]
        catalogue.put_client(client_of(row._asdict(), _chain(row.reseller_id, parents)), accounts)
    table_ids = {row.rate_table_id for row in clients}
    numbers = {normalise(dialled.removeprefix(row.tech_prefix)) or "" for row in rows}
    put_prices(connection, catalogue, table_ids, numbers)
    catalogue.blocks = _blocks(connection)
    return catalogue


def _blocks(connection: Connection) -> Blocks:
    block = tables.block.c
    statement = select(block.kind, block.value, block.expires_at, block.reason)
    return blocks_of(connection.execute(statement.where(block.removed_at.is_(None))).all())


def _account(row: Row[Any]) -> Account:
    return Account(**row._mapping)


def _chain(reseller_id: int | None, parents: dict[int, int | None]) -> tuple[int, ...]:
    chain = []
    while reseller_id is not None:
        chain.append(reseller_id)
        reseller_id = parents[reseller_id]
    return tuple(chain)
