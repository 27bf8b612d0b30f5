"""When a client's money has become low, and who is to be told. Pure.

The client and the admin have each a value of their own. Once the available money is below it, a notice
arises, and no second one before that value is armed again: by money that has clearly risen above it, or by
a payment that lifts it there. So money that moves to and fro around a value tells nobody twice.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import orjson

from billing_core.balance import Balance, available
from billing_core.client import Client, Status
from billing_core.money import ONE, plain

KIND = "low_balance"
"""What notices are called in the events log and among the mails."""

REARM_SHARE = Decimal("0.1")
"""A value is armed again when the available money is above it by this share of it."""
REARM_ABOVE_ZERO = ONE
"""For a value of zero, whose share would be nothing: one unit of the client's currency."""


class Audience(StrEnum):
    """Who is told: the client by mail to his billing email, the admin in the events log."""

    CLIENT = "client"
    ADMIN = "admin"


BITS = {Audience.CLIENT: 1, Audience.ADMIN: 2}
"""The bit of `Balance.warned` which tells that an audience knows already."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody is to be told that the available money is below his value; amounts are the client's."""

    at: datetime
    client_id: int
    client: str
    currency: str
    audience: Audience
    value: Decimal
    available: Decimal
    live: Decimal
    credit: Decimal

    def facts(self) -> str:
        """Return what is told, as JSON text: amounts are texts without exponent."""
        told = {
            "notify": self.audience.value,
            "client": self.client,
            "currency": self.currency,
            "value": plain(self.value),
            "available": plain(self.available),
            "live": plain(self.live),
            "credit": plain(self.credit),
        }
        return orjson.dumps(told).decode()


def followed(
    client: Client, before: Balance, after: Balance, at: datetime, *, is_payment: bool = False
) -> tuple[Balance, list[Notice]]:
    """Return a balance *after* a change of its money with its new bits, and the notices that arise.

    The client's settings may have changed since the money was as *before*, so what they armed counts first.
    """
    if not after.warned:
        return noticed(client, after, at)
    after = after.with_warned(rearmed(client, before).warned)
    return noticed(client, rearmed(client, after, by_payment=True) if is_payment else after, at)


def noticed(client: Client, balance: Balance, at: datetime) -> tuple[Balance, list[Notice]]:
    """Return the balance with its bits as the available money wants them, and the notices that arise."""
    values = _values(client)
    if not values and not balance.warned:
        return balance, []
    notices = []
    warned = rearmed(client, balance).warned
    money = available(client, balance)
    for audience, value in values.items():
        if money is not None and money < value and not warned & BITS[audience]:
            warned |= BITS[audience]
            who = client.id, client.name, client.currency
            notices.append(Notice(at, *who, audience, value, money, balance.live, client.credit))
    return _with_bits(balance, warned), notices


def rearmed(client: Client, balance: Balance, *, by_payment: bool = False) -> Balance:
    """Return the balance with every value armed again above which the available money has risen.

    After a payment that is so from the value itself on. A value that is off, and a postpaid client's, are
    armed: when they count again, somebody is told again.
    """
    if not balance.warned:
        return balance
    values = _values(client)
    money = available(client, balance)
    warned = balance.warned
    for audience, bit in BITS.items():
        value = values.get(audience)
        if value is None or money is None or money >= (value if by_payment else rearming_value(value)):
            warned &= ~bit
    return _with_bits(balance, warned)


def rearming_value(value: Decimal) -> Decimal:
    """Return the available money from which on a notice at *value* may come again without a payment."""
    return value + (abs(value) * REARM_SHARE or REARM_ABOVE_ZERO)


def _values(client: Client) -> dict[Audience, Decimal]:
    """Return who is to be told below what; of a client who is deleted, nobody."""
    if client.status is Status.DELETED:
        return {}
    values = {Audience.CLIENT: client.notify_client, Audience.ADMIN: client.notify_admin}
    return {audience: value for audience, value in values.items() if value is not None}


def _with_bits(balance: Balance, warned: int) -> Balance:
    return balance if warned == balance.warned else balance.with_warned(warned)
