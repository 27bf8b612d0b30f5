"""`billing export`: definitions that `billing apply` takes back unchanged, and that make a database equal."""

import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from billing_command import Billing
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres import PostgresServer
from sqlalchemy import text
from test_apply_rating import EVERYTHING as RATING
from test_client_definitions import EVERYTHING

from billing_core.admin.definitions.toml_text import comment, written_table
from billing_core.storage import schema

MORE = r"""
[[template]]
name = "Low \"cost\""
currency = "EUR"
capacity = ""
autoinvoicing = { last_invoiced = 2026-10-31 }
concurrency = { policy = "full" }
tags = ["günstig", "a, b"]
[[client]]
name = "Ünïcode \\ 客户"
template = "Low \"cost\""
capacity = 0
tags = []
panel = { login = "u", password = "" }
[[client]]
name = "Gone"
currency = "EUR"
status = "deleted"
panel = { enabled = true }
[[client.account]]
ip = "192.0.2.3"
[[client]]
name = "Many accounts"
template = "Low \"cost\""
credit = "0.10000000"
[[client.account]]
name = "second"
password = "p\"w\\d"
tech_prefix = "12#"
capacity = 3
price_per_minute_max = "1.25"
[[client.account]]
ip = "2001:db8::1"
orig = false
term = true
[[client.account]]
ani = "442079999999"
[[watch]]
name = "Spend"
per = "client"
spend_max = "50.00"
clients = ["Many accounts"]
tags = ["a, b"]
[[watch]]
name = "Short calls"
short_calls_max = 20
short_seconds = 5
block_minutes = 30
enabled = false
"""
OTHER = EVERYTHING.replace('"Retail"', '"Retail in euros"')
ACCOUNT = """
[[client.account]]
name = "first"
password = "account-secret"
"""
TABLES = {
    "reseller": "name, (SELECT name FROM reseller p WHERE p.id = t.parent_id), capacity",
    "time_profile": "name, spans",
    "exchange_rate": 'currency, "into", effective_from, factor',
    "rate_table": "name, currency, (SELECT name FROM rate_table p WHERE p.id = t.parent_id), rounding_places,"
    " rounding_mode, duration_rounding",
    "template": "name, fields",
    "watch": "to_jsonb(t) - 'id'",
    "client": "to_jsonb(t) - ARRAY['id', 'reseller_id', 'template_id', 'rate_table_id', 'term_rate_table_id',"
    " 'changed_in'],"
    " (SELECT name FROM reseller p WHERE p.id = t.reseller_id),"
    " (SELECT name FROM template p WHERE p.id = t.template_id),"
    " (SELECT name FROM rate_table p WHERE p.id = t.rate_table_id),"
    " (SELECT name FROM rate_table p WHERE p.id = t.term_rate_table_id)",
    "account": "(SELECT name FROM client p WHERE p.id = t.client_id), to_jsonb(t) - '{id,client_id}'::text[]",
}


@pytest.fixture
def defined(billing: Billing) -> Billing:
    """Give definitions of every kind, with every field, with accounts that are on, off and alike."""
    billing.file("x.csv", "code,price_per_minute\n44,0.05\n")
    for content in (RATING, OTHER + ACCOUNT, MORE):
        assert billing.apply(content).code == 0
    # An account that is switched off, and one like it that is on.
    billing.apply('[[client]]\nname = "A"\naccount = []\n')
    billing.sql(
        "INSERT INTO account (client_id, name, password, tech_prefix, orig, term)"
        " SELECT client_id, name, 'new-secret', tech_prefix, true, false FROM account WHERE name = 'first'"
    )
    return billing


def contents(url: str) -> dict[str, list[str]]:
    """Return all that is defined, but ids, rates and money."""
    engine = schema.engine(url)
    with engine.connect() as connection:
        found = {
            table: sorted(str(row) for row in connection.execute(text(f"SELECT {columns} FROM {table} t")))  # noqa: S608
            for table, columns in TABLES.items()
        }
    engine.dispose()
    return found


def test_what_is_exported_is_taken_back_unchanged(defined: Billing) -> None:
    for flags in ((), ("--secrets",), ("--guarded",), ("--secrets", "--guarded")):
        written = defined("export", *flags)

        assert (written.code, written.err) == (0, "")
        assert defined.apply(written.out, name="export.toml").out == "nothing to change\n"


