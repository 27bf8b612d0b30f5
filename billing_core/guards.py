"""What bars a call that could be paid: blocks, prices above a maximum, calls sold below their cost. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing_core.block import BlockKind
from billing_core.catalogue import Catalogue
from billing_core.client import Account, Client
from billing_core.money import converted, plain
from billing_core.number import normalise
from billing_core.rate_table import Rate


@dataclass(frozen=True, slots=True)
class Call:
    """Whose call it is, from and to which number, and the vendor's address if the switch has named it.

    `called` is in its normal form, absent when what was dialled is no number; `calling` is as sent.
    """

    client: Client
    account: Account
    calling: str
    called: str | None
    termination_address: str | None


def barred(call: Call, catalogue: Catalogue, now: datetime) -> str | None:
    """Return which block bars the call, in words; None when none does."""
    if not catalogue.blocks:
        return None
    keys = [
        (BlockKind.CLIENT.value, call.client.name),
        (BlockKind.ACCOUNT.value, call.account.label),
        (BlockKind.NUMBER.value, call.called or ""),
        (BlockKind.NUMBER.value, normalise(call.calling) or call.calling),
    ]
    block = catalogue.blocks.barring(keys, call.called or "", now)
    return str(block) if block else None


def refused_price(call: Call, rate: Rate, catalogue: Catalogue, now: datetime) -> str | None:
    """Return why the call may not start at this *rate*, in words; None when nothing is against it."""
    if rate.blocked:
        return f"code {rate.code} is blocked"
    highest, price = call.account.price_per_minute_max, converted(rate.price_per_minute, rate.factor)
    if highest is not None and price > highest:
        return f"{plain(price)} a minute is above the account's maximum of {plain(highest)}"
    if call.client.refuse_losses and call.termination_address:
        paid = vendor_price(call, catalogue, now)
        if paid is not None and paid > price:
            return f"{plain(price)} a minute is below the vendor's {plain(paid)}"
    return None


def vendor_price(call: Call, catalogue: Catalogue, now: datetime) -> Decimal | None:
    """Return what the vendor gets for a minute, in the client's currency; None when that is not known."""
    account = catalogue.vendor(call.termination_address)
    if account is None or call.called is None:
        return None
    vendor = catalogue.clients[account.client_id]
    rate = catalogue.rate(vendor, vendor.term_rate_table_id, call.called, now)
    factor = catalogue.exchange.factor(vendor.currency, call.client.currency, now)
    if rate is None or factor is None:
        return None
    return converted(converted(rate.price_per_minute, rate.factor), factor)
