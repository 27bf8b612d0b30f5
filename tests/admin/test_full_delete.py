"""`billing clients full-delete`: everything of a client goes, and what is left of the books is sound."""

import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from billing_command import Billing
from calls import at, request, stop
from sqlalchemy.engine import make_url
from traffic import define, handle, place

from billing_core.admin import prompts
from billing_core.authorization import Denied
from billing_core.catalogue import Catalogue, Recognition
from billing_core.charging import Charging
from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.postgres import PostgresStorage
from billing_core.storage.schema import prepare

ALICE = "Alice Telecom"
REMOVE = ("clients", "full-delete", ALICE)
LATER = at(120)


@pytest.fixture
def busy(billing: Billing) -> Billing:
    """Give books with calls of every kind, two of them under way, and everything else that a client has."""
    define(billing)
    billing("payment", ALICE, "100", "--reference", "bank 1")
    billing("invoice", ALICE, "30", "--reference", "1")
    place(billing)
    billing("block", "add", "client", ALICE)
    billing.sql("INSERT INTO event (at, kind, client_id, facts) VALUES (now(), 'low_balance', 1, '{}')")
    billing.sql(
        "INSERT INTO mail (created_at, kind, channel, client_id, facts, next_at)"
        " VALUES (now(), 'low_balance', 'email', 1, '{}', now())"
    )
    billing.sql(
        "INSERT INTO disconnect (leg_key, generation, nas, reason, asked_at, next_at, attempts)"
        " SELECT leg_key, generation, nas, 'no_money', now(), now(), 0 FROM session WHERE client_id = 1"
    )
    return billing


def rows_of(billing: Billing, client_id: int) -> dict[str, int]:
    tables = billing.sql(
        "SELECT table_name FROM information_schema.columns JOIN pg_class ON relname = table_name"
        " WHERE column_name = 'client_id' AND table_schema = 'public' AND NOT relispartition"
    )
    counts = {
        name: billing.sql(f"SELECT count(*) FROM {name} WHERE client_id = {client_id}")[0][0]  # noqa: S608
        for (name,) in tables
    }
    return {name: count for name, count in counts.items() if count}


def assert_sound(billing: Billing) -> None:
    document = billing("verify", "--json").document
    assert [item for item in document["invariants"] if item["differences"]] == []


def test_everything_of_a_client_goes_and_that_it_happened_stays(busy: Billing) -> None:
    vendor = rows_of(busy, 2)
    shown = busy("clients", "show", ALICE, "--json").document["balance"]
    # The first record of this leg is from before it was known whose it is.
    busy.sql("UPDATE xdr SET client_id = NULL WHERE call_id = 'corrected' AND revision = 1")
    assert rows_of(busy, 1).keys() >= {"account", "balance", "entry", "entry_reference", "xdr", "session"}

    result = busy(*REMOVE, "--yes", "--force", "--json").document

    assert rows_of(busy, 1).keys() == {"audit"}
    assert rows_of(busy, 2) == vendor
    assert busy.sql("SELECT name FROM client") == [("Vendor",)]
    assert busy.sql("SELECT count(*) FROM block") == [(0,)]
    assert busy.sql("SELECT count(*) FROM xdr WHERE call_id = 'corrected'") == [(0,)]
    assert busy.sql("SELECT count(*) FROM disconnect") == [(0,)]
    assert busy.sql("SELECT scope, in_use FROM capacity_counter") == [(2, 0)]
    assert_sound(busy)
    [row] = busy("audit", "--client", ALICE, "--field", "removed", "--json").document
    assert row["before"] == (
        f"active, live {shown['live']} USD, fixed {shown['fixed']} USD, 1 accounts,"
        f" {result['entries']} entries, {result['xdrs']} xDRs, {result['legs_up']} legs up"
    )
    assert Decimal(result["live"]) == Decimal(shown["live"])
    assert result["entries"] > 2
    assert busy("audit", "--client", ALICE, "--field", "credit", "--json").document != []
    assert busy("undo", row["version"].__str__()).out == "nothing to change\n"


def test_he_stays_while_calls_of_his_are_up(busy: Billing) -> None:
    before = rows_of(busy, 1)

    result = busy(*REMOVE, "--yes")

    assert result.code == 1
    assert f'client "{ALICE}" has 2 legs up; wait for their end (see: billing calls)' in result.err
    assert rows_of(busy, 1) == before