def test_an_empty_database_becomes_equal_but_for_ids_rates_and_money(
    defined: Billing, postgres_server: PostgresServer, template_url: str
) -> None:
    written = defined("export", "--secrets").out
    before = contents(defined.url)

    url = postgres_server.create_database(template_url)
    defined.file("radiusd.toml", f'[database]\nurl = "{url}"\n')
    applied = defined.apply(written, name="export.toml")
    after = contents(url)
    again = defined("export", "--secrets").out
    postgres_server.drop_database(url)

    assert applied.code == 0, applied.err
    assert after == before
    assert again.splitlines()[2:] == written.splitlines()[2:]
    assert all(before.values())


def test_without_secrets_there_are_none_and_accounts_with_passwords_are_left_alone(defined: Billing) -> None:
    written = defined("export").out

    assert "secret" not in written.replace("--secrets", "")
    assert "argon2" not in written
    clients = {client["name"]: client for client in tomllib.loads(written)["client"]}
    assert "account" not in clients["Many accounts"]
    assert [account["ip"] for account in clients["Gone"]["account"]] == ["192.0.2.3"]
    assert (
        written.count("# Accounts are left out, for they have passwords; --secrets writes them.\n[[client]]")
        >= 2
    )


def test_only_what_is_a_clients_own_is_written(defined: Billing) -> None:
    clients = {
        client["name"]: client for client in tomllib.loads(defined("export", "--secrets").out)["client"]
    }

    assert clients["Ünïcode \\ 客户"] == {
        "name": "Ünïcode \\ 客户",
        "template": 'Low "cost"',
        "capacity": 0,
        "tags": [],
        "panel": {"login": "u", "password": ""},
    }


def test_a_selection_is_exported_with_all_that_it_may_refer_to(defined: Billing) -> None:
    written = tomllib.loads(defined("export", "many").out)
    everybody = tomllib.loads(defined("export").out)

    assert [client["name"] for client in written["client"]] == ["Many accounts"]
    assert {**everybody, "client": []} == {**written, "client": []}
    assert "Gone" in {client["name"] for client in everybody["client"]}, "a copy misses nobody"
    assert "Gone" not in defined("export", "--status", "active").out


def test_a_guarded_file_is_refused_once_somebody_changed_a_client_of_it(defined: Billing) -> None:
    written = defined("export", "many", "--guarded").out.replace('credit = "0.10000000"', 'credit = "5"')
    defined("clients", "set", "Many accounts", "--capacity", "9")

    result = defined.apply(written, name="export.toml")

    assert result.code == 1
    assert 'client.if_version: client "Many accounts" was changed after version' in result.err


def test_programs_get_the_same_definitions_as_one_document(defined: Billing) -> None:
    found = defined("export", "--secrets", "--json").document

    [many] = [item for item in found if item["kind"] == "client" and item["name"] == "Many accounts"]
    assert (many["credit"], many["account"][0]["price_per_minute_max"]) == ("0.10000000", "1.25")
    assert {item["kind"] for item in found} == TABLES.keys() - {"account"}


# --- the writer -------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.dates(),
    st.lists(TEXTS),
    st.datetimes(timezones=st.just(UTC)),
)
KEYS = st.from_regex(r"[a-z_]{1,9}", fullmatch=True)


@settings(max_examples=50)
@given(st.lists(st.dictionaries(KEYS, VALUES), min_size=1), TEXTS)
def test_whatever_is_written_is_read_again(tables: list[dict[str, Any]], remark: str) -> None:
    remark = "".join(filter(str.isprintable, remark))
    written = "".join(comment(remark) + written_table("client", table) for table in tables)

    assert tomllib.loads(written) == {"client": tables}


def test_amounts_are_texts_and_keys_with_points_are_parts_of_sections() -> None:
    fields = {"credit": Decimal("-0.10"), "company.name": 'a"b', "company.zip": None, "day": date(2026, 1, 2)}
    moment = {"at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC)}

    assert written_table("client", fields | moment) == (
        '[[client]]\ncredit = "-0.10"\ncompany.name = "a\\"b"\nday = 2026-01-02\nat = 2026-01-02T03:04:00Z\n'
    )
