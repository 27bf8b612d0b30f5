"""`billing clients new` and `set`: flags and answers in place of a file, by the same rules."""

import io
from decimal import Decimal
from typing import Any

import pytest
from billing_command import Billing

from billing_core.admin import prompts
from billing_core.admin.clients import client_edit_commands
from billing_core.admin.command_line.fields import setting_flags
from billing_core.admin.definitions.client_fields import FIELDS
from billing_core.admin.found import found_client

DEFINED = """
[[rate_table]]
name = "Retail"
currency = "EUR"
[[template]]
name = "VIP"
currency = "EUR"
capacity = 5
[[client]]
name = "A"
currency = "EUR"
credit = "10.00"
tags = ["x"]
"""


@pytest.fixture
def defined(billing: Billing) -> Billing:
    billing.apply(DEFINED)
    return billing


def kept(billing: Billing, name: str) -> dict[str, Any]:
    return dict(billing.sql("SELECT * FROM client WHERE name = :name", name=name)[0]._mapping)


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Have somebody sit at a terminal who types these lines."""
    monkeypatch.setattr(prompts, "can_ask", lambda output: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_every_field_has_a_flag_of_its_own() -> None:
    flags = [name for flag in setting_flags() for name in flag.names]

    assert len(flags) == len(set(flags)) == len(FIELDS)


def test_a_new_client_is_what_the_flags_say(defined: Billing) -> None:
    flags = ("--currency", "EUR", "--credit", "-5", "--postpaid", "true", "--capacity", "7", "--tags", "a, b")
    more = ("--company-noc-email", "noc@b.example", "--autoinvoicing-last-invoiced", "2026-10-31")

    result = defined("clients", "new", "B", *flags, *more, "--rate-table", "Retail")

    row = kept(defined, "B")
    assert result.code == 0
    assert (row["credit"], row["postpaid"], row["capacity"], row["tags"]) == (
        Decimal(-5),
        True,
        7,
        ["a", "b"],
    )
    assert row["company"] == {"noc_email": "noc@b.example"}
    assert defined.sql("SELECT live FROM balance WHERE client_id = :id", id=row["id"]) == [(0,)]
    assert defined.sql("SELECT DISTINCT through FROM audit WHERE object_name = 'B'") == [("clients new B",)]


def test_an_existing_client_is_not_made_new(defined: Billing) -> None:
    result = defined("clients", "new", "A", "--currency", "EUR")

    assert (result.code, result.err) == (
        1,
        'client "A" exists already; change him with: billing clients set\n',
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--credit", "1e3"), 'client A: --credit: "1e3" is not an amount'),
        (("--capacity", "many"), '--capacity: "many" is not a whole number'),
        (("--postpaid", "yes"), '--postpaid: "yes" is neither "true" nor "false"'),
        (
            ("--company-main-email", "пост@b.example"),
            'client A: --company-main-email: "пост@b.example" is not',
        ),
        (("--rate-table", "Retial"), 'client A: --rate-table: there is no rate table "Retial"; did you mean'),
        (("--low-balance-threshold", "5"), "client A: --low-balance: client"),
        (("--unset", "credti"), 'client A: --unset: "credti" is not a field'),
        (
            ("--unset", "concurrency.policy"),
            'client A: --unset: "concurrency.policy" is set and unset with all of "concurrency"',
        ),
        (
            ("--autoinvoicing-last-invoiced", "2026-02-30"),
            '--autoinvoicing-last-invoiced: "2026-02-30" is not a',
        ),
        (("--tags", "a,,b"), 'client A: --tags: "" must be 1 to 255 characters'),
        (("--currency", ""), "client A: --currency: missing"),
        ((), "nothing is named to be set"),
    ],
)
def test_what_cannot_be_is_told_by_client_and_flag_and_changes_nothing(
    defined: Billing, flags: tuple[str, ...], said: str
) -> None:
    before = kept(defined, "A")

    result = (
        defined("clients", "set", "A", "--locale", "en", *flags) if flags else defined("clients", "set", "A")
    )

    assert result.code == 1
    assert said in result.err
    assert kept(defined, "A") == before


def test_fields_are_set_emptied_and_given_back(defined: Billing) -> None:
    defined("clients", "set", "A", "--template", "VIP", "--capacity", "", "--credit", "20")
    assert (kept(defined, "A")["capacity"], kept(defined, "A")["credit"]) == (None, Decimal(20))

    result = defined("clients", "set", "A", "--unset", "capacity", "--unset", "credit")

    assert (kept(defined, "A")["capacity"], kept(defined, "A")["credit"]) == (5, 0)
    assert "client A: capacity none -> 5" in result.out


def test_a_dry_run_shows_and_changes_nothing(defined: Billing) -> None:
    result = defined("clients", "set", "A", "--credit", "20", "--dry-run")

    assert result.out == "client A: credit 10.00 -> 20\ndry run: nothing was applied\n"
    assert kept(defined, "A")["credit"] == Decimal(10)


def test_the_document_is_the_difference(defined: Billing) -> None:
    document = defined("clients", "set", "A", "--credit", "20", "--json").document

    [change] = document["changes"]
    assert (change["field"], change["before"], change["after"]) == ("credit", "10.00", "20")
    assert document["dry_run"] is False


def test_an_unknown_client_is_told_with_the_one_that_was_meant(defined: Billing) -> None:
    defined("clients", "new", "Customer", "--currency", "EUR")

    assert (
        'client "Custmer" is not known; did you mean "Customer"?'
        in defined("clients", "set", "Custmer", "--credit", "1").err
    )


def test_who_waited_while_another_changed_the_client_is_told_and_changes_nothing(
    defined: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is looked at before the lock, and another admin comes between."""

    def seen_by_the_slower_one(connection: Any, name: str) -> Any:
        row = found_client(connection, name)
        monkeypatch.setattr(client_edit_commands, "found_client", found_client)
        assert defined("clients", "set", "A", "--credit", "30").code == 0
        return row

    monkeypatch.setattr(client_edit_commands, "found_client", seen_by_the_slower_one)

    result = defined("clients", "set", "A", "--credit", "40")

    assert result.code == 1
    assert 'client "A" was changed after version 1: credit 10.00 -> 30 by' in result.err
    assert kept(defined, "A")["credit"] == Decimal(30)


