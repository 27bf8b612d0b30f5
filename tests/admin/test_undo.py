"""`billing undo`: a change goes back from the audit, by the same rules as it was made."""

from decimal import Decimal
from typing import Any

import pytest
from billing_command import Billing

DEFINED = """
[[reseller]]
name = "R"
capacity = 10
[[rate_table]]
name = "Retail"
currency = "EUR"
[[watch]]
name = "W"
short_calls_max = 5
short_seconds = 6
tags = ["x, y"]
[[template]]
name = "VIP"
capacity = 5
credit = "100.00"
[[client]]
name = "A"
template = "VIP"
currency = "EUR"
tags = ["x, y", "z"]
[[client.account]]
name = "1001"
password = "secret"
[[client.account]]
ip = "192.0.2.1"
tech_prefix = "7"
[[client]]
name = "B"
currency = "EUR"
credit = "10.00"
"""


@pytest.fixture
def defined(billing: Billing) -> Billing:
    assert billing.apply(DEFINED).code == 0
    return billing


TABLES = ("watch", "reseller", "rate_table", "time_profile", "exchange_rate", "template", "client", "account")
PASSING = {"changed_in"}


def everything(billing: Billing) -> dict[str, list[dict[str, Any]]]:
    """Return all definitions as the database holds them, but for the versions that they bear."""
    return {
        table: [
            {key: value for key, value in row._mapping.items() if key not in PASSING}
            for row in billing.sql(f'SELECT * FROM {table} ORDER BY "{order(table)}"')  # noqa: S608
        ]
        for table in TABLES
    }


def order(table: str) -> str:
    return "into" if table == "exchange_rate" else "id"


ALL_AT_ONCE = """
[[watch]]
name = "W"
spend_max = "12.50"
clients = ["A"]
enabled = false
[[reseller]]
name = "R"
capacity = 20
[[template]]
name = "VIP"
capacity = 6
timezone = "Europe/Paris"
concurrency = {policy = "share", calls = 3}
unset = ["credit"]
[[rate_table]]
name = "Retail"
rounding = {places = 4}
[[client]]
name = "A"
reseller = "R"
tags = ["w"]
capacity = 7
autoinvoicing = {last_invoiced = 2026-10-31}
company = {noc_email = "noc@a.example"}
[[client.account]]
name = "1001"
password = "secret"
capacity = 2
price_per_minute_max = "0.50"
[[client]]
name = "B"
template = "VIP"
credit = "-20.50"
concurrency = {policy = "slice", seconds = 60}
postpaid = true
rate_table = "Retail"
"""


def test_a_change_of_everything_goes_back_and_back_again(defined: Billing) -> None:
    before = everything(defined)
    assert defined.apply(ALL_AT_ONCE).code == 0
    after = everything(defined)
    assert after != before

    assert defined("undo", "2").code == 0
    assert everything(defined) == before
    assert defined("undo", "3").code == 0
    assert everything(defined) == after

    assert {row.through for row in defined.sql("SELECT through FROM audit WHERE version = 3")} == {"undo 2"}
    assert defined("undo", "3", "--dry-run").code == 0


def test_what_is_back_already_is_nothing_to_change(defined: Billing) -> None:
    defined.apply(ALL_AT_ONCE)
    defined("undo", "2")

    result = defined("undo", "2")

    assert (result.code, result.out) == (0, "nothing to change\n")


def test_a_dry_run_shows_what_would_go_back(defined: Billing) -> None:
    defined("clients", "set", "B", "--credit", "20")

    result = defined("undo", "2", "--dry-run")

    assert result.out == "client B: credit 20 -> 10.00\ndry run: nothing was applied\n"
    assert defined.version() == 2


def test_a_field_that_became_his_own_follows_the_template_again_and_the_other_way_round(
    defined: Billing,
) -> None:
    own = "SELECT own FROM client WHERE name = 'A'"
    before = defined.sql(own)
    defined("clients", "set", "A", "--credit", "100.00", "--capacity", "9", "--unset", "tags")
    defined("undo", "2")
    assert defined.sql(own) == before

    defined.apply('[[template]]\nname = "VIP"\ncredit = "50.00"\ncapacity = 8\n')

    assert defined.sql("SELECT credit, capacity FROM client WHERE name = 'A'") == [(50, 8)]


