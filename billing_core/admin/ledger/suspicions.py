"""What callers who cheat leave behind: nothing that breaks a sum, so it is told as a warning.

Honest callers at a switch that is set up wrongly leave the same. What is decided about is told no more.
"""

from dataclasses import dataclass

from billing_core.admin.calls.xdr_ids import ID_SQL


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What should not be, and the query that lists where it seems to be otherwise."""

    name: str
    suspects: str


# The two sides of one conversation are not timed by one clock.
_SIDES_DIFFER_SECONDS = 5

_ID = ID_SQL.format("leg")
_UNDECIDED = "leg.decided_seconds IS NULL"

SUSPICIONS = (
    Suspicion(
        "numbers_of_stops_were_asked_for",
        f"""
        SELECT {_ID} AS id, client.name AS client, leg.call_id, leg.called, asked.called AS asked,
            leg.overrun_seconds, leg.stop_seconds, leg.posted, leg.currency
        FROM session AS leg
        JOIN LATERAL (
            SELECT min(other.called) AS called, bool_or(other.called = leg.called OR EXISTS (
                SELECT FROM jsonb_array_elements(COALESCE(other.asked, '[]')::jsonb) AS also
                WHERE also ->> 'number' = leg.called)) AS is_known
            FROM session AS other
            WHERE other.leg_key = leg.leg_key AND other.generation <> leg.generation
                AND other.authorized_at IS NOT NULL
                AND other.authorized_at BETWEEN leg.opened_at - interval '1 day' AND leg.closed_at
        ) AS asked ON NOT asked.is_known
        LEFT JOIN client ON client.id = leg.client_id
        WHERE leg.state = 3 AND leg.leg = 'origination' AND leg.authorized_at IS NULL AND leg.stopped
            AND {_UNDECIDED} AND COALESCE(leg.stop_seconds, leg.overrun_seconds, 1) > 0
        ORDER BY leg.closed_at, leg.leg_key, leg.generation""",  # noqa: S608
    ),
    Suspicion(
        "answered_calls_do_not_fail",
        f"""
        SELECT {_ID} AS id, client.name AS client, leg.call_id, leg.called, leg.known_seconds
        FROM session AS leg LEFT JOIN client ON client.id = leg.client_id
        WHERE leg.state = 3 AND leg.leg <> 'further' AND leg.failed AND NOT leg.stopped AND {_UNDECIDED}
            AND (leg.answered OR leg.known_seconds > 0 OR leg.start_event_at IS NOT NULL)
        ORDER BY leg.closed_at, leg.leg_key, leg.generation""",  # noqa: S608
    ),
    Suspicion(
        "further_legs_stand_beside_as_long_a_leg",
        f"""
        WITH further AS MATERIALIZED (
            SELECT leg.*, xdr.duration_seconds AS seconds
            FROM session AS leg JOIN xdr USING (leg_key, generation, revision)
            WHERE leg.state = 3 AND leg.leg = 'further' AND leg.call_id <> '' AND xdr.duration_seconds > 0
        ), beside AS (
            SELECT nas, session.call_id, COALESCE(max(xdr.duration_seconds), 0) AS seconds,
                bool_or(session.state <= 1) AS is_under_way
            FROM session LEFT JOIN xdr USING (nas, leg_key, generation, revision)
            WHERE session.leg <> 'further'
                AND (nas, session.call_id) IN (SELECT nas, call_id FROM further)
            GROUP BY nas, session.call_id
        )
        SELECT {_ID} AS id, call_id, leg.session_id, leg.called, leg.seconds,
            COALESCE(beside.seconds, 0) AS beside
        FROM further AS leg LEFT JOIN beside USING (nas, call_id)
        WHERE beside.is_under_way IS NOT TRUE
            AND leg.seconds > COALESCE(beside.seconds, 0) + {_SIDES_DIFFER_SECONDS}
        ORDER BY leg.closed_at, leg.leg_key, leg.generation""",  # noqa: S608
    ),
)
