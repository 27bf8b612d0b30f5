"""Money that the operator books by hand: payments, refunds, charges, corrections and invoices.

A payment and a correction are added to the live balance as they stand, negative ones as well; a refund
and a charge name what is taken from it. Payments and refunds move the fixed balance, too. An invoice moves
that one alone: its amount is taken from it, and a negative one takes an invoice back.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from billing_core.admin.fixed_balance import fixed_sums
from billing_core.admin.found import found_client
from billing_core.admin.locks import ATTEMPTS, StillBusyError, moment, when_free
from billing_core.admin.mail import outbox
from billing_core.admin.output import CommandError
from billing_core.balance import Balance
from billing_core.ledger import FIXED_KINDS, EntryKind
from billing_core.money import ZERO, plain
from billing_core.notice import followed
from billing_core.storage.definition_rows import client_of
from billing_core.storage.tables import balance, entry, entry_reference

_AMOUNT = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")

# Kinds whose amount says how much is taken from the client; all but an invoice can only take.
_UNSIGNED = (EntryKind.CHARGE, EntryKind.REFUND)
_TAKEN = (*_UNSIGNED, EntryKind.INVOICE)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be booked: `amount` as the operator writes it, once for each client and `reference`."""

    kind: EntryKind
    client: str
    amount: Decimal
    reference: str | None = None
    reason: str | None = None
    who: str | None = None

    @property
    def change(self) -> Decimal:
        """Return what is added: to the live balance, or for an invoice to the fixed one."""
        return _turned(self.kind, self.amount)

    @property
    def live_change(self) -> Decimal:
        """Return what is added to the live balance."""
        return ZERO if self.kind is EntryKind.INVOICE else self.change


@dataclass(frozen=True, slots=True)
class Payment:
    """Money on the books; `already_booked` tells that an earlier entry has the same reference.

    `live` is the client's live balance now, `live_before` what it was before this booking;
    `fixed` and `fixed_before` are the same of the fixed balance.
    """

    client: str
    amount: Decimal
    currency: str
    reference: str | None
    live: Decimal
    already_booked: bool
    client_id: int
    live_before: Decimal
    fixed: Decimal
    fixed_before: Decimal
    kind: EntryKind = EntryKind.PAYMENT
    reason: str | None = None


def amount(written: str, kind: EntryKind = EntryKind.PAYMENT) -> Decimal:
    """Return the amount that *written* says exactly; raise CommandError for anything else."""
    if not _AMOUNT.fullmatch(written):
        raise CommandError(
            f'AMOUNT "{written}" is not an amount; write at most 9 digits, and at most 6 after a point,'
            ' as in "12.50" or "-5"'
        )
    value = Decimal(written)
    if not value:
        raise CommandError('AMOUNT 0 changes nothing; write what is to be booked, as in "12.50"')
    if value < 0 and kind in _UNSIGNED:
        raise CommandError(
            f"AMOUNT {plain(value)} of a {kind.value} is negative; write what is taken from the client as it"
            " is, or book a correction, which may have either sign"
        )
    return value


def book(engine: Engine, order: Order) -> Payment:
    """Book *order*; what has the same reference only once.

    Raises CommandError when there is no such client, or when something else has that reference.
    """
    try:
        # A turn never holds a balance for long: whoever waits longer stands in a deadlock.
        return when_free(
            engine, lambda connection: _booked(connection, order), lock_timeout="1s", pause_seconds=0.02
        )
    except StillBusyError:
        raise CommandError(
            f'client "{order.client}": the balance was locked by others in {ATTEMPTS} attempts;'
            " nothing was booked"
        ) from None


