"""`billing accounts`: one account is changed, and all others of the client stay as they are."""

import io

import pytest
from billing_command import Billing

DEFINED = """
[[client]]
name = "A"
currency = "EUR"
[[client.account]]
name = "1001"
password = "secret"
price_per_minute_max = "0.50"
[[client.account]]
ip = "192.0.2.1"
[[client.account]]
ip = "192.0.2.1"
tech_prefix = "7"
capacity = 3
[[client]]
name = "B"
currency = "EUR"
"""
KEPT = "SELECT id, name, password, ip, tech_prefix, capacity, orig, term, price_per_minute_max FROM account"


@pytest.fixture
def defined(billing: Billing) -> Billing:
    assert billing.apply(DEFINED).code == 0
    return billing


def test_accounts_are_listed_without_their_passwords(defined: Billing) -> None:
    document = defined("accounts", "list", "--client", "A", "--json").document

    assert [(row["name"], row["ip"], row["tech_prefix"], row["capacity"]) for row in document] == [
        ("1001", None, "", None),
        (None, "192.0.2.1", "", None),
        (None, "192.0.2.1", "7", 3),
    ]
    assert "password" not in document[0]
    assert "secret" not in defined("accounts", "list").out
    assert len(defined("accounts", "list", "--limit", "2", "--json").document) == 2
    assert 'client "Z" is not known' in defined("accounts", "list", "--client", "Z").err


def test_an_added_account_leaves_the_others_as_they_were(
    defined: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = defined.sql(f"{KEPT} ORDER BY id")
    monkeypatch.setattr("sys.stdin", io.StringIO("hidden\n"))
    flags = ("--name", "2002", "--password", "-", "--capacity", "2", "--term", "true", "--tech-prefix", "9#")

    result = defined("accounts", "add", "A", *flags)

    assert (result.code, "hidden" in result.out) == (0, False)
    *others, added = defined.sql(f"{KEPT} ORDER BY id")
    assert others == before
    assert added[1:] == ("2002", "hidden", None, "9#", 2, True, True, None)
    assert "account A/2002: new" in result.out


def test_one_account_is_changed_and_stays_the_same_one(defined: Billing) -> None:
    before = defined.sql(f"{KEPT} ORDER BY id")

    renamed = defined("accounts", "set", "A", "1001", "--name", "1009", "--price-per-minute-max", "")
    moved = defined("accounts", "set", "A", "192.0.2.1", "--id", str(before[2].id), "--ip", "192.0.2.7")

    assert renamed.out == (
        "account A/1009: name 1001 -> 1009\naccount A/1009: price_per_minute_max 0.50 -> none\n"
        "applied as catalogue version 2\n"
    )
    assert moved.code == 0
    first, second, third = defined.sql(f"{KEPT} ORDER BY id")
    assert first == (before[0].id, "1009", "secret", None, "", None, True, False, None)
    assert second == before[1]
    assert third == (before[2].id, None, None, "192.0.2.7", "7", 3, True, False, None)
    assert defined("undo", "2").code == 0
    assert defined.sql("SELECT name, price_per_minute_max FROM account WHERE name IS NOT NULL") == [
        ("1001", before[0].price_per_minute_max)
    ]


def test_an_account_of_a_deleted_client_is_not_switched_on(defined: Billing) -> None:
    defined("clients", "delete", "A", "--yes")

    switched = defined("accounts", "set", "A", "1001", "--orig", "true")
    added = defined("accounts", "add", "A", "--ip", "192.0.2.9")
    changed = defined("accounts", "set", "A", "1001", "--orig", "false", "--capacity", "2")

    told = 'client "A" is deleted, so no account of his can be on; see: billing clients undelete\n'
    assert [(result.code, result.err) for result in (switched, added)] == [(1, told)] * 2
    assert (changed.code, defined.version()) == (0, 3)


def test_what_cannot_be_is_told_by_account_and_flag(defined: Billing) -> None:
    ids = [str(row.id) for row in defined.sql("SELECT id FROM account ORDER BY id")]
    refused = {
        ("add", "B", "--name", "3003"): "client B, account 3003: --password: missing",
        (
            "add",
            "B",
            "--capacity",
            "3",
        ): "client B, new account: recognises no call; give a name and password, an ip or an ani",
        ("add", "B", "--ip", "192.0.2.1"): (
            'account "192.0.2.1" of client "B" and account "192.0.2.1" of client "A" fit the same calls'
        ),
        ("set", "A", "1001", "--id", "999", "--term", "true"): 'client "A" has no account "1001" with id 999',
        ("add", "A", "--ip", "192.0.2.1"): (
            'account ip "192.0.2.1" of client "A" and account ip "192.0.2.1" of client "A" fit the same calls'
        ),
        ("add", "B", "--ip", "10.0.0.300"): 'client B, account 10.0.0.300: --ip: "10.0.0.300" is not an IP',
        ("add", "B", "--ani", "44", "--capacity", "x"): '--capacity: "x" is not a whole number',
        ("add", "B", "--ani", "44", "--orig", "on"): '--orig: "on" is neither "true" nor "false"',
        ("add", "Z", "--ani", "44"): 'client "Z" is not known',
        ("set", "A", "1001"): "nothing is named to be set",
        ("set", "A", "1002", "--term", "true"): 'client "A" has no account "1002"; did you mean "1001"?',
        ("set", "A", "192.0.2.1", "--term", "true"): (
            f'client "A" has 2 accounts "192.0.2.1"; choose one with --id: {ids[1]} (tech prefix ""), '
            f'{ids[2]} (tech prefix "7")'
        ),
    }

    for arguments, said in refused.items():
        result = defined("accounts", *arguments)
        assert (result.code, said in result.err) == (1, True), (arguments, result.err)
    assert defined.version() == 1
