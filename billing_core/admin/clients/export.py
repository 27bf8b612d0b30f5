"""Definitions as they stand in the database, in the form in which `billing apply` takes them back.

What a client has from his template or by default is not his own, and not written. Applied where it comes
from, nothing changes; applied to an empty database, all is equal but ids, rates and money.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from billing_core.admin.clients.client_search import Search
from billing_core.admin.definitions.client_fields import FIELDS, WHOLE_SECTIONS
from billing_core.admin.definitions.definition import Fields
from billing_core.admin.definitions.inventory import Item, Named, inventory
from billing_core.admin.definitions.toml_text import comment, written_table
from billing_core.admin.output import Record
from billing_core.storage.tables import catalogue, client

_AT_ONCE = 2000
_PASSWORD, _HASH = "panel.password", "panel.password_hash"
_IN_WHOLE = frozenset(part for parts in WHOLE_SECTIONS.values() for part in parts)

_NO_ACCOUNTS = "Accounts are left out, for they have passwords; --secrets writes them."
_NO_PASSWORD = "The password of the panel is left out; --secrets writes its hash."
_NO_RATES = "Rates are not written: they are imported."


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition: its kind, the fields it names, the accounts of a client, and what it leaves out."""

    kind: str
    fields: Fields
    accounts: Sequence[Fields] = ()
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write the definition as a part of a definitions file."""
        accounts = (written_table(f"{self.kind}.account", account) for account in self.accounts)
        remarks = "".join(map(comment, self.left_out))
        return "\n" + remarks + written_table(self.kind, self.fields) + "".join(accounts)

    def record(self) -> Record:
        """Return the definition for a JSON document."""
        accounts = {"account": self.accounts} if self.accounts else {}
        return {"kind": self.kind, **self.fields, **accounts, "left_out": self.left_out}


@dataclass(frozen=True, slots=True)
class Form:
    """What is written besides: secrets, and after which version nobody may have changed a client."""

    has_secrets: bool = False
    is_guarded: bool = False


def head(connection: Connection) -> str:
    """Return what stands at the top of a file of definitions that are written now."""
    version = connection.scalar(select(catalogue.c.version))
    return comment(f"Definitions as of version {version}, written by: billing export\n{_NO_RATES}")


def exported(connection: Connection, search: Search, form: Form) -> Iterator[Definition]:
    """Yield all that clients have in common, and the clients who fit *search*, by name.

    The connection must see one state of the database all the while.
    """
    common = inventory(connection, ())
    yield from _defined("reseller", common.resellers)
    yield from _defined("time_profile", common.time_profiles)
    for item in common.exchange_rates.values():
        yield Definition("exchange_rate", item.fields)
    yield from _defined("rate_table", common.rate_tables)
    for name, item in common.templates.items():
        yield Definition("template", {"name": name, **_written(item.fields)})
    yield from _defined("watch", common.watches)
    ids = search.ids(connection).cte("wanted")
    by_name = select(client.c.name).where(client.c.id.in_(select(ids.c.id))).order_by(client.c.name)
    names = connection.execute(by_name).scalars().all()
    for first in range(0, len(names), _AT_ONCE):
        found = inventory(connection, names[first : first + _AT_ONCE])
        for name in names[first : first + _AT_ONCE]:
            yield _client(name, found.clients[name], found.accounts[name], form)


def _defined(kind: str, items: Named) -> Iterator[Definition]:
    for name, item in items.items():
        yield Definition(kind, {"name": name, **item.fields})


def _client(name: str, item: Item, accounts: Sequence[Item], form: Form) -> Definition:
    own = {key: item.fields[key] for key in FIELDS if key in item.own}
    password = own.pop(_PASSWORD, "")
    fields = {"name": name, **({"if_version": item.version} if form.is_guarded else {}), **_written(own)}
    left_out = []
    if password is None:
        fields[_PASSWORD] = ""
    elif password and form.has_secrets:
        fields[_HASH] = password
    elif password:
        left_out.append(_NO_PASSWORD)
    if not form.has_secrets and any(account.fields["password"] for account in accounts):
        # The accounts of a client are one field: whoever is not named would be switched off.
        return Definition("client", fields, (), (*left_out, _NO_ACCOUNTS))
    named = [{key: value for key, value in account.fields.items() if value != ""} for account in accounts]
    return Definition("client", fields, sorted(named, key=_is_off), tuple(left_out))


def _is_off(account: Fields) -> bool:
    """Applying takes accounts that are alike in this order: those that are switched on first."""
    return not (account["orig"] or account["term"])


def _written(fields: Mapping[str, Any]) -> Fields:
    """Return fields as a file has them: no value is an empty text, or in a section set as a whole, no key."""
    return {key: "" if value is None and key not in _IN_WHOLE else value for key, value in fields.items()}