def _booked(connection: Connection, order: Order) -> Payment:
    """Write the entry, and the balance last: it is locked no longer than a notice and the commit take."""
    found = found_client(connection, order.client)
    is_new = order.reference is None or _is_first(connection, found.id, order)
    moves_fixed = is_new and order.kind in (*FIXED_KINDS, EntryKind.INVOICE)
    fixed_change = order.change if moves_fixed else ZERO
    # Entries are many: they are added up before the balance is locked, for calls wait for it.
    fixed = _fixed(connection, found.id) + fixed_change
    if is_new:
        values = {
            "client_id": found.id,
            "kind": order.kind.value,
            "amount": order.live_change,
            "fixed": order.change if order.kind is EntryKind.INVOICE else None,
            "at": func.clock_timestamp(),
            "reference": order.reference,
            "reason": order.reason,
            "who": order.who,
        }
        connection.execute(insert(entry).values(values))
    raised = update(balance).where(balance.c.client_id == found.id)
    looked = select(balance.c.live).where(balance.c.client_id == found.id)
    money = balance.c.live, balance.c.warned
    changed = raised.values(live=balance.c.live + order.live_change).returning(*money)
    has_changed = is_new and bool(order.live_change)
    booked = connection.execute(changed if has_changed else looked).first()
    if booked is None:
        raise CommandError(
            f'client "{order.client}" has no balance to book on; see what `billing verify` says'
        )
    if has_changed:
        _notice(connection, found, order, Balance(live=booked.live, warned=booked.warned))
    return Payment(
        order.client,
        order.amount,
        found.currency,
        order.reference,
        booked.live,
        already_booked=not is_new,
        client_id=found.id,
        live_before=booked.live - order.live_change if has_changed else booked.live,
        fixed=fixed,
        fixed_before=fixed - fixed_change,
        kind=order.kind,
        reason=order.reason,
    )


def _fixed(connection: Connection, client_id: int) -> Decimal:
    row = connection.execute(fixed_sums().where(entry.c.client_id == client_id)).first()
    return ZERO if row is None else row.fixed


def _notice(connection: Connection, found: Row[Any], order: Order, after: Balance) -> None:
    """Tell of money that has become low, or arm the notices again, now that the balance is locked."""
    owner = client_of(found._asdict(), ())
    before = after.changed(live=-order.live_change)
    is_payment = order.kind is EntryKind.PAYMENT and order.change > 0
    told, notices = followed(owner, before, after, moment(connection), is_payment=is_payment)
    if told != after:
        raised = update(balance).where(balance.c.client_id == owner.id)
        connection.execute(raised.values(warned=told.warned))
        outbox.put(connection, notices)


def _is_first(connection: Connection, client_id: int, order: Order) -> bool:
    """Claim the reference; raise CommandError when something else has it.

    References have a table of their own, which no month divides and which no dropped month takes away.
    """
    values = {
        "client_id": client_id,
        "reference": order.reference,
        "kind": order.kind.value,
        "amount": order.change,
        "at": func.clock_timestamp(),
    }
    claimed = insert(entry_reference).values(values).on_conflict_do_nothing()
    # Of two programs that book one reference at once, the second waits here for the first.
    if connection.execute(claimed.returning(entry_reference.c.client_id)).first() is not None:
        return True
    columns = entry_reference.c
    same = columns.client_id == client_id, columns.reference == order.reference
    earlier = connection.execute(select(columns.kind, columns.amount).where(*same)).one()
    if (earlier.kind, earlier.amount) != (order.kind.value, order.change):
        was = EntryKind(earlier.kind)
        what = "of" if order.kind is was else f"{_article(order.kind)} of"
        raise CommandError(
            f'reference "{order.reference}" of client "{order.client}" is {_article(was)} of'
            f" {plain(_turned(was, earlier.amount))}, not {what} {plain(order.amount)};"
            f" give another {order.kind.value} another reference"
        )
    return False


def _article(kind: EntryKind) -> str:
    return f"{'an' if kind is EntryKind.INVOICE else 'a'} {kind.value}"


def _turned(kind: EntryKind, value: Decimal) -> Decimal:
    """Return a written amount as it changes the balance, or the other way round."""
    return -value if kind in _TAKEN else value
