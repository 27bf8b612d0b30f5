"""What the database shall hold once definitions files are applied to what it holds now.

Fields that a file names are set, others are left; `client.account` is one field, so an account that
is no longer named is switched off. Of several files a later one has the last word.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from billing_core.admin.definitions import panel_password
from billing_core.admin.definitions.client_definition import DEFAULTS, Client, Template, named_fields
from billing_core.admin.definitions.client_fields import FIELDS
from billing_core.admin.definitions.definition import Definition, Fields, flat
from billing_core.admin.definitions.definitions import Definitions
from billing_core.admin.definitions.inventory import ACCOUNT_FIELDS, Inventory, Item, Named, shared
from billing_core.admin.steps import Progress, followed, no_progress
from billing_core.client import Status
from billing_core.settings import Document, Fault, KeyPath

Key = tuple[str, str]
"""A kind and a name, as `("client", "Customer A")`."""

_NOT_SET = ("name", "account", "rates", "unset", "if_version")


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

    @property
    def line(self) -> int:
        """Return the line in the file, or 0 where no file says it."""
        return self.document.line_of(self.path)

    def __str__(self) -> str:
        """Write the place as `file:line`."""
        return f"{self.document.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Desired:
    """The inventory that files ask for.

    `definitions` has the place of every definition of an object, and what it names; `accounts` has that of
    the last one that names the accounts of a client, and how many: so many come first in
    `inventory.accounts`. `expected` tells after which version of the catalogue a client must not have
    changed.
    """

    inventory: Inventory
    definitions: dict[Key, list[tuple[Place, frozenset[str]]]] = field(default_factory=dict)
    accounts: dict[str, tuple[Place, int]] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)

    def place(self, key: Key, field_name: str) -> Place | None:
        """Return where a field is named, else where the object is, else None.

        A client's field may be named by his template alone, or by an object whose change concerns him.
        """
        if key in self.definitions:
            return self.named(key, field_name) or self.definitions[key][-1][0]
        client = self.inventory.clients.get(key[1]) if key[0] == "client" else None
        if client is not None and client.fields["template"] is not None:
            return self.place(("template", client.fields["template"]), field_name)
        return None

    def named(self, key: Key, field_name: str) -> Place | None:
        """Return where a field is named last, else None."""
        name = field_name.partition(".")[0]
        for place, names in reversed(self.definitions.get(key, ())):
            if name in names:
                return place.below(name)
        return None

    def account_place(self, client: str, number: int) -> Place | None:
        """Return where the account of this place in `inventory.accounts` is defined, if it is."""
        place, count = self.accounts.get(client, (None, 0))
        return place.below("account", number) if place is not None and number < count else None


def desired(before: Inventory, files: Sequence[Definitions], progress: Progress = no_progress) -> Desired:
    """Return what *files* ask for, beginning with what there is *before*."""
    after = Inventory(
        dict(before.resellers),
        dict(before.rate_tables),
        dict(before.clients),
        dict(before.accounts),
        dict(before.time_profiles),
        dict(before.exchange_rates),
        dict(before.templates),
        dict(before.watches),
    )
    result = Desired(after)
    for file in files:
        for kind, items, definitions in _kinds(after, file):
            step = f"comparing {len(definitions):,} {kind} definitions".replace("_", " ")
            for number, definition in enumerate(followed(definitions, len(definitions), step, progress)):
                place, key = Place(file.document, (kind, number)), (kind, definition.name)
                _set(result, items, key, definition)
                names = shared(frozenset(definition.model_fields_set))
                result.definitions.setdefault(key, []).append((place, names))
                if isinstance(definition, Client):
                    _set_accounts(result, definition, place)
                    if definition.if_version is not None:
                        result.expected[definition.name] = definition.if_version
    for name, client in after.clients.items():
        after.clients[name] = _settled(client, before.clients.get(name), after.templates)
        if after.clients[name].fields["status"] == Status.DELETED:
            after.accounts[name] = [_switched_off(account) for account in after.accounts[name]]
    return result


def _kinds(after: Inventory, file: Definitions) -> Iterator[tuple[str, Named, Sequence[Any]]]:
    """Yield the key of each kind of definition, the items of it, and what the file says of them."""
    yield "reseller", after.resellers, file.resellers
    yield "time_profile", after.time_profiles, file.time_profiles
    yield "exchange_rate", after.exchange_rates, file.exchange_rates
    yield "rate_table", after.rate_tables, file.rate_tables
    yield "template", after.templates, file.templates
    yield "client", after.clients, file.clients
    yield "watch", after.watches, file.watches


def _set(result: Desired, items: Named, key: Key, definition: Definition) -> None:
    """Set in an item the fields that are named; a new one has the defaults of all others."""
    known = items.get(key[1])
    named = flat({name: value for name, value in definition.fields.items() if name not in _NOT_SET})
    match definition:
        case Client():
            items[key[1]] = _with_own(known or Item(None, DEFAULTS), named, definition)
        case Template():
            fields = {**(known.fields if known else {}), **named}
            for gone in _unset(definition):
                fields.pop(gone, None)
            items[key[1]] = (
                known if known and known.fields == fields else Item(known.id if known else None, fields)
            )
        case _ if known is None:
            others = [name for name in type(definition).model_fields if name not in _NOT_SET]
            items[key[1]] = Item(None, flat({name: getattr(definition, name) for name in others}))
        case _ if any(known.fields[name] != value for name, value in named.items()):
            items[key[1]] = known.changed(named)


# --- clients: what they set themselves, what their template sets, and what nobody does ---------------


def _with_own(known: Item, named: Fields, definition: Client) -> Item:
    """Return a client with what his definition names for his own; the rest follows in `_settled`."""
    given = {key: value for key, value in named.items() if key in FIELDS}
    if "panel.password_hash" in named:
        given["panel.password"] = named["panel.password_hash"]
    elif (password := given.get("panel.password")) is not None:
        kept = known.fields["panel.password"]
        given["panel.password"] = (
            kept if panel_password.is_of(kept, password) else panel_password.hashed(password)
        )
    own = shared(frozenset((known.own | given.keys()) - _unset(definition)))
    return replace(known, fields={**known.fields, **given}, own=own)


def _unset(definition: Client | Template) -> set[str]:
    return {key for word in definition.unset for key in named_fields(word)}


def _settled(client: Item, before: Item | None, templates: Named) -> Item:
    """Return the client with what holds: what is his own, else his template's, else the default."""
    template = templates.get(client.fields["template"]) if "template" in client.own else None
    fields = {
        **DEFAULTS,
        **(template.fields if template else {}),
        **{key: client.fields[key] for key in client.own},
    }
    if fields["status"] == Status.DELETED:
        fields["panel.enabled"] = False
    if before is not None and before.fields == fields and before.own == client.own:
        return before
    return replace(client, fields=fields)


