"""How many legs may be up at once: account, client and resellers, the strictest wins."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from billing_core.balance import Balance, available
from billing_core.client import Account, Client
from billing_core.denial import Denial


class Scope(IntEnum):
    """Whose shared counter it is. The order is the order in which they are locked."""

    ACCOUNT = 1
    RESELLER = 2


CounterKey = tuple[Scope, int]


@dataclass(frozen=True, slots=True)
class Counter:
    """The legs under way of an account or reseller that has a capacity; without one there is no counter."""

    capacity: int
    in_use: int


def counter_keys(client: Client, account_id: int | None) -> list[CounterKey]:
    """Return every counter that a leg of *client* by that account may occupy."""
    keys = [(Scope.RESELLER, reseller_id) for reseller_id in client.reseller_ids]
    return keys if account_id is None else [(Scope.ACCOUNT, account_id), *keys]


def client_capacity(client: Client, balance: Balance) -> tuple[int | None, Denial]:
    """Return the client's capacity now (None is unlimited), and the denial if it is exhausted."""
    money = available(client, balance)
    low = client.low_balance
    if low is None or money is None or money >= low.threshold:
        return client.capacity, Denial.CAPACITY_CLIENT
    if client.capacity is not None and client.capacity <= low.capacity:
        return client.capacity, Denial.CAPACITY_CLIENT
    return low.capacity, Denial.CAPACITY_LOW_BALANCE


def exhausted(
    client: Client,
    account: Account,
    balance: Balance,
    counters: Mapping[CounterKey, Counter],
    held: int,
) -> Denial | None:
    """Return which capacity has no place for one more leg, or None.

    *held* is 1 when the call already holds its place (a repeated authorization), else 0.
    """
    own = counters.get((Scope.ACCOUNT, account.id))
    if own is not None and own.in_use - held >= own.capacity:
        return Denial.CAPACITY_ACCOUNT
    limit, denial = client_capacity(client, balance)
    if limit is not None and balance.in_use - held >= limit:
        return denial
    for reseller_id in client.reseller_ids:
        counter = counters.get((Scope.RESELLER, reseller_id))
        if counter is not None and counter.in_use - held >= counter.capacity:
            return Denial.CAPACITY_RESELLER
    return None
