"""The definitions of a simulated world: clients under every policy, and prices that change."""

import random
from dataclasses import replace
from decimal import Decimal

from calls import ALICE, VENDOR, VENDOR_ACCOUNT
from calls import rate as a_rate

from billing_core.capacity import Counter, CounterKey, Scope
from billing_core.catalogue import Catalogue
from billing_core.client import Account, Client, Concurrency, Policy
from billing_core.money import Rounding
from billing_core.rate_table import Rate, rate_table

RESELLER = 100
VENDOR_ID = VENDOR.id
CODES = ("44", "39", "7", "881", "99")
NUMBERS = ("442071234567", "390612345678", "74951234567", "8816123456", "99123456")
RATES = (
    a_rate("0.60/min 1/1", "44"),
    a_rate("0.019/min 60/60 setup 0.05 grace 2", "39"),
    a_rate("-0.10/min 6/6", "7"),
    a_rate("3.3333/min 30/6", "881"),
    a_rate("0/min 1/1", "99"),
)
CONCURRENCIES = {
    11: Concurrency(Policy.FULL),
    12: Concurrency(Policy.SHARE, calls=3),
    13: Concurrency(Policy.SLICE, seconds=60),
    14: Concurrency(Policy.NONE),
}
SLICED_ID = 13
POSTPAID_ID = 15


class Definitions:
    """What the database says of clients and prices; workers take it over when they look."""

    def __init__(self, chance: random.Random) -> None:
        """Choose credits, capacities and roundings by chance."""
        self._chance = chance
        self.version = 1
        self.roundings = [
            Rounding(chance.choice([2, 4, 6]), chance.choice(["half_up", "half_even", "up", "down"]))
            for _ in range(2)
        ]
        # Prices that never come out even, so that rounding at another place or twice shows.
        self._rates = [
            replace(rate, price_per_minute=rate.price_per_minute * Decimal(chance.choice(["1", "1.0371937"])))
            for rate in RATES
        ]
        self.sold = self._pinned_to(self._rates, self.roundings[0])
        self.bought = self._pinned_to(
            [replace(rate, price_per_minute=rate.price_per_minute / 2) for rate in self._rates],
            self.roundings[1],
        )
        self.clients: dict[int, Client] = {VENDOR.id: VENDOR}
        for id, concurrency in CONCURRENCIES.items():
            self.clients[id] = replace(
                ALICE,
                id=id,
                name=f"{concurrency.policy} {id}",
                concurrency=concurrency,
                credit=Decimal(chance.choice(["0", "0", "2.50"])),
                capacity=chance.choice([None, 4]),
                reseller_ids=(RESELLER,),
            )
        self.clients[POSTPAID_ID] = replace(ALICE, id=POSTPAID_ID, name="postpaid", postpaid=True)
        self.accounts = {
            id: [Account(id=id * 10, client_id=id, name=f"client {id}", password="secret", capacity=5)]
            for id in self.clients
            if id != VENDOR.id
        }
        self.accounts[VENDOR.id] = [VENDOR_ACCOUNT]

    def counters(self) -> dict[CounterKey, Counter]:
        """Return the shared counters: one of each account, one of the reseller."""
        accounts = {(Scope.ACCOUNT, id * 10): Counter(5, 0) for id in self.clients if id != VENDOR.id}
        return {**accounts, (Scope.RESELLER, RESELLER): Counter(9, 0)}

    def apply(self, catalogue: Catalogue) -> None:
        """Bring a catalogue up to date."""
        if catalogue.version == self.version:
            return
        for id, (name, rates) in enumerate([("Sold", self.sold), ("Bought", self.bought)], start=1):
            catalogue.put_rate_table(rate_table(id, name, "USD", rates, rounding=self.roundings[id - 1]))
        for id, client in self.clients.items():
            catalogue.put_client(client, self.accounts[id])
        catalogue.version = self.version

    def change_prices(self) -> None:
        """Change some prices, and take some codes away or bring them back."""
        changed = [
            replace(rate, price_per_minute=rate.price_per_minute * Decimal(self._chance.choice(["0.5", "2"])))
            for rate in self._rates
            if self._chance.random() < 0.9
        ]
        self.sold = self._pinned_to(changed, self.roundings[0])
        self.version += 1

    def change_client(self, id: int, **settings: object) -> None:
        """Change a client's settings."""
        self.clients[id] = replace(self.clients[id], **settings)  # type: ignore[arg-type]
        self.version += 1

    @staticmethod
    def _pinned_to(rates: list[Rate], rounding: Rounding) -> list[Rate]:
        return [replace(rate, rounding=rounding) for rate in rates]
