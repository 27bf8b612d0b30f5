"""What no single definition tells: names that are not known, loops, currencies, ambiguous accounts."""

from collections.abc import Iterator

from sqlalchemy import Connection, select, union

from billing_core.admin.changes.ambiguous_accounts import ambiguous_accounts
from billing_core.admin.definitions.client_fields import REFERENCES
from billing_core.admin.definitions.desired import Desired
from billing_core.admin.definitions.inventory import Inventory, Item, Named, among
from billing_core.admin.output import instant
from billing_core.settings import Fault, nearest
from billing_core.storage import tables

_OF_CLIENTS = [field.key for field in REFERENCES]

# Which field of which kind of definition names a definition of which other kind.
_REFERENCES = (
    ("reseller", "parent", "reseller"),
    ("rate_table", "parent", "rate_table"),
    *((kind, field, field.removeprefix("term_")) for kind in ("template", "client") for field in _OF_CLIENTS),
)
_CHANGES_TOLD = 5

_LOOPS = {
    "reseller": "is a reseller below itself",
    "rate_table": "is a rate table whose prices come from itself",
}
_RATE_TABLES = ("rate_table", "term_rate_table")


def faults(connection: Connection, before: Inventory, after: Desired) -> Iterator[Fault]:
    """Yield everything for which the definitions can't be applied, with its place in a file."""
    unknown = [*_unknown_names(after), *_missing_currencies(after)]
    yield from unknown
    yield from _loops(after)
    if not unknown:
        yield from _currencies_of_parents(after)
        yield from _other_currencies(after)
    yield from _changed_currencies(connection, before, after)
    yield from _halves(after)
    yield from _shared_logins(connection, after)
    yield from _changed_meanwhile(connection, before, after)
    yield from _unknown_accounts(before, after)
    yield from _unwatched(connection, after)
    yield from ambiguous_accounts(connection, after)


def _kinds(inventory: Inventory) -> dict[str, Named]:
    return {
        "reseller": inventory.resellers,
        "rate_table": inventory.rate_tables,
        "template": inventory.templates,
        "client": inventory.clients,
    }


def _unknown_names(after: Desired) -> Iterator[Fault]:
    known = _kinds(after.inventory)
    for kind, field, target in _REFERENCES:
        for name, item in known[kind].items():
            wanted = item.fields.get(field)
            if wanted is None or wanted in known[target]:
                continue
            if place := after.place((kind, name), field):
                what = target.replace("_", " ")
                yield place.fault(f'there is no {what} "{wanted}"{nearest(wanted, known[target])}')


def _missing_currencies(after: Desired) -> Iterator[Fault]:
    inventory = after.inventory
    for kind, items in (("rate_table", inventory.rate_tables), ("client", inventory.clients)):
        for name, item in items.items():
            if item.fields["currency"] is None and (place := after.place((kind, name), "")):
                yield place.fault(f'missing; "{name}" needs one, such as "EUR"', "currency")


def _loops(after: Desired) -> Iterator[Fault]:
    for kind, sentence in _LOOPS.items():
        items = _kinds(after.inventory)[kind]
        for name in items:
            chain = [name]
            parent = items[name].fields["parent"]
            while parent in items and parent not in chain:
                chain.append(parent)
                parent = items[parent].fields["parent"]
            place = after.place((kind, name), "parent")
            if parent == name and place:
                path = " -> ".join([*chain, name])
                yield place.fault(f"{sentence}: {path}; one of them must have another parent")


def _currencies_of_parents(after: Desired) -> Iterator[Fault]:
    """A call is priced by one table or its parents: all of them count in the same money."""
    tables = after.inventory.rate_tables
    for name, item in tables.items():
        parent, currency = item.fields["parent"], item.fields["currency"]
        if parent is None or tables[parent].fields["currency"] == currency:
            continue
        place = (
            after.named(("rate_table", name), "parent")
            or after.named(("rate_table", name), "currency")
            or after.place(("rate_table", parent), "currency")
            or after.place(("rate_table", name), "parent")
        )
        if place:
            yield place.fault(
                f'rate table "{name}" is in {currency}, but its parent "{parent}" is in'
                f" {tables[parent].fields['currency']}; a parent must have the same currency"
            )


def _other_currencies(after: Desired) -> Iterator[Fault]:
    """Prices in another currency than the client's balance need a factor between the two."""
    pairs = {
        (rate.fields["currency"], rate.fields["into"]) for rate in after.inventory.exchange_rates.values()
    }
    for name, item in after.inventory.clients.items():
        for field in _RATE_TABLES:
            table, own = item.fields[field], item.fields["currency"]
            if table is None:
                continue
            currency = after.inventory.rate_tables[table].fields["currency"]
            if currency == own or (currency, own) in pairs:
                continue
            place = after.place(("client", name), field) or after.place(("rate_table", table), "currency")
            if place:
                yield place.fault(
                    f'client "{name}" is in {own}, but rate table "{table}" is in {currency}; give the client'
                    f" a rate table in {own}, or define what his calls are converted by:"
                    f' [[exchange_rate]] currency = "{currency}", into = "{own}", factor, effective_from'
                )


