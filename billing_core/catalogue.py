"""What deciding needs of clients, accounts and rate tables, held in memory.

One worker reads it during a turn and changes it only between turns, a few clients or one whole
rate table at a time, whenever the database says that a definition changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum

from billing_core.block import Blocks
from billing_core.capacity import CounterKey, Scope, counter_keys
from billing_core.client import Account, Client
from billing_core.exchange import Exchange
from billing_core.number import normalise
from billing_core.rate_table import Rate, RateTable
from billing_core.session import Leg
from billing_core.time_profile import TimeProfile


class Recognition(Enum):
    """By what an account is recognised, in the order in which it is tried."""

    NAME = "name"
    IP = "ip"
    ANI = "ani"

    __hash__ = object.__hash__  # Enum's own is written in Python, and every request looks one up.


# Whoever makes tables each other's parents, straight in the database, must not hang a turn.
_PARENTS_MAX = 32

Mark = tuple[Recognition, str | None]
"""What may tell whose a call is: a name, an address, a caller id."""

_Key = tuple[Recognition, str]


class Catalogue:
    """Clients by id, their accounts by name, IP and ANI, and rate tables by id.

    `limited_resellers` are those that have a capacity, None as long as that is not known.
    """

    def __init__(self) -> None:
        """Begin empty, with the version of no definitions at all."""
        self.version = 0
        self.limited_resellers: frozenset[int] | None = None
        self.clients: dict[int, Client] = {}
        self.rate_tables: dict[int, RateTable] = {}
        self.time_profiles: dict[str, TimeProfile] = {}
        self.exchange = Exchange()
        self.blocks = Blocks()
        self._accounts: dict[int, dict[int, Account]] = {}
        self._recognised: dict[_Key, tuple[Account, ...]] = {}

    def put_client(self, client: Client, accounts: Iterable[Account]) -> None:
        """Add a client or replace what was known of him."""
        self._forget_accounts(client.id)
        self.clients[client.id] = client
        self._accounts[client.id] = {account.id: account for account in accounts}
        for account in self._accounts[client.id].values():
            for key in recognition_keys(account):
                self._recognised[key] = _narrowest_first((*self._recognised.get(key, ()), account))

    def remove_client(self, client_id: int) -> None:
        """Forget a client who is gone for good, and by what his calls were recognised."""
        self._forget_accounts(client_id)
        self._accounts.pop(client_id, None)
        self.clients.pop(client_id, None)

    def put_rate_table(self, table: RateTable) -> None:
        """Add a rate table or replace it by its new version."""
        self.rate_tables[table.id] = table

    def rate(self, client: Client, table_id: int | None, number: str, at: datetime) -> Rate | None:
        """Return what *number* costs *client* by a rate table or its parents, as it is pinned in a session.

        The longest code wins; of equal ones that of the table nearer to the client. None where there is
        no rate, or no factor between the table's currency and the client's.
        """
        profiles = _ProfilesInForce(self.time_profiles, at, client.timezone) if self.time_profiles else ()
        found: tuple[Rate, RateTable] | None = None
        chain = self._with_parents(table_id)
        for table in chain:
            longer_than = len(found[0].code) if found else 0
            if rate := table.find(number, at, profiles, longer_than=longer_than):
                found = rate, table
        if found is None:
            return None
        rate, table = found
        factor = self.exchange.factor(table.currency, client.currency, at)
        return None if factor is None else rate.converted(factor, chain[0].rounding)

    def _with_parents(self, table_id: int | None) -> list[RateTable]:
        chain: list[RateTable] = []
        while (
            table_id is not None and (table := self.rate_tables.get(table_id)) and len(chain) < _PARENTS_MAX
        ):
            chain.append(table)
            table_id = table.parent_id
        return chain

    def account(self, client_id: int, account_id: int | None) -> Account | None:
        """Return a client's account by id."""
        return None if account_id is None else self._accounts.get(client_id, {}).get(account_id)

    def counter_keys(self, client_id: int, account_id: int | None) -> list[CounterKey]:
        """Return the shared counters that a leg of the client by that account occupies."""
        account = self.account(client_id, account_id)
        keys = counter_keys(self.clients[client_id], account_id)
        return [key for key in keys if self._may_be_counted(key, account)]

    def recognise(self, by: Recognition, value: str | None, dialled: str) -> Account | None:
        """Return the account recognised by *value*; of several, the longest tech prefix of *dialled*."""
        for account in self._recognised.get((by, value), ()) if value else ():
            if dialled.startswith(account.tech_prefix):
                return account
        return None

    def recognise_first(self, marks: Iterable[Mark], dialled: str) -> Account | None:
        """Return the account recognised by the first of *marks* that any account has.

        Where none of its accounts fits, the call is nobody's: by leaving out a tech prefix a caller must
        not come to be known by a mark that he chooses himself.
        """
        for by, value in marks:
            if value and (by, value) in self._recognised:
                return self.recognise(by, value, dialled)
        return None

    def vendor(self, address: str | None) -> Account | None:
        """Return the vendor's account whose legs go to *address*."""
        for account in self._recognised.get((Recognition.IP, address), ()) if address else ():
            if account.term:
                return account
        return None

    def payer(
        self,
        leg: Leg,
        *,
        name: str | None,
        ip: str | None,
        calling: str,
        called: str,
        termination_address: str | None,
    ) -> Account | None:
        """Return whose leg it is that was never authorized, by what its records tell.

        They are signed by the switch, so a name needs no password, and one that nobody has says nothing:
        switches write addresses and channels there, too. The vendor of a termination leg is found by
        where it went, never by name.
        """
        if leg is Leg.TERMINATION:
            return self.vendor(termination_address)
        return self.recognise_first(marks(name, ip, calling), called)

    def _may_be_counted(self, key: CounterKey, account: Account | None) -> bool:
        if key[0] is Scope.RESELLER:
            return self.limited_resellers is None or key[1] in self.limited_resellers
        return account is None or account.capacity is not None

    def _forget_accounts(self, client_id: int) -> None:
        for account in self._accounts.get(client_id, {}).values():
            for key in recognition_keys(account):
                rest = tuple(other for other in self._recognised[key] if other.id != account.id)
                if rest:
                    self._recognised[key] = rest
                else:
                    del self._recognised[key]


@dataclass(frozen=True, slots=True)
class _ProfilesInForce:
    """The names of those time profiles that cover a moment: looked at only when a rate asks for one."""

    profiles: Mapping[str, TimeProfile]
    at: datetime
    zone: tzinfo

    def __contains__(self, name: object) -> bool:
        profile = self.profiles.get(name) if isinstance(name, str) else None
        return profile is not None and profile.covers(self.at, self.zone)


def marks(name: str | None, ip: str | None, calling: str) -> tuple[Mark, ...]:
    """Return by what records tell who pays, the surest first."""
    return (Recognition.NAME, name), (Recognition.IP, ip), (Recognition.ANI, normalise(calling))


def recognition_keys(account: Account) -> list[_Key]:
    """Return everything by which *account* may be recognised."""
    keys: list[_Key] = []
    if account.name:
        keys.append((Recognition.NAME, account.name))
    if account.ip:
        keys.append((Recognition.IP, account.ip))
    ani = normalise(account.ani) if account.ani else None
    if ani:
        keys.append((Recognition.ANI, ani))
    return keys


def _narrowest_first(accounts: tuple[Account, ...]) -> tuple[Account, ...]:
    """Order accounts that share a key: switched on before off, then the longest tech prefix."""
    return tuple(sorted(accounts, key=lambda account: (not account.orig, -len(account.tech_prefix))))
