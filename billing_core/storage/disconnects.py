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

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 300))
"""How long a switch is left alone that refused or said nothing, after each time but the last."""

ASKED_MAX = len(PAUSES) + 1
"""So often a leg is asked for; then its switch is taken for one that does not end calls when asked to."""

LOOK_AGAIN = timedelta(seconds=10)
"""How often it is looked whether a leg has ended whose switch said that it would end it."""

# Money that is certainly gone: what calls under way will cost is not known yet. A call that costs
# nothing more, however long it lasts, may go on without any.
_MAY_NOT_GO_ON = """(client.status <> 'active'
        OR NOT client.postpaid AND balance.live + client.credit <= 0 AND session.price_per_minute > 0)"""

_FIND = f"""
    INSERT INTO disconnect (leg_key, generation, nas, reason, asked_at, next_at, attempts)
    SELECT session.leg_key, session.generation, session.nas,
        CASE WHEN client.status <> 'active' THEN %(stopped)s ELSE %(broke)s END, %(now)s, %(now)s, 0
    FROM session
    JOIN client ON client.id = session.client_id
    JOIN balance ON balance.client_id = session.client_id
    WHERE session.closed_at IS NULL AND session.state = 1 AND session.leg = 'origination'
        AND session.nas = ANY(%(nas)s)
        AND {_MAY_NOT_GO_ON}
        AND NOT EXISTS (
            SELECT FROM disconnect
            WHERE disconnect.leg_key = session.leg_key AND disconnect.generation = session.generation)
    ON CONFLICT DO NOTHING"""  # noqa: S608 - the condition above

# What its switch will end is not asked for again, unless it was heard of since.
_AWAIT_END = """
    UPDATE disconnect SET next_at = %(later)s, done_at = CASE WHEN NOT EXISTS (
        SELECT FROM session WHERE session.leg_key = disconnect.leg_key
            AND session.generation = disconnect.generation AND session.closed_at IS NULL) THEN %(now)s END
    WHERE done_at IS NULL AND outcome = %(acknowledged)s AND next_at <= %(now)s AND nas = ANY(%(nas)s)
        AND NOT EXISTS (
            SELECT FROM session WHERE session.leg_key = disconnect.leg_key
                AND session.generation = disconnect.generation AND session.closed_at IS NULL
                AND session.last_heard_at > disconnect.next_at - %(look_again)s)"""

# A leg whose slice ran dry has one again when it awaits the renewal of that.
_TAKE = f"""
    WITH due AS (
        SELECT leg_key, generation, outcome FROM disconnect
        WHERE done_at IS NULL AND next_at <= %(now)s AND nas = ANY(%(nas)s)
        ORDER BY next_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE disconnect SET attempts = attempts + 1, next_at = %(until)s, outcome = NULL
        FROM due WHERE disconnect.leg_key = due.leg_key AND disconnect.generation = due.generation
        RETURNING disconnect.leg_key, disconnect.generation, nas, reason, attempts, due.outcome)
    SELECT taken.leg_key, taken.generation, taken.nas, taken.reason,
        coalesce(session.nas_box, ''), coalesce(session.nas_address, ''),
        coalesce(session.call_id, ''), coalesce(session.session_id, ''),
        account.name, session.authorized_at IS NOT NULL, session.leg_key IS NOT NULL,
        coalesce({_MAY_NOT_GO_ON} OR taken.reason = %(dry)s
            AND session.reserved_seconds < session.credit_time_seconds
            AND session.look_at >= session.opened_at + session.reserved_seconds * interval '1 second', false),
        taken.attempts, coalesce(taken.outcome = %(acknowledged)s, false)
    FROM taken
    LEFT JOIN session ON session.leg_key = taken.leg_key AND session.generation = taken.generation
        AND session.closed_at IS NULL
    LEFT JOIN account ON account.id = session.account_id
    LEFT JOIN client ON client.id = session.client_id
    LEFT JOIN balance ON balance.client_id = session.client_id"""  # noqa: S608 - the condition above

_FINISH = """
    WITH open AS (
        SELECT FROM session
        WHERE leg_key = %(leg_key)s AND generation = %(generation)s AND closed_at IS NULL)
    UPDATE disconnect SET
        outcome = CASE WHEN %(outcome)s = %(acknowledged)s OR EXISTS (SELECT FROM open)
            THEN %(outcome)s ELSE %(ended)s END,
        done_at = CASE WHEN %(again_at)s::timestamptz IS NULL OR NOT EXISTS (SELECT FROM open)
            THEN %(now)s END,
        next_at = coalesce(%(again_at)s, next_at)
    WHERE leg_key = %(leg_key)s AND generation = %(generation)s
    RETURNING outcome"""

_FORGET = "DELETE FROM disconnect WHERE leg_key = %(leg_key)s AND generation = %(generation)s"

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

    `name` is its account's, if it has one; `authorized` tells that our Accept let it start; `is_wanted`
    that the reason holds still. It is taken up for the `attempt`th time; `was_ignored` tells that the
    switch said the last time that it would end the leg.
    """

    leg_key: bytes
    generation: int
    nas: str
    reason: DisconnectReason
    nas_box: str
    nas_address: str
    call_id: str
    session_id: str
    name: str | None
    authorized: bool
    is_open: bool
    is_wanted: bool = True
    attempt: int = 1
    was_ignored: bool = False

    @property
    def settled(self) -> DisconnectOutcome | None:
        """Return what there is to record without asking the switch, None when it is to be asked."""
        if not self.is_open:
            return DisconnectOutcome.ENDED
        if not self.is_wanted:
            return DisconnectOutcome.WITHDRAWN
        return DisconnectOutcome.IGNORED if self.attempt > ASKED_MAX else None

    def again_at(self, outcome: DisconnectOutcome, now: datetime) -> datetime | None:
        """Return when to look at the leg again should it not have ended, None for never."""
        if outcome is DisconnectOutcome.ACKNOWLEDGED:
            return now + LOOK_AGAIN
        has_failed = outcome in (DisconnectOutcome.REFUSED, DisconnectOutcome.NO_ANSWER)
        return now + PAUSES[self.attempt - 1] if has_failed and self.attempt < ASKED_MAX else None


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
        values = {
            "nas": list(nas),
            "now": now,
            "until": now + LEASE,
            "later": now + LOOK_AGAIN,
            "look_again": LOOK_AGAIN,
            "most": most,
            "acknowledged": DisconnectOutcome.ACKNOWLEDGED.value,
            "dry": DisconnectReason.SLICE_RAN_DRY.value,
        }
        with translated(), self._cursor() as cursor:
            cursor.execute(_AWAIT_END, values)
            cursor.execute(_TAKE, values)
            return [
                Wanted(bytes(key), generation, nas, DisconnectReason(reason), *rest)
                for key, generation, nas, reason, *rest in cursor.fetchall()
            ]

    def finish(self, wanted: Wanted, outcome: DisconnectOutcome, now: datetime) -> DisconnectOutcome:
        """Record what came of asking, and return what that means now that the leg may have ended.

        A leg that its switch does not know is closed by the next sweep, as one that fell silent. One that
        may go on is forgotten here, so that it can be wanted for another reason one day.
        """
        leg = {"leg_key": wanted.leg_key, "generation": wanted.generation, "now": now}
        if outcome is DisconnectOutcome.WITHDRAWN:
            with translated(), self._cursor() as cursor:
                cursor.execute(_FORGET, leg)
            return outcome
        words = {
            "outcome": outcome.value,
            "again_at": wanted.again_at(outcome, now),
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
