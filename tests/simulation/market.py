"""The definitions of a hostile world: cheap, dear, barred and unpriced numbers, and clients of every kind.

Nothing changes while the world runs, so that what a conversation costs follows from its number alone.
"""

import random
from dataclasses import dataclass, replace
from decimal import Decimal

from calls import ALICE, VENDOR, VENDOR_ACCOUNT
from calls import rate as a_rate

from billing_core.block import Block, BlockKind, blocks
from billing_core.capacity import Counter, CounterKey, Scope
from billing_core.catalogue import Catalogue
from billing_core.client import Account, Client, Concurrency, Policy
from billing_core.rate_table import Rate, rate_table

RATES = (
    a_rate("0.60/min 1/1", "44"),
    a_rate("6/min 1/1", "882"),
    a_rate("0.006/min 1/1", "39"),
    a_rate("3.3333/min 30/6 setup 0.05 grace 2", "881"),
    a_rate("0/min 1/1", "99"),
    a_rate("1/min 1/1", "90"),
)
CHEAP, DEAR, BARRED, UNPRICED = "390612345678", "882161234567", "90555123", "12025550123"
NUMBERS = (CHEAP, DEAR, "442071234567", "442079876543", "8816123456", "99123456")
BAR = Block(BlockKind.CODE, "90")
CONCURRENCIES = {
    11: Concurrency(Policy.FULL),
    12: Concurrency(Policy.SHARE, calls=3),
    13: Concurrency(Policy.SLICE, seconds=60),
    14: Concurrency(Policy.NONE),
    15: Concurrency(Policy.FULL),
    16: Concurrency(Policy.FULL),
    17: Concurrency(Policy.FULL),
}
POSTPAID_ID, PREFIXED_ID, ANI_ID = 15, 16, 17
PREFIX = "777#"
PREFIXED_IP = "198.51.100.16"
ANI = "447009009017"
CALLING = "1222333"
SALT = ("1", "1.0371937")


@dataclass(frozen=True, slots=True)
class Way:
    """How a client makes itself known: by name and password, by address and prefix, or by caller id."""

    name: str | None
    ip: str | None
    calling: str
    prefix: str = ""


class Market:
    """Who may call, and what that costs."""

    def __init__(self, chance: random.Random) -> None:
        """Choose capacities and credits by chance."""
        salt = Decimal(chance.choice(SALT))
        self.version = 1
        self.rates: list[Rate] = [
            replace(rate, price_per_minute=rate.price_per_minute * salt) for rate in RATES
        ]
        self.bought = [replace(rate, price_per_minute=rate.price_per_minute / 2) for rate in self.rates]
        self.clients: dict[int, Client] = {VENDOR.id: VENDOR}
        self.accounts: dict[int, list[Account]] = {VENDOR.id: [VENDOR_ACCOUNT]}
        for id, concurrency in CONCURRENCIES.items():
            self.clients[id] = replace(
                ALICE,
                id=id,
                name=f"{concurrency.policy} {id}",
                concurrency=concurrency,
                credit=Decimal(chance.choice(["0", "0", "2.50"])),
                postpaid=id == POSTPAID_ID,
                capacity=chance.choice([None, 1, 3]),
            )
            self.accounts[id] = [self._account(id, chance.choice([None, 2]))]

    @staticmethod
    def _account(id: int, capacity: int | None) -> Account:
        account = Account(id=id * 10, client_id=id, capacity=capacity)
        if id == PREFIXED_ID:
            return replace(account, ip=PREFIXED_IP, tech_prefix=PREFIX)
        if id == ANI_ID:
            return replace(account, ani=ANI)
        return replace(account, name=f"client {id}", password="secret")

    def way(self, id: int) -> Way:
        """Return how the calls of a client look."""
        if id == PREFIXED_ID:
            return Way(None, PREFIXED_IP, CALLING, PREFIX)
        if id == ANI_ID:
            return Way(None, None, ANI)
        return Way(f"client {id}", None, CALLING)

    def price(self, number: str, *, bought: bool = False) -> Rate | None:
        """Return what a number costs, or is *bought* for: the longest code that it begins with."""
        rates = self.bought if bought else self.rates
        fitting = [rate for rate in rates if number.startswith(rate.code)]
        return max(fitting, key=lambda rate: len(rate.code), default=None)

    def counters(self) -> dict[CounterKey, Counter]:
        """Return the shared counters: of each account that has a capacity."""
        accounts = (account for found in self.accounts.values() for account in found)
        return {
            (Scope.ACCOUNT, account.id): Counter(account.capacity, 0)
            for account in accounts
            if account.capacity is not None
        }

    def apply(self, catalogue: Catalogue) -> None:
        """Bring a catalogue up to date."""
        if catalogue.version == self.version:
            return
        catalogue.put_rate_table(rate_table(1, "Sold", "USD", self.rates))
        catalogue.put_rate_table(rate_table(2, "Bought", "USD", self.bought))
        catalogue.blocks = blocks([BAR])
        for id, client in self.clients.items():
            catalogue.put_client(client, self.accounts[id])
        catalogue.version = self.version
