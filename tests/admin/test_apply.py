"""`billing apply`: whole files or nothing, only what they name, and nothing twice."""

from pathlib import Path

import pytest
from billing_command import Billing, Result

from billing_core.admin.changes.apply import apply_files

ONE_CLIENT = """
[[rate_table]]
name = "Retail"
currency = "EUR"

[[client]]
name = "Customer A"
currency = "EUR"
credit = "10.00"
rate_table = "Retail"
[[client.account]]
name = "alice"
password = "very-secret"
[[client.account]]
ip = "192.0.2.1"
capacity = 5
"""

CREDIT = """
[[client]]
name = "Customer A"
credit = "{}"
"""


def accounts(billing: Billing, client: str = "Customer A") -> dict[str, tuple[int, bool, bool]]:
    """Return id, orig and term of a client's accounts by label."""
    rows = billing.sql(
        "SELECT coalesce(a.name, a.ip, a.ani), a.id, orig, term FROM account a"
        " JOIN client ON client.id = client_id WHERE client.name = :client",
        client=client,
    )
    return {label: (id, orig, term) for label, id, orig, term in rows}


def changes(result: Result) -> set[tuple[str, str, str, object, object]]:
    return {
        (item["object"], item["name"], item["field"], item["before"], item["after"])
        for item in result.document["changes"]
    }


def test_a_new_client_is_there_with_an_empty_balance(billing: Billing) -> None:
    assert billing.apply(ONE_CLIENT).code == 0

    shown = billing("clients", "show", "Customer A", "--json").document
    assert shown["balance"] == {"available": "10.00", "live": "0", "fixed": "0", "reserved": "0", "held": "0"}
    assert (shown["status"], shown["currency"], shown["timezone"]) == ("active", "EUR", "UTC")
    assert [account["name"] or account["ip"] for account in shown["accounts"]] == ["alice", "192.0.2.1"]


def test_the_same_file_again_changes_nothing(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)
    version = billing.version()
    rows = billing.sql("SELECT xmin, c.* FROM client c")

    again = billing.apply(ONE_CLIENT, "--json")

    assert again.document["changes"] == []
    assert billing.version() == version
    assert billing.sql("SELECT xmin, c.* FROM client c") == rows
    assert billing.apply(ONE_CLIENT).out == "nothing to change\n"


def test_fields_that_are_not_named_are_left(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)
    before = billing("clients", "show", "Customer A", "--json").document

    result = billing.apply(CREDIT.format("20.00"))

    assert result.out.splitlines()[0] == "client Customer A: credit 10.00 -> 20.00"
    after = billing("clients", "show", "Customer A", "--json").document
    balance = {**before["balance"], "available": "20.00"}
    assert after == {**before, "version": 2, "credit": "20.00", "balance": balance}


def test_an_equal_amount_written_otherwise_is_no_change(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)

    assert billing.apply(CREDIT.format("10"), "--json").document["changes"] == []


def test_every_changed_client_bears_the_new_version(billing: Billing) -> None:
    billing.apply(ONE_CLIENT + '[[client]]\nname = "B"\ncurrency = "EUR"\n')
    billing.apply(CREDIT.format("20"))

    rows = billing.sql("SELECT name, changed_in FROM client ORDER BY name")
    assert [tuple(row) for row in rows] == [("B", 1), ("Customer A", 2)]
    assert billing.version() == 2


def test_a_changed_account_marks_its_client(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)
    billing.apply(ONE_CLIENT.replace("very-secret", "other-secret"))

    assert billing.sql("SELECT changed_in FROM client") == [(2,)]


def test_an_account_no_longer_named_is_switched_off(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)
    before = accounts(billing)

    billing.apply(ONE_CLIENT[: ONE_CLIENT.index('[[client.account]]\nip = "192.0.2.1"')])

    after = accounts(billing)
    assert after["alice"] == before["alice"]
    assert after["192.0.2.1"] == (before["192.0.2.1"][0], False, False)


def test_an_account_keeps_its_id_by_name_then_by_address(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)
    before = accounts(billing)

    billing.apply(
        '[[client]]\nname = "Customer A"\n'
        '[[client.account]]\nip = "192.0.2.1"\norig = false\nterm = true\n'
        '[[client.account]]\nname = "alice"\npassword = "new"\nip = "198.51.100.7"\n'
        '[[client.account]]\nani = "442071234567"\n'
    )

    after = accounts(billing)
    assert after["alice"][0] == before["alice"][0]
    assert after["192.0.2.1"] == (before["192.0.2.1"][0], False, True)
    assert len(after) == 3


