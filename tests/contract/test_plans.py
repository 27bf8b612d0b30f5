"""Every statement of a turn finds its rows by key, also when it was planned while the tables were empty."""

import pytest

from billing_core.storage.postgres import PostgresStorage
from billing_core.storage.statements import PREPARED

BY_KEY = {
    "owners": "'{}'",
    "sessions": "'{}'",
    "proofs": "'{}','{}'",
    "lock_balances": "'{}'",
    "lock_sessions": "'{}'",
    "change_balances": "'{}','{}','{}','{}','{}'",
    "update_progress": ",".join(["'{}'"] * PREPARED["update_progress"].count("$")),
    "update_sessions": ",".join(["'{}'"] * PREPARED["update_sessions"].count("$")),
}


@pytest.mark.parametrize("name", BY_KEY)
def test_a_statement_planned_on_empty_tables_reads_none_of_them_whole(migrated_url: str, name: str) -> None:
    storage = PostgresStorage(migrated_url, "test")
    with storage.connection().cursor() as cursor:
        cursor.execute(f"EXPLAIN EXECUTE {name}({BY_KEY[name]})")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    storage.close()

    assert "Index" in plan
    assert "Seq Scan on session" not in plan
    assert "Seq Scan on balance" not in plan
    assert "Seq Scan on proof_use" not in plan
