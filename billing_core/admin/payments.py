"""Payments: money that the operator adds to a client's live balance, or takes from it."""

import random
import re
import time
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from billing_core.admin.clients import unknown_client
from billing_core.admin.locks import is_busy
from billing_core.admin.output import CommandError
from billing_core.ledger import EntryKind
from billing_core.money import plain
from billing_core.storage.tables import balance, client, entry

_AMOUNT = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment on the books; `already_booked` tells that an earlier one has the same reference.

    `live` is the client's live balance now.
    """

    client: str
    amount: Decimal
    currency: str
    reference: str | None
    live: Decimal
    already_booked: bool


def amount(written: str) -> Decimal:
    """Return the amount that *written* says exactly; raise CommandError for anything else."""
    if not _AMOUNT.fullmatch(written):
        raise CommandError(
            f'AMOUNT "{written}" is not an amount; write at most 9 digits, and at most 6 after a point,'
            ' as in "12.50" or "-5"'
        )
    value = Decimal(written)
    if not value:
        raise CommandError("AMOUNT 0 changes nothing; write what the client paid, or minus what he got back")
    return value


def pay(engine: Engine, name: str, value: Decimal, reference: str | None = None) -> Payment:
    """Book a payment of *value* to the client *name*; with the same *reference* only once.

    Raises CommandError when there is no such client, or when another amount has that reference.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with engine.begin() as connection:
                # A turn never holds a balance for long: whoever waits longer stands in a deadlock.
                connection.execute(text("SET LOCAL lock_timeout = '1s'"))
                return _booked(connection, name, value, reference)
        except DBAPIError as error:
            if not is_busy(error):
                raise
            time.sleep(random.uniform(0, 0.02 * (attempt + 1)))
    raise CommandError(
        f'client "{name}": the balance was locked by others in {_ATTEMPTS} attempts; nothing was booked'
    )


def _booked(connection: Connection, name: str, value: Decimal, reference: str | None) -> Payment:
    """Write the entry, and the balance last: it is locked no longer than the commit takes."""
    found = connection.execute(select(client.c.id, client.c.currency).where(client.c.name == name)).first()
    if found is None:
        raise unknown_client(connection, name)
    written = insert(entry).values(
        client_id=found.id,
        kind=EntryKind.PAYMENT.value,
        amount=value,
        at=func.clock_timestamp(),
        reference=reference,
    )
    # Of two programs that book one reference at once, the second waits here for the first.
    is_new = connection.execute(written.on_conflict_do_nothing().returning(entry.c.id)).scalar() is not None
    if not is_new:
        earlier = _amount_under(connection, found.id, reference)
        if earlier != value:
            raise CommandError(
                f'reference "{reference}" of client "{name}" is a payment of {plain(earlier)}, not of '
                f"{plain(value)}; give another payment another reference"
            )
    raised = update(balance).where(balance.c.client_id == found.id).values(live=balance.c.live + value)
    looked = select(balance.c.live).where(balance.c.client_id == found.id)
    statement = raised.returning(balance.c.live) if is_new else looked
    live = connection.execute(statement).scalar()
    if live is None:
        raise CommandError(f'client "{name}" has no balance to book on; see what `billing verify` says')
    return Payment(name, value, found.currency, reference, live, already_booked=not is_new)


def _amount_under(connection: Connection, client_id: int, reference: str | None) -> Decimal:
    statement = select(entry.c.amount).where(entry.c.client_id == client_id, entry.c.reference == reference)
    found: Decimal = connection.execute(statement).scalar_one()
    return found
