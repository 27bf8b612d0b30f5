"""The rules of the money that a query can check: each lists what breaks it.

Legs whose month was dropped can't be followed back to their first charge. Where that matters a rule names
them, so that they are counted rather than taken for sound.
"""

from dataclasses import dataclass

from billing_core.admin.calls.xdr_ids import ID_SQL
from billing_core.admin.changes.counted import COUNTED_SCOPES
from billing_core.storage.held import HELD


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule, the table whose rows it is checked for, and the query that lists what breaks it.

    `rule` is its number among those that every ledger should keep (I1 to I10), if it has one. `left_out`
    counts the rows for which it can't be checked any more.
    """

    name: str
    table: str
    offenders: str
    rule: str = ""
    left_out: str = ""


def _sum_of_sessions(column: str, expression: str, condition: str) -> str:
    """Compare a column of `balance` with what the sessions of that client add up to."""
    return f"""
        SELECT client.name AS client, balance.{column} AS stated, COALESCE(found.total, 0) AS found
        FROM balance JOIN client ON client.id = balance.client_id
        LEFT JOIN (
            SELECT client_id, {expression} AS total FROM session WHERE {condition} GROUP BY client_id
        ) AS found USING (client_id)
        WHERE balance.{column} <> COALESCE(found.total, 0) ORDER BY client.name"""  # noqa: S608


# The last revision of each generation of a leg.
_LAST_XDRS = """
    SELECT DISTINCT ON (leg_key, generation) leg_key, generation, revision, client_id, leg, call_id, amount
    FROM xdr ORDER BY leg_key, generation, revision DESC"""

_AMOUNTS = (
    ("balance", "live"),
    ("balance", "reserved"),
    ("session", "reserved"),
    ("session", "posted"),
    ("xdr", "amount"),
    ("entry", "amount"),
    ("entry", "fixed"),
)

# What each revision of a leg changed; of one whose predecessor was dropped that is not known.
_STEPS = """
    SELECT leg_key, generation, revision, COALESCE(client_id, 0) AS client_id, call_id,
        signed - COALESCE(lag(signed) OVER leg, 0) AS owed,
        revision = 1 OR COALESCE(lag(revision) OVER leg = revision - 1, false)
            OR NOT EXISTS (SELECT FROM closed_month) AS is_known
    FROM (
        SELECT *, CASE leg WHEN 'origination' THEN -amount WHEN 'termination' THEN amount ELSE 0 END AS signed
        FROM xdr
    ) AS record WINDOW leg AS (PARTITION BY leg_key, generation ORDER BY revision)"""

# Everything recorded before this moment is gone.
_DROPPED_UNTIL = "(SELECT (max(month) + interval '1 month') AT TIME ZONE 'UTC' FROM closed_month)"

_WAS_DROPPED = f"COALESCE(session.closed_at < {_DROPPED_UNTIL}, false)"

INVARIANTS = (
    Invariant(
        "live_is_the_sum_of_entries",
        "entry",
        """
        SELECT client.name AS client, client_id, balance.live AS stated, COALESCE(found.total, 0) AS found
        FROM balance
        FULL JOIN (SELECT client_id, sum(amount) AS total FROM entry GROUP BY client_id) AS found
            USING (client_id)
        LEFT JOIN client ON client.id = client_id
        WHERE balance.live IS DISTINCT FROM COALESCE(found.total, 0) ORDER BY client_id""",
        rule="I1",
    ),
    Invariant(
        "reserved_is_the_sum_of_open_reservations",
        "balance",
        _sum_of_sessions("reserved", "sum(reserved)", f"state <= 1 OR {HELD}"),
    ),
    Invariant(
        "in_use_counts_open_origination_legs",
        "balance",
        _sum_of_sessions("in_use", "count(*)", "state <= 1 AND leg = 'origination'"),
    ),
    Invariant(
        "term_in_use_counts_open_termination_legs",
        "balance",
        _sum_of_sessions("term_in_use", "count(*)", "state <= 1 AND leg = 'termination'"),
    ),
    Invariant(
        "shared_counters_count_open_origination_legs",
        "capacity_counter",
        f"""
        SELECT scope, owner_id, counter.in_use AS stated, COALESCE(found.in_use, 0) AS found
        FROM capacity_counter AS counter LEFT JOIN ({COUNTED_SCOPES}) AS found USING (scope, owner_id)
        WHERE counter.in_use <> COALESCE(found.in_use, 0) ORDER BY scope, owner_id""",  # noqa: S608
    ),
    Invariant(
        "shared_counters_are_where_capacities_are",
        "capacity_counter",
        """
        SELECT scope, owner_id, counter.capacity AS stated, limits.capacity AS found
        FROM capacity_counter AS counter
        FULL JOIN (
            SELECT 1 AS scope, id AS owner_id, capacity FROM account WHERE capacity IS NOT NULL
            UNION ALL SELECT 2, id, capacity FROM reseller WHERE capacity IS NOT NULL
        ) AS limits USING (scope, owner_id)
        WHERE counter.capacity IS DISTINCT FROM limits.capacity ORDER BY scope, owner_id""",
    ),
    Invariant(
        "posted_is_the_amount_of_the_last_xdr",
        "session",
        f"""
        SELECT session.call_id, session.session_id, session.posted AS stated, last.amount AS found,
            session.revision AS stated_revision, last.revision AS found_revision
        FROM session LEFT JOIN ({_LAST_XDRS}) AS last USING (leg_key, generation)
        WHERE (session.posted <> COALESCE(last.amount, 0) OR session.revision <> COALESCE(last.revision, 0))
            AND NOT (last.leg_key IS NULL AND {_WAS_DROPPED})
        ORDER BY session.leg_key, session.generation""",  # noqa: S608
        left_out=f"""
        SELECT count(*) FROM session LEFT JOIN ({_LAST_XDRS}) AS last USING (leg_key, generation)
        WHERE session.revision > 0 AND last.leg_key IS NULL AND {_WAS_DROPPED}""",  # noqa: S608
    ),
    Invariant(
        "charges_add_up_to_the_last_xdr",
        "xdr",
        f"""
        SELECT encode(leg_key, 'hex') AS leg_key, generation, revision, client.name AS client, step.call_id,
            COALESCE(charged.total, 0) AS stated, COALESCE(step.owed, 0) AS found
        FROM ({_STEPS}) AS step
        FULL JOIN (
            SELECT leg_key, generation, revision, client_id, sum(amount) AS total FROM entry
            WHERE leg_key IS NOT NULL GROUP BY leg_key, generation, revision, client_id
        ) AS charged USING (leg_key, generation, revision, client_id)
        LEFT JOIN client ON client.id = client_id
        WHERE COALESCE(is_known, true) AND COALESCE(charged.total, 0) <> COALESCE(step.owed, 0)
        ORDER BY leg_key, generation, revision""",  # noqa: S608
        left_out=f"SELECT count(*) FROM ({_STEPS}) AS step WHERE NOT is_known",  # noqa: S608
    ),
    Invariant(
        "ended_legs_reserve_nothing",
        "session",
        f"""
        SELECT call_id, session_id, reserved FROM session
        WHERE state > 1 AND reserved <> 0 AND NOT COALESCE({HELD}, false)""",  # noqa: S608
    ),
    Invariant(
        "every_client_has_a_balance",
        "client",
        """
        SELECT client.id, client.name AS client FROM client
        LEFT JOIN balance ON balance.client_id = client.id
        WHERE balance.client_id IS NULL ORDER BY client.id""",
    ),
    Invariant(
        "nothing_reserved_is_negative",
        "session",
        """
        SELECT client.name AS client, NULL AS call_id, balance.reserved
        FROM balance JOIN client ON client.id = balance.client_id WHERE balance.reserved < 0
        UNION ALL
        SELECT client.name, session.call_id, session.reserved
        FROM session LEFT JOIN client ON client.id = session.client_id WHERE session.reserved < 0""",
    ),
    Invariant(
        "a_revision_is_recorded_and_charged_once",
        "xdr",
        """
        SELECT 'xdr' AS table, encode(leg_key, 'hex') AS leg_key, generation, revision, count(*) AS rows
        FROM xdr GROUP BY leg_key, generation, revision HAVING count(*) > 1
        UNION ALL
        SELECT 'entry', encode(leg_key, 'hex'), generation, revision, count(*)
        FROM entry WHERE leg_key IS NOT NULL GROUP BY leg_key, generation, revision HAVING count(*) > 1""",
        rule="I2",
    ),
    Invariant(
        "a_reference_is_used_once",
        "entry_reference",
        f"""
        SELECT client.name AS client, reference, entries.rows, entries.amount AS stated, used.amount AS found
        FROM (
            SELECT client_id, reference, count(*) AS rows, max(kind) AS kind,
                sum(CASE kind WHEN 'invoice' THEN fixed ELSE amount END) AS amount
            FROM entry WHERE reference IS NOT NULL AND kind <> 'carried' GROUP BY client_id, reference
        ) AS entries
        FULL JOIN entry_reference AS used USING (client_id, reference)
        LEFT JOIN client ON client.id = client_id
        WHERE (entries.rows, entries.kind, entries.amount) IS DISTINCT FROM (1, used.kind, used.amount)
            AND NOT (entries.rows IS NULL AND COALESCE(used.at < {_DROPPED_UNTIL}, false))
        ORDER BY client_id, reference""",  # noqa: S608
        left_out=f"SELECT count(*) FROM entry_reference WHERE at < {_DROPPED_UNTIL}",  # noqa: S608
    ),
    Invariant(
        "ended_legs_are_on_record",
        "session",
        "SELECT call_id, session_id, closed_at FROM session WHERE state = 3 AND revision = 0",
        rule="I3",
    ),
    Invariant(
        "charges_name_their_record",
        "entry",
        """
        SELECT encode(leg_key, 'hex') AS leg_key, generation, revision, entry.amount
        FROM entry LEFT JOIN xdr USING (leg_key, generation, revision)
        WHERE leg_key IS NOT NULL AND xdr.nas IS NULL ORDER BY entry.id""",
    ),
    Invariant(
        "open_reservations_are_covered",
        "balance",
        f"""
        WITH latest AS (
            SELECT client_id, max(authorized_at) - interval '10 seconds' AS at FROM session
            WHERE (state <= 1 OR {HELD}) AND reserved > 0 AND authorized_at IS NOT NULL GROUP BY client_id
        ), since AS (
            SELECT client_id, -sum(amount) AS spent FROM latest JOIN entry USING (client_id)
            WHERE entry.at >= latest.at AND amount < 0 GROUP BY client_id
        )
        SELECT client.name AS client, balance.reserved, balance.live, client.credit, since.spent
        FROM latest JOIN balance USING (client_id) JOIN client ON client.id = client_id
        LEFT JOIN since USING (client_id)
        WHERE NOT client.postpaid
            AND balance.reserved > balance.live + client.credit + COALESCE(since.spent, 0)
            AND NOT EXISTS (
                SELECT FROM audit WHERE object_kind = 'client' AND object_name = client.name
                AND field IN ('credit', 'postpaid') AND audit.at >= latest.at AND before IS NOT NULL
            )
        ORDER BY client.id""",  # noqa: S608
        rule="I5",
    ),
    Invariant(
        "no_leg_is_forgotten",
        "session",
        """
        SELECT client.name AS client, call_id, session_id, look_at
        FROM session LEFT JOIN client ON client.id = session.client_id
        WHERE closed_at IS NULL
            AND look_at < (SELECT max(last_heard_at) FROM session) - interval '1 hour' ORDER BY look_at""",
        rule="I6",
    ),
    Invariant(
        "legs_are_priced_by_their_number",
        "session",
        f"""
        SELECT {ID_SQL.format("session")} AS id, call_id, called, code FROM session
        WHERE code IS NOT NULL AND NOT starts_with(called, code) ORDER BY leg_key, generation""",  # noqa: S608
    ),
    Invariant(
        "amounts_are_numbers",
        "entry",
        " UNION ALL ".join(
            f"SELECT '{table}' AS table, '{column}' AS column, {column} AS amount FROM {table}"  # noqa: S608
            f" WHERE {column} IN ('NaN', 'Infinity', '-Infinity')"
            for table, column in _AMOUNTS
        ),
        rule="I7",
    ),
    Invariant(
        "what_explains_money_cannot_be_edited",
        "pg_inherits",
        """
        SELECT relation.relname AS table, 'no trigger forbids it' AS because
        FROM pg_class AS relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
        LEFT JOIN pg_inherits ON inhrelid = relation.oid LEFT JOIN pg_class AS whole ON whole.oid = inhparent
        WHERE nspname = 'public' AND relation.relkind IN ('r', 'p')
            AND COALESCE(whole.relname, relation.relname)
                IN ('xdr', 'entry', 'entry_reference', 'closed_month')
            AND NOT EXISTS (
                SELECT FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
                WHERE tgrelid = relation.oid AND proname = 'never_edited' AND tgenabled IN ('O', 'A')
            )
        ORDER BY relation.relname""",
        rule="I9",
    ),
)
