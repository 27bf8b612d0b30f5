"""Sums over all clients and legs, asked of the database once by whoever exports them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.storage.connection import translated
from billing_core.storage.held import HELD_LEGS

_COUNTS = """
    SELECT (SELECT count(*) FROM session WHERE closed_at IS NULL),
        (SELECT count(*) FROM xdr JOIN session USING (leg_key, generation, revision)
            WHERE xdr.state = 'unbillable'),
        (SELECT count(*) FROM mail WHERE state = 'waiting'),
        (SELECT count(*) FROM mail WHERE state = 'failed'),
        (SELECT version FROM catalogue)"""

_AMOUNTS = """
    SELECT currency, sum(reserved)::float8,
        sum(CASE WHEN postpaid THEN 0 ELSE greatest(0, -(live + credit)) END)::float8
    FROM balance JOIN client ON client.id = client_id GROUP BY currency"""

_HELD = f"""
    SELECT client.currency, COALESCE(sum(held.reserved), 0)::float8
    FROM client LEFT JOIN ({HELD_LEGS}) AS held ON held.client_id = client.id GROUP BY client.currency"""  # noqa: S608 - of one constant


@dataclass(frozen=True, slots=True)
class Gauges:
    """Legs under way, records nobody could be charged for, mails, and money by currency, for display only.

    `held` is what of the reserved money is kept for ended calls whose time cannot be true.
    """

    sessions: int = 0
    unbillable: int = 0
    mails_waiting: int = 0
    mails_failed: int = 0
    catalogue_version: int = 0
    reserved: Mapping[str, float] = field(default_factory=dict)
    overdraft: Mapping[str, float] = field(default_factory=dict)
    held: Mapping[str, float] = field(default_factory=dict)


def read_gauges(connection: Connection) -> Gauges:
    """Read all gauges. Raises StorageDownError."""
    with translated(), connection.cursor() as cursor:
        cursor.execute(_COUNTS)
        sessions, unbillable, mails_waiting, mails_failed, version = cursor.fetchall()[0]
        cursor.execute(_AMOUNTS)
        amounts = cursor.fetchall()
        cursor.execute(_HELD)
        held = dict(cursor.fetchall())
    return Gauges(
        sessions,
        unbillable,
        mails_waiting,
        mails_failed,
        version,
        {currency: reserved for currency, reserved, _ in amounts},
        {currency: overdraft for currency, _, overdraft in amounts},
        held,
    )