# --- accounts: one field of a client --------------------------------------------------------------


def _set_accounts(result: Desired, client: Client, at: Place) -> None:
    accounts = result.inventory.accounts
    known = accounts.setdefault(client.name, [])
    if "account" not in client.fields:
        return
    named = [{key: getattr(account, key) for key in ACCOUNT_FIELDS} for account in client.account]
    ids = [account.id for account in client.account]
    matches = _matches(named, ids, known)
    items = []
    for place, values in enumerate(named):
        match = matches.get(place)
        # An id that nobody has is told of when all is compared.
        id = match.id if match else ids[place]
        items.append(match if match and match.fields == values else Item(id, values))
    kept = {item.id for item in matches.values()}
    rest = [_switched_off(item) for item in known if item.id not in kept and item.id is not None]
    accounts[client.name] = items + rest
    result.accounts[client.name] = at, len(items)


def _switched_off(account: Item) -> Item:
    """Return an account that recognises no call any more; it stays for the calls it made."""
    if not (account.fields["orig"] or account.fields["term"]):
        return account
    return account.changed({"orig": False, "term": False})


# By what an account in a file is taken for one that is known, the surest first.
_IDENTITIES = (("name", "tech_prefix"), ("name",), ("ip", "tech_prefix"), ("ani", "tech_prefix"))


def _matches(named: Sequence[Fields], ids: Sequence[int | None], known: Iterable[Item]) -> dict[int, Item]:
    """Return which known account each of the named ones is, by its place; each is taken once.

    Who has an id is that one. One that is switched on is preferred to one that is off, so that an account
    keeps its calls.
    """
    by_id = {item.id: item for item in known if item.id is not None}
    found = {place: by_id[id] for place, id in enumerate(ids) if id in by_id}
    free = [item for item in known if item.id is None or item.id not in ids]
    free.sort(key=lambda item: not (item.fields["orig"] or item.fields["term"]))
    for identity in _IDENTITIES:
        by_identity: dict[tuple[Any, ...], list[Item]] = {}
        for item in free:
            by_identity.setdefault(_identity(item.fields, identity), []).append(item)
        for place, fields in enumerate(named):
            candidates = by_identity.get(_identity(fields, identity), [])
            if place not in found and ids[place] is None and fields[identity[0]] and candidates:
                found[place] = candidates.pop(0)
        taken = {id(item) for item in found.values()}
        free = [item for item in free if id(item) not in taken]
    return found


def _identity(fields: Mapping[str, Any], identity: Sequence[str]) -> tuple[Any, ...]:
    return tuple(fields[key] for key in identity)
