"""Legs under way, counted from the sessions: what the shared counters must say."""

# Calls are counted by client first: there are many fewer clients with calls than calls or clients.
COUNTED_SCOPES = """
    WITH RECURSIVE legs AS MATERIALIZED (
        SELECT client_id, account_id, count(*) AS legs FROM session
        WHERE closed_at IS NULL AND leg = 'origination' AND client_id IS NOT NULL
        GROUP BY client_id, account_id
    ), below(reseller_id, legs) AS (
        SELECT client.reseller_id, legs.legs FROM legs JOIN client ON client.id = legs.client_id
        WHERE client.reseller_id IS NOT NULL
        UNION ALL
        SELECT reseller.parent_id, below.legs FROM below JOIN reseller ON reseller.id = below.reseller_id
        WHERE reseller.parent_id IS NOT NULL
    )
    SELECT 1 AS scope, account_id AS owner_id, sum(legs) AS in_use FROM legs
    WHERE account_id IS NOT NULL GROUP BY account_id
    UNION ALL
    SELECT 2 AS scope, reseller_id AS owner_id, sum(legs) AS in_use FROM below GROUP BY reseller_id"""