def test_the_version_that_was_looked_at_can_be_named(defined: Billing) -> None:
    defined("clients", "set", "A", "--credit", "30")

    assert (
        "was changed after version 1"
        in defined("clients", "set", "A", "--credit", "4", "--if-version", "1").err
    )
    assert defined("clients", "set", "A", "--credit", "4", "--if-version", "2").code == 0


def test_a_version_that_is_still_to_come_guards_nothing_and_is_refused(defined: Billing) -> None:
    result = defined("clients", "set", "A", "--credit", "4", "--if-version", "99")

    assert (result.code, result.err) == (
        1,
        "client A: --if-version: there is no version 99 yet; the newest is 1\n",
    )


def test_a_deleted_client_is_not_set_active_without_his_accounts(defined: Billing) -> None:
    defined("clients", "delete", "A", "--yes")

    result = defined("clients", "set", "A", "--status", "active")

    assert "give him back as he was with: billing clients undelete" in result.err
    assert kept(defined, "A")["status"] == "deleted"


def test_a_password_is_read_from_standard_input_and_not_kept_anywhere(
    defined: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("panel-secret\n"))

    result = defined("clients", "set", "A", "--panel-login", "a", "--panel-password", "-")

    assert "panel.password none -> ***" in result.out
    assert kept(defined, "A")["panel_password"].startswith("$argon2id$")


def test_a_terminal_is_asked_for_what_no_flag_says_and_again_when_it_cannot_be(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    billing.apply(DEFINED)
    typed(monkeypatch, "B", "", "euro", "EUR", "", "", "Retail", "", "12.50", "", "billing@b.example")

    result = billing("clients", "new", "--locale", "en")

    row = kept(billing, "B")
    assert (row["currency"], row["credit"], row["locale"]) == ("EUR", Decimal("12.50"), "en")
    assert row["company"] == {"billing_email": "billing@b.example"}
    assert '--currency: "euro" is not a currency' in result.err


def test_a_terminal_that_closes_changes_nothing(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "B", "")

    result = billing("clients", "new")

    assert result.code == 1
    assert "nothing was changed" in result.err
    assert billing.sql("SELECT * FROM client") == []


def test_a_program_is_asked_nothing(billing: Billing) -> None:
    result = billing("clients", "new")

    assert (result.code, result.err) == (1, "NAME is missing; a new client needs one\n")


def test_a_renamed_client_stays_who_he_is_and_his_blocks_follow(defined: Billing) -> None:
    defined("block", "add", "client", "A")
    [before] = defined.sql("SELECT id, changed_in FROM client")

    result = defined("clients", "set", "A", "--name", "Aaa", "--credit", "20")

    assert result.out == (
        "client A: name A -> Aaa\nclient Aaa: credit 10.00 -> 20\napplied as catalogue version 3\n"
    )
    [after] = defined.sql("SELECT id, name, credit, changed_in FROM client")
    assert tuple(after) == (before.id, "Aaa", 20, 3)
    assert defined.sql("SELECT value FROM block") == [("Aaa",)]
    assert defined.sql("SELECT object_name, client_id FROM audit WHERE field = 'name'") == [("A", before.id)]


def test_a_name_alone_can_change_and_be_changed_back(defined: Billing) -> None:
    defined("clients", "set", "A", "--name", "B")
    assert defined.sql("SELECT name, changed_in FROM client") == [("B", 2)]

    assert defined("undo", "2").code == 0

    assert defined.sql("SELECT name, changed_in FROM client") == [("A", 3)]


def test_a_name_that_another_has_is_refused_and_changes_nothing(defined: Billing) -> None:
    defined("clients", "new", "B", "--currency", "EUR")

    result = defined("clients", "set", "A", "--name", "B", "--credit", "1")

    assert result.err == 'client A: --name: "B" is the name of another client\n'
    assert 'client  x: --name: " x" must be' in defined("clients", "set", "A", "--name", " x").err
    assert [row.name for row in defined.sql("SELECT name FROM client ORDER BY id")] == ["A", "B"]
