"""A client's money and calls under way: what a turn locks."""

from decimal import Decimal
from typing import NamedTuple

from billing_core.client import Client
from billing_core.money import ZERO


class Balance(NamedTuple):
    """`live` is payments less rated calls; `reserved` the money set aside for calls under way.

    `in_use` and `term_in_use` count origination and termination legs under way. `warned` has a bit for
    everybody who was told that the money is low (see `notice`); differences leave it as it is.
    """

    live: Decimal = ZERO
    reserved: Decimal = ZERO
    in_use: int = 0
    term_in_use: int = 0
    warned: int = 0

    def changed(
        self,
        live: Decimal = ZERO,
        reserved: Decimal = ZERO,
        in_use: int = 0,
        term_in_use: int = 0,
    ) -> "Balance":
        """Return the balance after these differences."""
        return Balance(
            self.live + live,
            self.reserved + reserved,
            self.in_use + in_use,
            self.term_in_use + term_in_use,
            self.warned,
        )

    def plus(self, by: "Balance") -> "Balance":
        """Return the balance after the differences in *by*, whose `warned` means nothing."""
        live, reserved, in_use, term_in_use, _ = by
        return self.changed(live, reserved, in_use, term_in_use)

    def with_warned(self, warned: int) -> "Balance":
        """Return the balance with these bits."""
        return self._replace(warned=warned)


def available(client: Client, balance: Balance) -> Decimal | None:
    """Return live + credit, or None for a postpaid client, who has no limit."""
    return None if client.postpaid else balance.live + client.credit


def usable(client: Client, balance: Balance) -> Decimal | None:
    """Return the available money that no call under way holds; None is no limit."""
    money = available(client, balance)
    return None if money is None else money - balance.reserved


def payable(client: Client, money: Decimal | None) -> Decimal | None:
    """Return how much of *money* one call of the client's may cost; None is no limit."""
    highest = client.charge_max
    if highest is None:
        return money
    return highest if money is None else min(money, highest)