def _unknown_accounts(before: Inventory, after: Desired) -> Iterator[Fault]:
    for name, (place, count) in after.accounts.items():
        known = {item.id for item in before.accounts.get(name, ())} | {None}
        ids = [item.id for item in after.inventory.accounts[name][:count]]
        for number, id in enumerate(ids):
            at = ("account", number, "id")
            if id not in known:
                yield place.fault(f'client "{name}" has no account {id}; leave the id out of a new one', *at)
            elif id is not None and id in ids[:number]:
                yield place.fault(f"account {id} is named twice", *at)


def _changed_currencies(connection: Connection, before: Inventory, after: Desired) -> Iterator[Fault]:
    """Money that was booked keeps its currency."""
    changed = {
        item.id: name
        for name, item in after.inventory.clients.items()
        if item.id is not None and item.fields["currency"] != before.clients[name].fields["currency"]
    }
    entry, session = tables.entry, tables.session
    # What has ended may hold money still, until somebody decides what it costs.
    is_open = session.c.closed_at.is_(None) | (session.c.reserved != 0)
    with_money = union(
        select(entry.c.client_id).where(among(entry.c.client_id, changed)),
        select(session.c.client_id).where(is_open, among(session.c.client_id, changed)),
    )
    for client_id in connection.execute(with_money).scalars() if changed else ():
        name = changed[client_id]
        currency = before.clients[name].fields["currency"]
        place = after.place(("client", name), "currency")
        assert place is not None, "only a definition changes a currency"
        yield place.fault(f'client "{name}" has money booked in {currency}; keep it, or define a new client')


def _halves(after: Desired) -> Iterator[Fault]:
    """Find a threshold without its capacity, or a capacity without its threshold."""
    halves = ("low_balance.threshold", "low_balance.capacity")
    for name, item in after.inventory.clients.items():
        given = [key for key in halves if item.fields[key] is not None]
        if len(given) == 1 and (place := after.place(("client", name), "low_balance")):
            (missing,) = set(halves) - set(given)
            yield place.fault(f'client "{name}" has {given[0]} but no {missing}; give both or neither')


def _shared_logins(connection: Connection, after: Desired) -> Iterator[Fault]:
    """Find clients who would log in to the panel by one name."""
    logins: dict[str, str] = {}
    ids = set()
    for name, item in after.inventory.clients.items():
        login = item.fields["panel.login"]
        ids.add(item.id)
        if login is None or logins.setdefault(login, name) == name:
            continue
        if place := after.place(("client", name), "panel"):
            yield place.fault(
                f'login "{login}" is that of client "{logins[login]}" too; choose another one', "login"
            )
    client = tables.client
    taken = select(client.c.name, client.c.panel_login, client.c.id).where(
        among(client.c.panel_login, logins)
    )
    for row in connection.execute(taken) if logins else ():
        place = after.place(("client", logins[row.panel_login]), "panel")
        if row.id not in ids and place:
            yield place.fault(
                f'login "{row.panel_login}" is that of client "{row.name}"; choose another one', "login"
            )


def _changed_meanwhile(connection: Connection, before: Inventory, after: Desired) -> Iterator[Fault]:
    """Find clients who are no longer as they were when their definition was written."""
    newest = connection.execute(select(tables.catalogue.c.version)).scalar_one() if after.expected else 0
    for name, version in after.expected.items():
        known = before.clients.get(name)
        if version > newest and (place := after.place(("client", name), "if_version")):
            yield place.fault(f"there is no version {version} yet; the newest is {newest}")
        is_same = (
            after.inventory.clients[name] is known and after.inventory.accounts[name] == before.accounts[name]
        )
        if known is not None and known.version > version and not is_same:
            place = after.place(("client", name), "if_version")
            assert place is not None, "only a definition expects a version"
            yield place.fault(
                f'client "{name}" was changed after version {version}:'
                f" {_changes(connection, known, version)};"
                f" look at him as he is now, in version {known.version}, and decide again"
            )


def _changes(connection: Connection, client: Item, version: int) -> str:
    """Say who changed what of a client after *version*."""
    audit = tables.audit
    later = audit.c.client_id == client.id, audit.c.version > version
    rows = connection.execute(
        select(audit).where(*later).order_by(audit.c.id.desc()).limit(_CHANGES_TOLD)
    ).all()
    told = [
        f"{row.field} {row.before} -> {row.after} by {row.who} at {instant(row.at)}" for row in reversed(rows)
    ]
    return ", ".join(told) or f"version {client.version} came through others"


def _unwatched(connection: Connection, after: Desired) -> Iterator[Fault]:
    """Find names of watches that no client has."""
    client = tables.client
    for name, item in after.inventory.watches.items():
        place = after.place(("watch", name), "clients")
        unknown = [client for client in item.fields["clients"] if client not in after.inventory.clients]
        if place and unknown:
            found = set(
                connection.execute(select(client.c.name).where(among(client.c.name, unknown))).scalars()
            )
            for wanted in unknown:
                if wanted not in found:
                    yield place.fault(f'there is no client "{wanted}"')
