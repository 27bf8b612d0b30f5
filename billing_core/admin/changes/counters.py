"""Shared counters of accounts and resellers: they exist only where there is a capacity, and are exact."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from billing_core.admin import bulk
from billing_core.admin.changes.counted import COUNTED_SCOPES
from billing_core.admin.definitions.inventory import Inventory
from billing_core.admin.output import CommandError
from billing_core.capacity import CounterKey, Scope
from billing_core.storage.locks import is_busy
from billing_core.storage.tables import capacity_counter

_ATTEMPTS = 60
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class CounterChanges:
    """What happens to the counters: `limits` are those of counters that stay.

    `new` are counted from the sessions, and so are those in `recounted`; `unused` are new, too, but of
    owners who are themselves new, so that no call can be theirs.
    """

    unused: dict[CounterKey, int]
    new: dict[CounterKey, int]
    limits: dict[CounterKey, int]
    removed: set[CounterKey]
    recounted: set[CounterKey]


def counter_changes(before: Inventory, after: Inventory) -> CounterChanges:
    """Return how the counters follow from the definitions; all items of *after* have their ids."""
    earlier, capacities = _capacities(before), _capacities(after)
    stay = earlier.keys() & capacities.keys()
    is_moved = _is_moved(before, after)
    known = {key for key, _ in _owners(before)}
    if is_moved:  # Calls under way may come to count for a reseller who is new.
        known |= set(filter(_is_reseller, capacities))
    return CounterChanges(
        unused={key: capacities[key] for key in capacities.keys() - known},
        new={key: capacities[key] for key in (capacities.keys() - stay) & known},
        limits={key: capacities[key] for key in stay if capacities[key] != earlier[key]},
        removed=earlier.keys() - stay,
        recounted=set(filter(_is_reseller, stay)) if is_moved else set(),
    )


def _is_reseller(key: CounterKey) -> bool:
    return key[0] is Scope.RESELLER


def _capacities(inventory: Inventory) -> dict[CounterKey, int]:
    return {key: capacity for key, capacity in _owners(inventory) if capacity is not None}


def _owners(inventory: Inventory) -> Iterator[tuple[CounterKey, int | None]]:
    """Yield whoever can have a counter, with his capacity."""
    for item in chain(*inventory.accounts.values()):
        if item.id is not None:
            yield (Scope.ACCOUNT, item.id), item.fields["capacity"]
    for item in inventory.resellers.values():
        if item.id is not None:
            yield (Scope.RESELLER, item.id), item.fields["capacity"]


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
    _insert(connection, changes.unused, {})
    if changes.new or changes.recounted:
        _wait_until_no_turn_is_under_way(connection)
        counted = _counted(connection)
        _insert(connection, changes.new, counted)
        _set(connection, "in_use", {key: counted.get(key, 0) for key in changes.recounted})
    if changed := changes.limits.keys() | changes.removed:
        # Locked in the order of the turns, so that nobody waits for each other.
        connection.execute(text(_LOCK), _columns(changed))
    _set(connection, "capacity", changes.limits)
    if changes.removed:
        connection.execute(text(_DELETE), _columns(changes.removed))


def _insert(
    connection: Connection, capacities: Mapping[CounterKey, int], counted: Mapping[CounterKey, int]
) -> None:
    rows = (
        {"scope": key[0].value, "owner_id": key[1], "capacity": capacity, "in_use": counted.get(key, 0)}
        for key, capacity in sorted(capacities.items())
    )
    bulk.insert(connection, capacity_counter, rows)


_KEYS = "unnest(CAST(:scopes AS smallint[]), CAST(:owner_ids AS integer[]))"
_IS_KEY = "counter.scope = key.scope AND counter.owner_id = key.owner_id"
_LOCK = f"""
    SELECT FROM capacity_counter AS counter JOIN {_KEYS} AS key(scope, owner_id) ON {_IS_KEY}
    ORDER BY counter.scope, counter.owner_id FOR UPDATE OF counter"""
_DELETE = f"DELETE FROM capacity_counter AS counter USING {_KEYS} AS key(scope, owner_id) WHERE {_IS_KEY}"  # noqa: S608 - only constants
_UPDATE = f"""
    UPDATE capacity_counter AS counter SET {{column}} = key.number
    FROM unnest(CAST(:scopes AS smallint[]), CAST(:owner_ids AS integer[]), CAST(:numbers AS integer[]))
        AS key(scope, owner_id, number) WHERE {_IS_KEY}"""  # noqa: S608 - only constants


def _columns(keys: Iterable[CounterKey]) -> dict[str, list[int]]:
    found = list(keys)
    return {"scopes": [scope.value for scope, _ in found], "owner_ids": [owner_id for _, owner_id in found]}


def _set(connection: Connection, column: str, numbers: Mapping[CounterKey, int]) -> None:
    if numbers:
        values = {**_columns(numbers), "numbers": list(numbers.values())}
        connection.execute(text(_UPDATE.format(column=column)), values)


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


def _counted(connection: Connection) -> dict[CounterKey, int]:
    rows = connection.execute(text(COUNTED_SCOPES))
    return {(Scope(row.scope), row.owner_id): int(row.in_use) for row in rows}
