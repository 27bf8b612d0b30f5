"""The ledger: every change of a client's money, only ever added."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class EntryKind(StrEnum):
    """What changed the money.

    CHARGE: a leg that was rated, or, where no leg is named, something the operator charges for.
    PAYMENT: money that came in. REFUND: money given back. CORRECTION: what a leg that was rated again,
    or the operator, puts right. INVOICE: what was billed, which moves the fixed balance alone. CARRIED: the
    sum of a month whose entries were dropped.
    """

    CHARGE = "charge"
    PAYMENT = "payment"
    REFUND = "refund"
    CORRECTION = "correction"
    INVOICE = "invoice"
    CARRIED = "carried"


# Kinds that change the fixed balance, too: money in and out, as opposed to what was used.
FIXED_KINDS = (EntryKind.PAYMENT, EntryKind.REFUND)

# Kinds whose entries state apart from their amount what they change in the fixed balance.
STATED_KINDS = (EntryKind.INVOICE, EntryKind.CARRIED)


class Entry(NamedTuple):
    """`amount` is what is added to the client's live balance: negative for a leg he pays.

    An entry of a leg names it, its generation and the xDR's revision; one of the operator may carry a
    reference.
    """

    client_id: int
    kind: EntryKind
    amount: Decimal
    at: datetime
    leg_key: bytes | None = None
    generation: int | None = None
    revision: int | None = None
    reference: str | None = None
