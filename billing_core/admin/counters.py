"""Shared counters of accounts and resellers: they exist only where there is a capacity, and are exact."""

import time
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select, text, tuple_, update
from sqlalchemy.exc import DBAPIError

from billing_core.admin import bulk
from billing_core.admin.counted import COUNTED_SCOPES
from billing_core.admin.inventory import Inventory
from billing_core.admin.output import CommandError
from billing_core.capacity import CounterKey, Scope
from billing_core.storage.locks import is_busy
from billing_core.storage.tables import capacity_counter

_ATTEMPTS = 60
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class CounterChanges:
    """What happens to the counters: `limits` are those of counters that stay.

    `new` are counted from the sessions, and so are those in `recounted`.
    """

    new: dict[CounterKey, int]
    limits: dict[CounterKey, int]
    removed: set[CounterKey]
    recounted: set[CounterKey]


def counter_changes(before: Inventory, after: Inventory) -> CounterChanges:
    """Return how the counters follow from the definitions; all items of *after* have their ids."""
    earlier, capacities = _capacities(before), _capacities(after)
    stay = earlier.keys() & capacities.keys()
    return CounterChanges(
        new={key: capacities[key] for key in capacities.keys() - stay},
        limits={key: capacities[key] for key in stay if capacities[key] != earlier[key]},
        removed=earlier.keys() - stay,
        recounted={key for key in stay if key[0] is Scope.RESELLER} if _is_moved(before, after) else set(),
    )


def _capacities(inventory: Inventory) -> dict[CounterKey, int]:
    accounts = (item for items in inventory.accounts.values() for item in items)
    owners = [(Scope.ACCOUNT, item) for item in accounts]
    owners += [(Scope.RESELLER, item) for item in inventory.resellers.values()]
    return {
        (scope, item.id): item.fields["capacity"]
        for scope, item in owners
        if item.id is not None and item.fields["capacity"] is not None
    }


def _is_moved(before: Inventory, after: Inventory) -> bool:
    """Tell whether calls under way come to count for other resellers than before."""
    return any(
        after.clients[name].fields["reseller"] != item.fields["reseller"]
        for name, item in before.clients.items()
    ) or any(
        after.resellers[name].fields["parent"] != item.fields["parent"]
        for name, item in before.resellers.items()
    )


def write_counters(connection: Connection, changes: CounterChanges) -> None:
    """Make the counters exact; the last thing before the commit, since turns may wait for it."""
    if changes.new or changes.recounted:
        _wait_until_no_turn_is_under_way(connection)
        counted = _counted(connection)
        bulk.insert(
            connection,
            capacity_counter,
            [
                {
                    "scope": key[0].value,
                    "owner_id": key[1],
                    "capacity": capacity,
                    "in_use": counted.get((key[0].value, key[1]), 0),
                }
                for key, capacity in sorted(changes.new.items())
            ],
        )
        for key in sorted(changes.recounted):
            _set(connection, key, in_use=counted.get((key[0].value, key[1]), 0))
    if changed := [(scope.value, owner_id) for scope, owner_id in changes.limits.keys() | changes.removed]:
        # Locked in the order of the turns, so that nobody waits for each other.
        its = tuple_(capacity_counter.c.scope, capacity_counter.c.owner_id).in_(changed)
        order = (capacity_counter.c.scope, capacity_counter.c.owner_id)
        connection.execute(select(capacity_counter).where(its).order_by(*order).with_for_update())
    for key, capacity in changes.limits.items():
        _set(connection, key, capacity=capacity)
    for scope, owner_id in changes.removed:
        connection.execute(delete(capacity_counter).where(*_is(scope, owner_id)))


def _wait_until_no_turn_is_under_way(connection: Connection) -> None:
    """Keep turns out until the commit: each locks rows of `balance` first, which needs ROW SHARE there.

    A weaker mode than EXCLUSIVE would let a turn in that has read the counters and not written yet.
    While this waits nobody gets in behind it, so it never waits long.
    """
    for _ in range(_ATTEMPTS):
        try:
            with connection.begin_nested():
                connection.execute(text("SET LOCAL lock_timeout = '500ms'"))
                connection.execute(text("LOCK TABLE balance IN EXCLUSIVE MODE"))
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                return
        except DBAPIError as error:
            if not is_busy(error):
                raise
            time.sleep(_PAUSE_SECONDS)
    raise CommandError(
        "somebody holds a client's balance locked for too long, so capacities can't be counted; "
        "nothing was applied: see pg_locks for who it is"
    )


def _counted(connection: Connection) -> dict[tuple[int, int], int]:
    return {(row.scope, row.owner_id): int(row.in_use) for row in connection.execute(text(COUNTED_SCOPES))}


def _set(connection: Connection, key: CounterKey, **values: int) -> None:
    connection.execute(update(capacity_counter).where(*_is(*key)).values(**values))


def _is(scope: Scope, owner_id: int) -> tuple[ColumnElement[bool], ...]:
    return capacity_counter.c.scope == scope.value, capacity_counter.c.owner_id == owner_id
