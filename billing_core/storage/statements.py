"""Every statement of a turn, prepared once a connection, so that PostgreSQL plans each only once.

Their parameters are array constants, one a column (see `rows`), but for the sweep's few.
"""

from billing_core.storage import notices, rows

# Any constant number serves, as long as every program uses the same (ASCII "sweep").
SWEEP_LOCK = 0x7377656570

PREPARED = {
    "owners": """
        SELECT DISTINCT client_id FROM session WHERE leg_key = ANY($1::bytea[]) AND client_id IS NOT NULL""",
    # Nothing but the lock: a sum in a statement that waited would be the sum from before the wait.
    "lock_balances": """
        SELECT client_id, live, reserved, in_use, term_in_use, warned FROM balance
        WHERE client_id = ANY($1::int[]) ORDER BY client_id FOR UPDATE""",
    "sessions": rows.SELECT_VERSION_AND_SESSIONS,
    "lock_sessions": f"{rows.SELECT_SESSIONS} AND client_id IS NULL ORDER BY leg_key, generation FOR UPDATE",
    "reboots": """
        SELECT nas, nas_box, event_at, starting, nas_address, nas_source FROM reboot
        WHERE nas = ANY($1::text[]) AND event_at >= $2::timestamptz ORDER BY event_at""",
    # By each column for itself, which an index answers: one use under two clients is as good as unheard of.
    "proofs": """
        SELECT client_id, use, leg_key, generation, used_at FROM proof_use
        WHERE client_id = ANY($1::int[]) AND use = ANY($2::bytea[])""",
    "lock_counters": """
        SELECT scope, owner_id, capacity, in_use FROM capacity_counter
        WHERE (scope, owner_id) IN (SELECT * FROM unnest($1::smallint[], $2::int[]))
        ORDER BY scope, owner_id FOR UPDATE""",
    "insert_sessions": rows.INSERT_SESSIONS,
    "update_sessions": rows.UPDATE_SESSIONS,
    "update_progress": rows.UPDATE_PROGRESS,
    "forget_sessions": """
        DELETE FROM session USING unnest($1::bytea[], $2::int[]) AS old(leg_key, generation)
        WHERE session.leg_key = old.leg_key AND session.generation = old.generation""",
    "insert_xdrs": rows.INSERT_XDRS,
    "insert_entries": rows.INSERT_ENTRIES,
    "insert_refusals": rows.INSERT_REFUSALS,
    "insert_disconnects": """
        INSERT INTO disconnect (leg_key, generation, nas, reason, asked_at, next_at, attempts)
        SELECT leg_key, generation, nas, reason, asked_at, asked_at, 0
        FROM unnest($1::bytea[], $2::int[], $3::text[], $4::text[], $5::timestamptz[])
            AS new(leg_key, generation, nas, reason, asked_at)
        ON CONFLICT DO NOTHING""",
    "change_balances": """
        UPDATE balance AS old SET live = old.live + new.live, reserved = old.reserved + new.reserved,
            in_use = old.in_use + new.in_use, term_in_use = old.term_in_use + new.term_in_use
        FROM unnest($1::int[], $2::numeric[], $3::numeric[], $4::int[], $5::int[])
            AS new(client_id, live, reserved, in_use, term_in_use)
        WHERE old.client_id = new.client_id""",
    "set_warned": """
        UPDATE balance AS old SET warned = new.warned
        FROM unnest($1::int[], $2::smallint[]) AS new(client_id, warned)
        WHERE old.client_id = new.client_id""",
    "lock_events": notices.LOCK_EVENTS,
    "insert_events": notices.INSERT_EVENTS,
    "insert_mails": notices.INSERT_MAILS,
    "change_counters": """
        UPDATE capacity_counter AS old SET in_use = old.in_use + new.in_use
        FROM unnest($1::smallint[], $2::int[], $3::int[]) AS new(scope, owner_id, in_use)
        WHERE old.scope = new.scope AND old.owner_id = new.owner_id""",
    "insert_reboots": """
        INSERT INTO reboot (nas, nas_box, event_at, starting, nas_address, nas_source)
        SELECT * FROM
            unnest($1::text[], $2::text[], $3::timestamptz[], $4::boolean[], $5::text[], $6::text[])
        ON CONFLICT DO NOTHING""",
    "insert_unknown_records": """
        INSERT INTO unknown_record (nas, nas_box, at, status, session_id, attributes)
        SELECT * FROM
            unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[])""",
    # A proof that served no leg yet may come to serve one.
    "keep_proofs": """
        INSERT INTO proof_use (client_id, use, leg_key, generation, used_at)
        SELECT * FROM unnest($1::int[], $2::bytea[], $3::bytea[], $4::int[], $5::timestamptz[])
        ON CONFLICT (client_id, use) DO UPDATE SET generation = excluded.generation""",
    "forget_proofs": "DELETE FROM proof_use WHERE used_at < $1::timestamptz",
    "alone": f"SELECT pg_try_advisory_xact_lock({SWEEP_LOCK})",
    "due": """
        SELECT leg_key, generation FROM session
        WHERE closed_at IS NULL AND look_at <= $1::timestamptz ORDER BY look_at LIMIT $2::int""",
    "next_reboot": """
        SELECT id, nas, nas_box, event_at, starting, nas_address, nas_source FROM reboot
        WHERE done_at IS NULL ORDER BY id LIMIT 1""",
    "legs_before": """
        SELECT leg_key, generation FROM session
        WHERE closed_at IS NULL AND nas = $1::text AND opened_at < $5::timestamptz
            AND ($2::text IN ('', nas_box) OR nas_box = '')
            AND ($3::text IN ('', nas_address) OR nas_address = '')
            AND (nas_box <> '' AND nas_box = $2::text OR nas_address <> '' AND nas_address = $3::text
                OR nas_box || nas_address || $2::text || $3::text = ''
                    AND nas_source <> '' AND nas_source = $4::text)
        LIMIT $6::int""",
    "reboot_done": "UPDATE reboot SET done_at = now() WHERE id = $1::bigint",
}

PREPARE = "; ".join(f"PREPARE {name} AS {statement}" for name, statement in PREPARED.items())


def execute(name: str, parameters: int) -> str:
    """Return how to execute the prepared statement *name*."""
    return f"EXECUTE {name}({', '.join(['%s'] * parameters)})" if parameters else f"EXECUTE {name}"