def test_passwords_are_shown_nowhere(billing: Billing) -> None:
    result = billing.apply(ONE_CLIENT, "--json")
    human = billing.apply(ONE_CLIENT.replace("very-secret", "other-secret"))

    assert ("account", "Customer A/alice", "password", None, "***") in changes(result)
    assert "account Customer A/alice: password *** -> ***" in human.out
    audit = str(billing.sql("SELECT * FROM audit"))
    assert "***" in audit
    assert "secret" not in result.out + human.out + audit


def test_the_audit_tells_who_changed_what_through_what(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)
    billing.apply(CREDIT.format("20.00"), name="more.toml")

    rows = billing.sql(
        "SELECT object_kind, object_name, field, before, after, through, who <> '' FROM audit"
        " ORDER BY id DESC LIMIT 1"
    )
    through = f"apply {billing.directory / 'more.toml'}"
    assert [tuple(row) for row in rows] == [
        ("client", "Customer A", "credit", "10.00", "20.00", through, True)
    ]


def test_a_dry_run_shows_and_changes_nothing(billing: Billing) -> None:
    billing.file("x.csv", "code,price_per_minute\n44,0.02\n")
    definitions = ONE_CLIENT.replace('name = "Retail"\n', 'name = "Retail"\nrates = "x.csv"\n')

    result = billing.apply(definitions, "--dry-run", "--json")

    assert result.document["dry_run"] is True
    assert ("client", "Customer A", "created", None, True) in changes(result)
    assert result.document["rates"] == [
        {"table": "Retail", "new": 1, "changed": 0, "ended": 0, "unchanged": 0}
    ]
    for table in ("client", "rate_table", "rate", "audit", "definition_file", "balance"):
        assert billing.sql(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608
    assert billing.version() == 0


FAULTY = """
[[client]]
name = "Customer B"
currency = "EUR"
rate_table = "Retial"
reseller = "Nobody"
"""


def test_faults_name_file_and_line_and_change_nothing(billing: Billing) -> None:
    result = billing.apply(ONE_CLIENT + FAULTY, "--json")

    path = billing.directory / "billing.toml"
    line = (ONE_CLIENT + FAULTY).splitlines().index('rate_table = "Retial"') + 1
    assert result.code == 1
    assert result.out == ""
    assert f'{path}:{line}: client.rate_table: there is no rate table "Retial"; did you mean "Retail"?' in (
        result.err.splitlines()
    )
    assert f'{path}:{line + 1}: client.reseller: there is no reseller "Nobody"' in result.err
    assert billing.sql("SELECT count(*) FROM client") == [(0,)]


def test_faults_of_all_files_are_told_at_once(billing: Billing) -> None:
    one = billing.file("one.toml", "[[client]]\nname = 1\n")
    other = billing.file("other.toml", "[[clent]]\n")

    result = billing("apply", one, other)

    assert result.code == 1
    assert f"{one}:2: client.name" in result.err
    assert f"{other}:1: clent: unknown key" in result.err


def test_a_new_client_must_name_his_currency(billing: Billing) -> None:
    result = billing.apply('[[client]]\nname = "New"\n')

    assert result.code == 1
    assert 'client.currency: missing; "New" needs one' in result.err


def test_a_file_that_is_not_there_is_told_in_a_sentence(billing: Billing) -> None:
    result = billing("apply", str(billing.directory / "none.toml"))

    assert result.code == 1
    assert result.err == f"{billing.directory / 'none.toml'}: cannot be read: No such file or directory\n"


BOB = """
[[client]]
name = "Customer B"
currency = "EUR"
[[client.account]]
{}
"""


@pytest.mark.parametrize(
    "account",
    ['name = "alice"\npassword = "other"', 'ip = "192.0.2.1"', 'ip = "::ffff:192.0.2.1"'],
)
def test_accounts_that_one_call_would_fit_are_refused_naming_both(billing: Billing, account: str) -> None:
    billing.apply(ONE_CLIENT)

    result = billing.apply(BOB.format(account), name="bob.toml")

    assert result.code == 1
    label = "alice" if "alice" in account else "192.0.2.1"
    assert f"{billing.directory / 'bob.toml'}:5: client.account" in result.err
    assert f'account "{label}" of client "Customer A"' in result.err
    assert f'account "{label}" of client "Customer B"' in result.err
    assert billing.sql("SELECT count(*) FROM client") == [(1,)]


def test_a_tech_prefix_or_being_off_keeps_accounts_apart(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)

    with_prefix = billing.apply(BOB.format('ip = "192.0.2.1"\ntech_prefix = "77"'))
    off = billing.apply(BOB.format('ip = "192.0.2.1"\norig = false').replace("Customer B", "Customer C"))
    vendor = billing.apply(
        BOB.format('ip = "192.0.2.1"\norig = false\nterm = true').replace("Customer B", "Vendor")
    )

    assert (with_prefix.code, off.code, vendor.code) == (0, 0, 0)


def test_an_address_belongs_to_one_vendor_whatever_the_tech_prefix(billing: Billing) -> None:
    vendor = BOB.format('ip = "203.0.113.9"\norig = false\nterm = true\ntech_prefix = "{}"')
    billing.apply(vendor.format("1").replace("Customer B", "Vendor A"))

    result = billing.apply(vendor.format("2").replace("Customer B", "Vendor B"))

    assert result.code == 1
    assert 'account "203.0.113.9" with tech prefix "1" of client "Vendor A"' in result.err
    assert "an address is one vendor's only" in result.err


def test_an_account_may_go_from_one_client_to_another_in_one_file(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)

    result = billing.apply('[[client]]\nname = "Customer A"\naccount = []\n' + BOB.format('ip = "192.0.2.1"'))

    assert result.code == 0
    assert accounts(billing, "Customer B")["192.0.2.1"][1:] == (True, False)
    assert accounts(billing)["192.0.2.1"][1:] == (False, False)


@pytest.mark.parametrize("field", ["rate_table", "term_rate_table"])
def test_a_client_and_his_rate_tables_have_one_currency(billing: Billing, field: str) -> None:
    result = billing.apply(
        '[[rate_table]]\nname = "USD"\ncurrency = "USD"\n'
        f'[[client]]\nname = "Euro"\ncurrency = "EUR"\n{field} = "USD"\n'
    )

    assert result.code == 1
    assert f":7: client.{field}: " in result.err
    assert 'client "Euro" is in EUR, but rate table "USD" is in USD' in result.err


def test_a_rate_table_cannot_leave_the_currency_of_clients_that_no_file_names(billing: Billing) -> None:
    billing.apply(ONE_CLIENT)

    result = billing.apply('[[rate_table]]\nname = "Retail"\ncurrency = "USD"\n')

    assert result.code == 1
    assert ':3: rate_table.currency: client "Customer A" is in EUR' in result.err


def test_a_currency_stays_once_money_was_booked(billing: Billing) -> None:
    definitions = '[[client]]\nname = "Customer A"\ncurrency = "{}"\n'
    billing.apply(definitions.format("EUR"))
    assert billing.apply(definitions.format("USD")).code == 0
    billing("payment", "Customer A", "5")

    result = billing.apply(definitions.format("EUR"))

    assert result.code == 1
    assert ':3: client.currency: client "Customer A" has money booked in USD' in result.err


RESELLERS = """
[[reseller]]
name = "Top"
[[reseller]]
name = "Middle"
parent = "Top"
[[reseller]]
name = "Low"
parent = "Middle"
[[client]]
name = "Customer L"
currency = "EUR"
reseller = "Low"
[[client]]
name = "Customer T"
currency = "EUR"
reseller = "Top"
"""


def test_a_reseller_cannot_stand_below_itself(billing: Billing) -> None:
    billing.apply(RESELLERS)

    result = billing.apply('[[reseller]]\nname = "Top"\nparent = "Low"\n')

    assert result.code == 1
    assert ":3: reseller.parent: is a reseller below itself: Top -> Low -> Middle -> Top" in result.err


def test_clients_below_a_reseller_that_moves_are_marked(billing: Billing) -> None:
    billing.apply(RESELLERS + '[[reseller]]\nname = "Other"\n')

    billing.apply('[[reseller]]\nname = "Middle"\nparent = "Other"\n')

    rows = billing.sql("SELECT name, changed_in FROM client ORDER BY name")
    assert [tuple(row) for row in rows] == [("Customer L", 2), ("Customer T", 1)]


RATES = """
[[rate_table]]
name = "Retail"
currency = "EUR"
rates = "x.csv"
"""


def test_rates_are_imported_only_when_their_file_changed(billing: Billing) -> None:
    billing.file("x.csv", "code,price_per_minute\n44,0.02\n")
    first = billing.apply(RATES, "--json").document
    billing.sql("UPDATE rate SET price_per_minute = 9")
    same = billing.apply(RATES, "--json").document
    billing.file("x.csv", "code,price_per_minute\n44,0.03\n")
    changed = billing.apply(RATES, "--json").document

    assert [item["new"] for item in first["rates"]] == [1]
    assert same["rates"] == []
    assert [item["changed"] for item in changed["rates"]] == [1]
    assert billing.sql("SELECT changed_in FROM rate_table") == [(2,)]


def test_one_file_can_fill_two_rate_tables(billing: Billing) -> None:
    billing.file("x.csv", "code,price_per_minute\n44,0.02\n")
    billing.apply(RATES)
    billing.apply(RATES.replace("Retail", "Wholesale"))

    assert billing.sql("SELECT count(*) FROM rate") == [(2,)]


def test_a_faulty_rates_file_spoils_the_whole(billing: Billing) -> None:
    path = billing.file("x.csv", "code,price_per_minute\n44,cheap\n")

    result = billing.apply(RATES + ONE_CLIENT.replace("Retail", "Other"))

    assert result.code == 1
    assert f"{path}:2: price_per_minute" in result.err
    assert billing.sql("SELECT count(*) FROM rate_table") == [(0,)]


def test_files_that_did_not_change_are_left_when_asked_so(billing: Billing) -> None:
    billing.file("x.csv", "code,price_per_minute\n44,0.02\n")
    path = Path(billing.file("billing.toml", RATES + ONE_CLIENT.replace("Retail", "Other")))

    def apply() -> int:
        diff = apply_files(billing.url, [path], "daemon", "apply_on_start", only_if_changed=True)
        return len(diff.changes) + len(diff.rates)

    first = apply()
    billing.apply(CREDIT.format("99"), name="by-hand.toml")
    unchanged = apply()
    billing.file("x.csv", "code,price_per_minute\n44,0.05\n")
    rates_changed = apply()

    assert first > 10
    assert unchanged == 0
    assert rates_changed == 2, "credit is set back, and a rate changed"


def test_whoever_waits_is_told_each_step_and_which_part_of_it_is_done(billing: Billing) -> None:
    path = Path(
        billing.file("c.toml", "".join(f'[[client]]\nname = "{n}"\ncurrency = "EUR"\n' for n in range(1500)))
    )
    told: list[tuple[str, float | None]] = []

    apply_files(billing.url, [path], "anna", "apply", progress=lambda *step: told.append(step))

    assert told == [
        ("reading c.toml", None),
        ("comparing 1,500 client definitions", 0),
        ("comparing 1,500 client definitions", 1000 / 1500),
        ("checking", None),
        ("writing", None),
        *(("writing 3,000 changes", number / 3) for number in range(3)),
    ]


def test_where_no_terminal_is_nothing_is_told_of_steps(billing: Billing) -> None:
    assert billing.apply(ONE_CLIENT).err == ""


def test_a_file_with_a_thousand_clients_is_applied_and_again(billing: Billing) -> None:
    clients = "".join(
        f'[[client]]\nname = "Client {n}"\ncurrency = "EUR"\ntags = ["a b", "c,\\"d"]\n'
        f'company = {{ name = "Tab\\\\ and \\"quote\\"" }}\n'
        f'[[client.account]]\nname = "u{n}"\npassword = "p\\\\{n}"\n'
        for n in range(1000)
    )

    assert billing.apply(clients).code == 0
    assert billing.apply(clients, "--json").document["changes"] == []
    shown = billing("clients", "show", "Client 7", "--json").document
    assert shown["tags"] == ["a b", 'c,"d']
    assert shown["company"]["name"] == 'Tab\\ and "quote"'