def test_his_name_is_asked_for_and_a_program_must_say_that_it_is_sure(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(billing)
    assert "would be removed for good; if you are sure, add --yes" in billing(*REMOVE).err
    monkeypatch.setattr(prompts, "can_ask", lambda output: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("alice telecom\n"))
    assert "that is not his name; nothing was removed" in billing(*REMOVE).err
    assert billing.sql("SELECT count(*) FROM client") == [(2,)]

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{ALICE}\n"))
    assert billing(*REMOVE).code == 0
    assert billing.sql("SELECT name FROM client") == [("Vendor",)]


@pytest.fixture
def worker(busy: Billing) -> Iterator[tuple[Charging, Catalogue, CatalogueReader, Any]]:
    """Give a worker that knows the client."""
    storage = PostgresStorage(busy.url, "test")
    connection = storage.connection()
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    reader.read_all(connection)
    yield Charging(storage, catalogue, Limits()), catalogue, reader, connection
    connection.close()


def test_a_worker_that_has_not_heard_of_it_decides_as_if_he_never_was(busy: Billing, worker: Any) -> None:
    charging, catalogue, _, _ = worker
    busy(*REMOVE, "--yes", "--force")

    outcomes = charging.handle([stop(90, "done"), stop(90, "under way"), request("new")], LATER)

    assert [outcome.xdr.client_id for outcome in outcomes[:2]] == [None, None]
    assert [outcome.xdr.state.value for outcome in outcomes[:2]] == ["unbillable", "unbillable"]
    assert isinstance(outcomes[2], Denied)
    assert outcomes[2].reason is Denial.UNKNOWN_ACCOUNT
    assert 1 not in catalogue.clients
    assert rows_of(busy, 1).keys() == {"audit"}
    assert_sound(busy)


def test_a_worker_forgets_him_when_it_reads_the_change(busy: Billing, worker: Any) -> None:
    _, catalogue, reader, connection = worker
    assert catalogue.recognise(Recognition.NAME, "alice", "44") is not None
    busy(*REMOVE, "--yes", "--force")

    reader.read_all(connection)

    assert catalogue.clients.keys() == {2}
    assert catalogue.recognise(Recognition.NAME, "alice", "44") is None
    assert catalogue.account(1, 1) is None


def test_a_key_that_was_used_before_him_goes_on_to_count(busy: Billing) -> None:
    """The switch reuses an identity: its first leg was nobody's, the second one his."""
    key = "(SELECT leg_key FROM session WHERE call_id = 'done' AND leg = 'origination')"
    for table in ("session", "entry", "disconnect"):
        busy.sql(f"UPDATE {table} SET generation = 1 WHERE leg_key = {key}")  # noqa: S608
    busy.sql(f"UPDATE xdr SET generation = 1 WHERE leg_key = {key}")  # noqa: S608
    in_order = "WHERE table_name = 'xdr' ORDER BY ordinal_position"
    columns = busy.sql(f"SELECT column_name FROM information_schema.columns {in_order}")  # noqa: S608
    changed = {"generation": "0", "client_id": "NULL", "account_id": "NULL", "amount": "0"}
    values = ", ".join(changed.get(name, name) for (name,) in columns)
    busy.sql(f"INSERT INTO xdr SELECT {values} FROM xdr WHERE leg_key = {key} LIMIT 1")  # noqa: S608
    assert_sound(busy)
    busy(*REMOVE, "--yes", "--force")

    handle(busy, stop(90, "done"), now=LATER)

    generations = busy.sql(
        "SELECT generation, client_id, count(*) FROM xdr WHERE call_id = 'done'"
        " AND leg = 'origination' GROUP BY 1, 2 ORDER BY 1"
    )
    assert generations == [(0, None, 1), (1, None, 1)]
    assert_sound(busy)


SERVING = "serving_role_of_full_delete"


def test_only_the_owner_of_the_tables_can_do_it(busy: Billing) -> None:
    busy.sql(f"CREATE ROLE {SERVING} LOGIN")
    url = make_url(busy.url).set(username=SERVING)
    served = url.render_as_string(hide_password=False)
    prepare(served, busy.url)
    settings = busy.directory / "radiusd.toml"
    settings.write_text(f'[database]\nurl = "{served}"\n')
    try:
        result = busy(*REMOVE, "--yes", "--force")
        assert "only the owner of the tables can remove him; set database.owner_url" in result.err
        with psycopg2.connect(dbname=url.database, user=SERVING, **url.query) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SET billing.removes_client = 'on'")
            connection.commit()
            for table in ("entry", "xdr", "entry_reference"):
                with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(f"DELETE FROM {table} WHERE client_id = 1")  # noqa: S608
                connection.rollback()

        settings.write_text(f'[database]\nurl = "{served}"\nowner_url = "{busy.url}"\n')
        assert busy(*REMOVE, "--yes", "--force").code == 0
    finally:
        busy.sql(f"DROP OWNED BY {SERVING}")
        busy.sql(f"DROP ROLE {SERVING}")
