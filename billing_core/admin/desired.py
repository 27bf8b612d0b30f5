"""What the database shall hold once definitions files are applied to what it holds now.

Fields that a file names are set, others are left; `client.account` is one field, so an account that
is no longer named is switched off. Of several files a later one has the last word.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from billing_core.admin.definitions import (
    Client,
    Company,
    Concurrency,
    Definition,
    Definitions,
    LowBalance,
    Rounding,
)
from billing_core.admin.inventory import ACCOUNT_FIELDS, COMPANY, Fields, Inventory, Item, Named
from billing_core.admin.week_spans import written_span
from billing_core.settings import Document, Fault, KeyPath
from billing_core.time_profile import Span

Key = tuple[str, str]
"""A kind and a name, as `("client", "Customer A")`."""

_NOT_SET = ("name", "account", "rates")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file something is defined."""

    document: Document
    path: KeyPath

    def fault(self, message: str, *keys: str | int) -> Fault:
        """Return a fault at a key below this place."""
        return self.document.fault((*self.path, *keys), message)

    def below(self, *keys: str | int) -> "Place":
        """Return a place below this one."""
        return Place(self.document, (*self.path, *keys))

    def __str__(self) -> str:
        """Write the place as `file:line`."""
        return f"{self.document.file}:{self.document.line_of(self.path)}"


@dataclass(frozen=True, slots=True)
class Desired:
    """The inventory that files ask for.

    `places` tells where an object is defined last, `account_places` the same of the accounts of a
    client, in the order of `inventory.accounts`; `named` by which definition each field was named.
    """

    inventory: Inventory
    places: dict[Key, Place] = field(default_factory=dict)
    named: dict[Key, dict[str, Place]] = field(default_factory=dict)
    account_places: dict[str, list[Place]] = field(default_factory=dict)

    def place(self, key: Key, field_name: str) -> Place | None:
        """Return where a field is named, else where the object is, else None."""
        return self.named.get(key, {}).get(field_name) or self.places.get(key)


def desired(before: Inventory, files: Sequence[Definitions]) -> Desired:
    """Return what *files* ask for, beginning with what there is *before*."""
    after = Inventory(
        dict(before.resellers),
        dict(before.rate_tables),
        dict(before.clients),
        dict(before.accounts),
        dict(before.time_profiles),
        dict(before.exchange_rates),
    )
    result = Desired(after)
    for file in files:
        for kind, items, definitions in _kinds(after, file):
            for place, definition in enumerate(definitions):
                at = Place(file.document, (kind, place))
                _set(result, items, (kind, definition.name), definition, at)
                if isinstance(definition, Client):
                    _set_accounts(result, definition, at)
    return result


def _kinds(after: Inventory, file: Definitions) -> Iterator[tuple[str, Named, Sequence[Any]]]:
    """Yield the key of each kind of definition, the items of it, and what the file says of them."""
    yield "reseller", after.resellers, file.resellers
    yield "time_profile", after.time_profiles, file.time_profiles
    yield "exchange_rate", after.exchange_rates, file.exchange_rates
    yield "rate_table", after.rate_tables, file.rate_tables
    yield "client", after.clients, file.clients


def _set(result: Desired, items: Named, key: Key, definition: Definition, at: Place) -> None:
    """Set in an item the fields that are named; a new one has the defaults of all others."""
    values, named = _flat(definition), definition.fields
    known = items.get(key[1])
    if known is None:
        items[key[1]] = Item(None, values)
    else:
        chosen = {name: value for name, value in values.items() if _is_named(name, named)}
        if any(known.fields.get(name) != value for name, value in chosen.items()):
            items[key[1]] = known.changed(chosen)
    result.places[key] = at
    result.named.setdefault(key, {}).update({name: at.below(name) for name in named})


def _is_named(name: str, named: Mapping[str, object]) -> bool:
    """Tell whether a file names a field; `company` holds only the parts that the file names."""
    return name.partition(".")[0] in named


def _flat(definition: Any) -> Fields:
    """Return the fields of a definition as an inventory holds them."""
    fields: Fields = {}
    for name in type(definition).model_fields:
        if name not in _NOT_SET:
            fields.update(_flat_field(definition, name, getattr(definition, name)))
    return fields


def _flat_field(definition: Any, name: str, value: Any) -> Fields:
    match value:
        case Rounding() | Concurrency():
            return {f"{name}.{part}": _plain(getattr(value, part)) for part in type(value).model_fields}
        case Company():
            return {f"{COMPANY}{part}": text for part, text in value.fields.items()}
        case LowBalance():
            return {"low_balance.threshold": value.threshold, "low_balance.capacity": value.capacity}
        case None if name == "low_balance":
            return {"low_balance.threshold": None, "low_balance.capacity": None}
        case None if name == "company":
            return {}
    return {name: _plain(value)}


def _plain(value: Any) -> Any:
    """Return a value as the database gives it."""
    match value:
        case tuple():
            return [_plain(item) for item in value]
        case Span():
            return written_span(value)
        case str():
            return str(value)
    return value


# --- accounts: one field of a client --------------------------------------------------------------


def _set_accounts(result: Desired, client: Client, at: Place) -> None:
    accounts = result.inventory.accounts
    known = accounts.setdefault(client.name, [])
    if "account" not in client.fields:
        return
    named = [{key: getattr(account, key) for key in ACCOUNT_FIELDS} for account in client.account]
    matches = _matches(named, known)
    items = []
    for place, values in enumerate(named):
        match = matches.get(place)
        items.append(match if match and match.fields == values else Item(match.id if match else None, values))
    kept = {item.id for item in matches.values()}
    rest = [_switched_off(item) for item in known if item.id not in kept and item.id is not None]
    accounts[client.name] = items + rest
    result.account_places[client.name] = [at.below("account", place) for place in range(len(items))]


def _switched_off(account: Item) -> Item:
    """Return an account that recognises no call any more; it stays for the calls it made."""
    if not (account.fields["orig"] or account.fields["term"]):
        return account
    return account.changed({"orig": False, "term": False})


# By what an account in a file is taken for one that is known, the surest first.
_IDENTITIES = (("name", "tech_prefix"), ("name",), ("ip", "tech_prefix"), ("ani", "tech_prefix"))


def _matches(named: Sequence[Fields], known: Iterable[Item]) -> dict[int, Item]:
    """Return which known account each of the named ones is, by its place; each is taken once.

    One that is switched on is preferred to one that is off, so that an account keeps its calls.
    """
    free = sorted(known, key=lambda item: not (item.fields["orig"] or item.fields["term"]))
    found: dict[int, Item] = {}
    for identity in _IDENTITIES:
        by_identity: dict[tuple[Any, ...], list[Item]] = {}
        for item in free:
            by_identity.setdefault(_identity(item.fields, identity), []).append(item)
        for place, fields in enumerate(named):
            candidates = by_identity.get(_identity(fields, identity), [])
            if place not in found and fields[identity[0]] and candidates:
                found[place] = candidates.pop(0)
        taken = {id(item) for item in found.values()}
        free = [item for item in free if id(item) not in taken]
    return found


def _identity(fields: Mapping[str, Any], identity: Sequence[str]) -> tuple[Any, ...]:
    return tuple(fields[key] for key in identity)
