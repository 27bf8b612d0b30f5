"""Accounts of different clients that one call would fit equally well: chance would choose who pays."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from billing_core.admin.definitions.desired import Desired, Place
from billing_core.admin.definitions.difference import label
from billing_core.admin.definitions.inventory import ACCOUNT_FIELDS, Item, among
from billing_core.catalogue import Recognition, recognition_keys
from billing_core.client import Account
from billing_core.settings import Fault
from billing_core.storage import tables

_REMEDIES = {
    "orig": "give one another tech prefix, or switch one off",
    "term": "an address is one vendor's only, so switch term off for one",
}


def ambiguous_accounts(connection: Connection, after: Desired) -> Iterator[Fault]:
    """Find accounts of different clients; those of one client are compared where a file is read."""
    first: dict[tuple[str, ...], _Claim] = {}
    claims = list(_claims(after))
    for claim in (*_other_claims(connection, after, claims), *claims):
        for mark in claim.marks():
            other = first.setdefault(mark, claim)
            if other.client != claim.client and claim.place:
                yield claim.place.fault(f"{claim} and {other} fit the same calls; {_REMEDIES[mark[0]]}")
                break


@dataclass(frozen=True, slots=True)
class _Claim:
    """An account that is switched on, and where it is defined, if in a file."""

    client: str
    account: Item
    place: Place | None

    def __str__(self) -> str:
        prefix = self.account.fields["tech_prefix"]
        with_prefix = f' with tech prefix "{prefix}"' if prefix else ""
        at = f" ({self.place})" if self.place and self.place.line else ""
        return f'account "{label(self.account)}"{with_prefix} of client "{self.client}"{at}'

    def marks(self) -> Iterator[tuple[str, ...]]:
        """Yield what a call is recognised by: of two clients with one mark, chance would choose.

        A vendor is found by his address alone, so there a tech prefix keeps nobody apart.
        """
        fields = self.account.fields
        known = Account(id=0, client_id=0, **fields)
        for recognition, value in recognition_keys(known):
            if known.orig:
                yield "orig", recognition.value, value, known.tech_prefix
            if known.term and recognition is Recognition.IP:
                yield "term", recognition.value, value


def _claims(after: Desired) -> Iterator[_Claim]:
    """Yield the accounts of the clients that were read; those that no file names come first."""
    found = []
    for client, accounts in after.inventory.accounts.items():
        for number, account in enumerate(accounts):
            if account.fields["orig"] or account.fields["term"]:
                found.append(_Claim(client, account, after.account_place(client, number)))
    yield from sorted(found, key=lambda claim: claim.place is not None)


def _other_claims(connection: Connection, after: Desired, claims: Iterable[_Claim]) -> Iterator[_Claim]:
    """Yield accounts of all other clients that share a name, an address or a number with *claims*."""
    values: dict[str, set[str]] = {"name": set(), "ip": set(), "ani": set()}
    for claim in claims:
        for key, found in values.items():
            if claim.place and claim.account.fields[key]:
                found.add(claim.account.fields[key])
    account, client = tables.account, tables.client
    read = {item.id for item in after.inventory.clients.values() if item.id is not None}
    statement = (
        select(client.c.name.label("client"), account)
        .join(client, client.c.id == account.c.client_id)
        .where(
            account.c.orig | account.c.term,
            or_(*(among(account.c[key], found) for key, found in values.items())),
        )
    )
    for row in connection.execute(statement) if any(values.values()) else ():
        if row.client_id not in read:
            yield _Claim(row.client, Item(row.id, {key: getattr(row, key) for key in ACCOUNT_FIELDS}), None)
