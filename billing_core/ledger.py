"""Entries: every change of a client's money, only ever added."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class EntryKind(StrEnum):
    """What changed the money: a leg that was rated, or the operator."""

    CHARGE = "charge"
    PAYMENT = "payment"


@dataclass(frozen=True, slots=True)
class Entry:
    """`amount` is what is added to the client's live balance: negative for a leg he pays.

    A charge names its leg, generation and the xDR's revision; a payment may carry a reference.
    """

    client_id: int
    kind: EntryKind
    amount: Decimal
    at: datetime
    leg_key: bytes | None = None
    generation: int | None = None
    revision: int | None = None
    reference: str | None = None
