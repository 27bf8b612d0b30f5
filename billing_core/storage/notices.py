"""What is written with what brings it about: events about calls and low money, and mails to clients.

Callers can bring about as many as they like. So of one kind and source (a NAS, or a client) ten a minute are
kept singly, and the others as one row with their count, whichever worker or daemon writes them.
"""

from collections.abc import Iterable, Sequence

from billing_core.call_event import CallEvent
from billing_core.notice import KIND, Audience, Notice

SINGLY_A_MINUTE = 10
"""So many events of one kind and source are kept singly; the next one counts all others of its minute."""

EVENT = ("at", "kind", "client_id", "facts")
MAIL = ("created_at", "next_at", "kind", "channel", "client_id", "facts")

# A statement sees what was committed before it began, so whoever has the lock sees all of that kind and
# source. The keys come in order, so that nobody waits in a circle.
LOCK_EVENTS = "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1::text[]) AS key"

INSERT_EVENTS = f"""
    WITH told AS (
        SELECT *, date_trunc('minute', at, 'UTC') AS minute
        FROM unnest($1::timestamptz[], $2::text[], $3::int[], $4::jsonb[], $5::text[]) WITH ORDINALITY
            AS told(at, kind, client_id, facts, source, nth)
    ), placed AS (
        SELECT told.*, LEAST({SINGLY_A_MINUTE + 1}, known.places + row_number() OVER same) AS place
        FROM told CROSS JOIN LATERAL (
            SELECT COALESCE(max(place), 0) AS places FROM event
            WHERE event.kind = told.kind AND event.source = told.source AND event.minute = told.minute
        ) AS known WINDOW same AS (PARTITION BY kind, source, minute ORDER BY nth)
    ), counted AS (
        SELECT *, count(*) OVER same AS count, row_number() OVER (same ORDER BY nth) AS of_its_place
        FROM placed WINDOW same AS (PARTITION BY kind, source, minute, place)
    )
    INSERT INTO event (at, kind, client_id, facts, source, minute, place, count)
    SELECT at, kind, client_id, facts, source, minute, place, count
    FROM counted WHERE of_its_place = 1 ORDER BY nth
    ON CONFLICT (kind, source, minute, place) WHERE source IS NOT NULL
    DO UPDATE SET count = event.count + excluded.count"""  # noqa: S608

# Who is told that often within a minute knows.
INSERT_MAILS = f"""
    INSERT INTO mail ({", ".join(MAIL)})
    SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[], $3::text[], $4::text[], $5::int[], $6::jsonb[])
        AS new({", ".join(MAIL)})
    WHERE NOT EXISTS (
        SELECT FROM event WHERE event.kind = new.kind AND event.source = 'client ' || new.client_id
            AND minute = date_trunc('minute', new.created_at, 'UTC') AND place > {SINGLY_A_MINUTE})"""  # noqa: S608


def event_row(notice: Notice) -> tuple[object, ...]:
    """Return the values of `EVENT`, in its order."""
    return notice.at, KIND, notice.client_id, notice.facts()


def told_rows(notices: Iterable[Notice], events: Iterable[CallEvent]) -> list[tuple[object, ...]]:
    """Return the rows of `INSERT_EVENTS`: the values of `EVENT`, and the source."""
    of_money = [(*event_row(notice), f"client {notice.client_id}") for notice in notices]
    of_calls = [(event.at, event.kind.value, event.client_id, event.text(), event.nas) for event in events]
    return [*of_money, *of_calls]


def lock_keys(told: Sequence[tuple[object, ...]]) -> list[str]:
    """Return by what those rows are locked, in order."""
    return sorted({f"event {kind} {source}" for _, kind, _, _, source in told})


def is_mailed(notice: Notice) -> bool:
    """Tell whether somebody gets a mail; the admin reads events."""
    return notice.audience is Audience.CLIENT


def mail_row(notice: Notice) -> tuple[object, ...]:
    """Return the values of `MAIL`, in its order."""
    return notice.at, notice.at, KIND, "email", notice.client_id, notice.facts()
