"""Money that ended legs keep: their time cannot be true, and nobody has decided yet what they cost."""

HELD = (
    "session.state = 3 AND session.overrun_seconds IS NOT NULL AND session.stop_seconds IS NULL"
    " AND session.decided_seconds IS NULL"
)
"""The condition that a row of `session` may keep money although it has ended."""

HELD_LEGS = """
    SELECT session.leg_key, session.generation, session.client_id, session.currency, session.reserved,
        session.closed_at
    FROM xdr JOIN session USING (leg_key, generation, revision)
    WHERE xdr.state = 'unbillable' AND xdr.reason = 'overrun' AND session.reserved <> 0"""
"""The legs that do keep some; what could not be charged is little, and has an index."""