def test_what_somebody_changed_since_is_left_and_told(defined: Billing) -> None:
    defined("clients", "set", "B", "--credit", "20", "--capacity", "3")
    defined("clients", "set", "B", "--credit", "30")

    refused = defined("undo", "2")
    assert (refused.code, defined.version()) == (1, 3)
    assert refused.err == (
        "client B: credit was changed since: it is 30, and was made 20\n"
        "nothing was changed; with --partly all other fields go back\n"
    )

    result = defined("undo", "2", "--partly", "--json")
    assert result.document["left"] == ["client B: credit was changed since: it is 30, and was made 20"]
    assert defined.sql("SELECT credit, capacity FROM client WHERE name = 'B'") == [(Decimal(30), None)]


def test_what_became_his_own_with_the_same_value_and_was_changed_since_is_left(defined: Billing) -> None:
    defined("clients", "set", "A", "--credit", "100.00")
    defined("clients", "set", "A", "--credit", "7")

    result = defined("undo", "2")

    assert result.code == 1
    assert "client A: credit was changed since: it is 7" in result.err


def test_what_was_new_stays_switched_off_and_is_told(defined: Billing) -> None:
    defined.apply(
        '[[client]]\nname = "C"\ncurrency = "EUR"\n[[client.account]]\nani = "4420"\n'
        '[[client]]\nname = "B"\n[[client.account]]\nip = "192.0.2.9"\n[[client.account]]\nip = "192.0.2.9"\n'
        'tech_prefix = "1"\n[[reseller]]\nname = "S"\n'
    )

    result = defined("undo", "2")

    assert result.code == 0
    assert "client C was new, and nobody is removed by this: he becomes deleted\n" in result.err
    assert "reseller S was new, and nothing is removed by this: it stays\n" in result.err
    assert result.err.count("account B/192.0.2.9 was new: it stays, switched off\n") == 2
    assert defined.sql("SELECT status FROM client WHERE name = 'C'") == [("deleted",)]
    assert defined.sql(
        "SELECT DISTINCT orig, term FROM account JOIN client ON client.id = client_id"
        " WHERE client.name <> 'A'"
    ) == [(False, False)]


def test_an_account_that_was_left_out_is_switched_on_again(defined: Billing) -> None:
    defined.apply('[[client]]\nname = "A"\naccount = []\n')
    assert defined.sql("SELECT count(*) FROM account WHERE orig") == [(0,)]

    defined("undo", "2")

    assert defined.sql("SELECT count(*) FROM account WHERE orig") == [(2,)]


def test_an_account_is_known_by_its_id_whatever_it_is_called(defined: Billing) -> None:
    [(id,)] = defined.sql("SELECT id FROM account WHERE name = '1001'")
    accounts = '[[client]]\nname = "A"\n[[client.account]]\nid = {}\nname = "2002"\npassword = "secret"\n'
    assert defined.apply(accounts.format(id)).code == 0

    assert defined("undo", "2").code == 0
    assert defined.sql("SELECT name, orig FROM account ORDER BY id") == [("1001", True), (None, True)]
    assert 'client "A" has no account 77' in defined.apply(accounts.format(77)).err


def test_secrets_do_not_come_back_but_that_there_was_none_does(
    defined: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = '[[client]]\nname = "B"\npanel = {{login = "b", password = "{}"}}\n'
    account = '[[client]]\nname = "A"\n[[client.account]]\nname = "1001"\npassword = "{}"\ncapacity = {}\n'
    defined.apply(panel.format("long-secret"))
    defined.apply(account.format("another", 3))

    of_account = defined("undo", "3", "--json")
    of_panel = defined("undo", "2")

    assert of_account.document["stays"] == [
        "account A/1001: password stays, since no secret is kept in the audit"
    ]
    assert defined.sql("SELECT capacity, password FROM account WHERE name = '1001'") == [(None, "another")]
    assert of_panel.code == 0
    assert defined.sql("SELECT panel_login, panel_password FROM client WHERE name = 'B'") == [(None, None)]


def test_a_block_is_named_and_no_version_is_made_up(defined: Billing) -> None:
    defined("block", "add", "client", "B")

    assert "block client B stays as it is; see: billing block" in defined("undo", "2").err
    assert "the audit has no change of version 77" in defined("undo", "77").err
