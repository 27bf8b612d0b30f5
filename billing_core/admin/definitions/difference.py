"""What applying definitions changes, field by field, in a form to be read before it happens."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from billing_core.admin.definitions.client_definition import DEFAULTS
from billing_core.admin.definitions.inventory import Inventory, Item, Named
from billing_core.admin.output import MASK, Record, readable

CREATED = "created"
OWN = "own"
_SECRETS = ("password", "panel.password")


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one object. Of a secret only that it changed is told.

    A new account has no id yet, but a `place` among its client's. What is not `told` is audited alone.
    """

    kind: str
    name: str
    field: str
    before: Any
    after: Any
    object_id: int | None = None
    place: int | None = None
    told: bool = True

    def __str__(self) -> str:
        """Write the change as one line: `client Customer A: credit 10.00 -> 20.00`."""
        object = f"{self.kind} {readable(self.name)}"
        if self.field == CREATED:
            return f"{object}: new"
        return f"{object}: {self.field} {_word(self.before)} -> {_word(self.after)}"

    def record(self) -> Record:
        """Return the change for a JSON document."""
        return {
            "object": self.kind,
            "name": self.name,
            "field": self.field,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True, slots=True)
class RatesChange:
    """How many rates of a table an import adds, replaces, ends and finds as they are.

    `warned` of the new and changed ones look like a mistake; the first are described in `warnings`.
    """

    table: str
    new: int
    changed: int
    ended: int
    unchanged: int
    warned: int = 0
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything changes."""
        return bool(self.new or self.changed or self.ended)

    def __str__(self) -> str:
        """Write the change as one line."""
        return (
            f"rate_table {readable(self.table)}: rates {self.new} new, {self.changed} changed, "
            f"{self.ended} ended, {self.unchanged} unchanged"
        )

    def record(self) -> Record:
        """Return the change for a JSON document."""
        return {
            "table": self.table,
            "new": self.new,
            "changed": self.changed,
            "ended": self.ended,
            "unchanged": self.unchanged,
        }


@dataclass(frozen=True, slots=True)
class Diff:
    """All that changes; `version` is the catalogue's afterwards."""

    version: int
    changes: tuple[Change, ...] = ()
    rates: tuple[RatesChange, ...] = field(default=())

    def __bool__(self) -> bool:
        """Tell whether anything changes."""
        return bool(self.changes) or any(self.rates)

    @property
    def told(self) -> tuple[Change, ...]:
        """Return the changes that people and programs are told of."""
        return tuple(change for change in self.changes if change.told)

    def lines(self) -> Iterator[str]:
        """Yield the difference for people, one change a line."""
        yield from map(str, self.told)
        yield from map(str, filter(None, self.rates))

    def record(self) -> Record:
        """Return the difference for a JSON document."""
        return {
            "version": self.version,
            "changes": [change.record() for change in self.told],
            "rates": [change.record() for change in self.rates],
        }


def _word(value: object) -> str:
    return "none" if value is None or value == [] else readable(value)


def differences(before: Inventory, after: Inventory) -> tuple[Change, ...]:
    """Return every field that differs, resellers first."""
    return (
        *_of_kind("reseller", before.resellers, after.resellers),
        *_of_kind("time_profile", before.time_profiles, after.time_profiles),
        *_of_kind("exchange_rate", before.exchange_rates, after.exchange_rates),
        *_of_kind("rate_table", before.rate_tables, after.rate_tables),
        *_of_kind("template", before.templates, after.templates),
        *_of_kind("client", before.clients, after.clients),
        *_of_accounts(before, after),
        *_of_kind("watch", before.watches, after.watches),
    )


def _of_kind(kind: str, before: Named, after: Named) -> Iterator[Change]:
    for name, item in after.items():
        if item is not before.get(name):
            yield from _of_item(kind, name, before.get(name), item)


def _of_accounts(before: Inventory, after: Inventory) -> Iterator[Change]:
    for client, accounts in after.accounts.items():
        earlier = {item.id: item for item in before.accounts.get(client, ())}
        for place, item in enumerate(accounts):
            known = earlier.get(item.id) if item.id is not None else None
            if item is not known:
                yield from _of_item("account", f"{client}/{label(item)}", known, item, place)


def label(account: Item) -> str:
    """Return what people call an account: its name, else its address, else its ANI."""
    fields = account.fields
    return str(fields["name"] or fields["ip"] or fields["ani"])


def _of_item(
    kind: str, name: str, before: Item | None, after: Item, place: int | None = None
) -> Iterator[Change]:
    """Yield what differs; of something new, its existence and each field that says anything."""
    if before is None:
        yield Change(kind, name, CREATED, None, True, place=place)
    gone = (before.fields.keys() - after.fields.keys()) if before else ()
    for key, value in (*after.fields.items(), *((key, None) for key in gone)):
        earlier = before.fields.get(key) if before else None
        if earlier == value or (before is None and _says_nothing(kind, key, value)):
            continue
        if key in _SECRETS:
            earlier, value = (MASK if earlier else None), (MASK if value else None)
        yield Change(kind, name, key, earlier, value, before.id if before else None, place)
    if before is not None and (moved := before.own ^ after.own):
        own = sorted(before.own & moved), sorted(after.own & moved)
        # Where the value changes, too, that alone is worth telling.
        told = any(before.fields[key] == after.fields[key] for key in moved)
        yield Change(kind, name, OWN, *own, before.id, told=told)


def _says_nothing(kind: str, key: str, value: Any) -> bool:
    """Tell whether a field of something new is as it is where nobody sets it."""
    return value in (None, "", []) or (kind == "client" and value == DEFAULTS[key])
