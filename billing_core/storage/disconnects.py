"""Legs that their switch is to end: who they are, whose turn it is to ask, and what came of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - and so has this one

from billing_core.ports import Disconnect, DisconnectOutcome, DisconnectReason
from billing_core.storage.connection import connect, translated

LEASE = timedelta(seconds=60)
"""Whoever takes a leg up has so long to hear from its switch, before another daemon may ask."""

# Money that is certainly gone: what calls under way will cost is not known yet. A call that costs
# nothing more, however long it lasts, may go on without any.
_FIND = """
    INSERT INTO disconnect (leg_key, generation, nas, reason, asked_at, next_at, attempts)
    SELECT session.leg_key, session.generation, session.nas,
        CASE WHEN client.status <> 'active' THEN %(stopped)s ELSE %(broke)s END, %(now)s, %(now)s, 0
    FROM session
    JOIN client ON client.id = session.client_id
    JOIN balance ON balance.client_id = session.client_id
    WHERE session.closed_at IS NULL AND session.state = 1 AND session.leg = 'origination'
        AND session.nas = ANY(%(nas)s)
        AND (client.status <> 'active'
            OR NOT client.postpaid AND balance.live + client.credit <= 0 AND session.price_per_minute > 0)
        AND NOT EXISTS (
            SELECT FROM disconnect
            WHERE disconnect.leg_key = session.leg_key AND disconnect.generation = session.generation)
    ON CONFLICT DO NOTHING"""

_TAKE = """
    WITH taken AS (
        UPDATE disconnect SET attempts = attempts + 1, next_at = %(until)s
        WHERE (leg_key, generation) IN (
            SELECT leg_key, generation FROM disconnect
            WHERE done_at IS NULL AND next_at <= %(now)s AND nas = ANY(%(nas)s)
            ORDER BY next_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
        RETURNING leg_key, generation, nas, reason)
    SELECT taken.leg_key, taken.generation, taken.nas, taken.reason,
        coalesce(session.nas_box, ''), coalesce(session.call_id, ''), coalesce(session.session_id, ''),
        account.name, session.authorized_at IS NOT NULL, session.leg_key IS NOT NULL
    FROM taken
    LEFT JOIN session ON session.leg_key = taken.leg_key AND session.generation = taken.generation
        AND session.closed_at IS NULL
    LEFT JOIN account ON account.id = session.account_id"""

_FINISH = """
    UPDATE disconnect SET done_at = %(now)s, outcome = CASE
        WHEN %(outcome)s = %(acknowledged)s OR EXISTS (
            SELECT FROM session WHERE session.leg_key = disconnect.leg_key
                AND session.generation = disconnect.generation AND session.closed_at IS NULL)
        THEN %(outcome)s ELSE %(ended)s END
    WHERE leg_key = %(leg_key)s AND generation = %(generation)s
    RETURNING outcome"""

# The client's balance is locked first, as by everybody who changes his legs. A leg that no slice is
# kept for any more is not renewed, but closed as one that fell silent.
_CLOSE_SOON = """
    BEGIN;
    SELECT 1 FROM balance
    WHERE client_id = (SELECT client_id FROM session WHERE leg_key = %(leg_key)s) FOR UPDATE;
    UPDATE session SET look_at = %(now)s, reserved_seconds = NULL
    WHERE leg_key = %(leg_key)s AND generation = %(generation)s AND closed_at IS NULL;
    COMMIT"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A leg whose switch is to be asked to end it; `is_open` tells that it is still under way.

    `name` is its account's, if it has one; `authorized` tells that our Accept let it start.
    """

    leg_key: bytes
    generation: int
    nas: str
    reason: DisconnectReason
    nas_box: str
    call_id: str
    session_id: str
    name: str | None
    authorized: bool
    is_open: bool


def disconnect_row(item: Disconnect) -> tuple[object, ...]:
    """Return the values that ask for a disconnect in a turn, in the order of its statement."""
    return item.leg_key, item.generation, item.nas, item.reason.value, item.asked_at


class Disconnects:
    """The legs that switches are to end, on a connection of its own; all methods raise StorageDownError."""

    def __init__(self, url: str) -> None:
        """Name the database; nothing is opened yet."""
        self._url = url
        self._connection: Connection | None = None

    def find(self, nas: Collection[str], now: datetime) -> int:
        """Want every leg at these NASes ended whose client is stopped or has no money; return how many."""
        reasons = {
            "stopped": DisconnectReason.CLIENT_STOPPED.value,
            "broke": DisconnectReason.NO_MONEY.value,
        }
        with translated(), self._cursor() as cursor:
            cursor.execute(_FIND, {"nas": list(nas), "now": now, **reasons})
            return cursor.rowcount

    def take(self, nas: Collection[str], now: datetime, most: int) -> Sequence[Wanted]:
        """Take up at most *most* legs at these NASes that nobody is asking about."""
        with translated(), self._cursor() as cursor:
            cursor.execute(_TAKE, {"nas": list(nas), "now": now, "until": now + LEASE, "most": most})
            return [
                Wanted(bytes(key), generation, nas, DisconnectReason(reason), *rest)
                for key, generation, nas, reason, *rest in cursor.fetchall()
            ]

    def finish(self, wanted: Wanted, outcome: DisconnectOutcome, now: datetime) -> DisconnectOutcome:
        """Record what came of asking, and return what that means now that the leg may have ended.

        A leg that its switch does not know is closed by the next sweep, as one that fell silent.
        """
        leg = {"leg_key": wanted.leg_key, "generation": wanted.generation, "now": now}
        words = {
            "outcome": outcome.value,
            "acknowledged": DisconnectOutcome.ACKNOWLEDGED.value,
            "ended": DisconnectOutcome.ENDED.value,
        }
        with translated(), self._cursor() as cursor:
            if outcome is DisconnectOutcome.UNKNOWN_CALL:
                cursor.execute(_CLOSE_SOON, leg)
            cursor.execute(_FINISH, {**leg, **words})
            found = cursor.fetchone()
        return DisconnectOutcome(found[0]) if found else DisconnectOutcome.ENDED

    def close(self) -> None:
        """Close the connection, if there is one, and with it what it left undone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _cursor(self) -> Cursor:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, application="radiusd disconnect")
        return self._connection.cursor()
