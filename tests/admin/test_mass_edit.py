"""`billing clients mass-edit`: one change of all who are selected, as it was shown, or none."""

from datetime import date
from typing import Any

import pytest
from billing_command import Billing

from billing_core.admin import prompts

DEFINED = """
[[template]]
name = "VIP"
credit = "50.00"
[[client]]
name = "A"
currency = "EUR"
tags = ["x"]
credit = "-5.00"
template = "VIP"
[[client]]
name = "B"
currency = "EUR"
tags = ["x"]
[[client]]
name = "C"
currency = "EUR"
status = "stop"
"""
LAST_INVOICED = "autoinvoicing.last_invoiced=2026-10-31"
UNDONE = "nothing was changed, for nobody agreed; agree with --yes, or only look with --dry-run\n"
KEPT = "SELECT name, last_invoiced, credit FROM client ORDER BY name"


@pytest.fixture
def defined(billing: Billing) -> Billing:
    assert billing.apply(DEFINED).code == 0
    return billing


def test_the_selected_are_changed_at_once_and_can_be_undone(defined: Billing) -> None:
    before = defined.sql(KEPT)

    flags = ("--set", LAST_INVOICED, "--set", "credit=7", "--yes")
    result = defined("clients", "mass-edit", "--tags", "x", *flags)

    assert result.out == (
        "2 clients are selected\n"
        "client A: credit -5.00 -> 7\nclient A: autoinvoicing.last_invoiced none -> 2026-10-31\n"
        "client B: credit 0 -> 7\nclient B: autoinvoicing.last_invoiced none -> 2026-10-31\n"
        "applied as catalogue version 2\n"
    )
    day = date(2026, 10, 31)
    assert defined.sql(KEPT) == [("A", day, 7), ("B", day, 7), ("C", None, 0)]
    [(through,)] = defined.sql("SELECT DISTINCT through FROM audit WHERE version = 2")
    assert through == f"clients mass-edit --set {LAST_INVOICED} --set credit=7"
    assert defined("undo", "2").code == 0
    assert defined.sql(KEPT) == before


def test_it_is_a_dry_run_where_nobody_agrees(defined: Billing) -> None:
    result = defined("clients", "mass-edit", "--name", "*", "--set", LAST_INVOICED)

    assert "client B: autoinvoicing.last_invoiced none -> 2026-10-31\n" in result.out
    assert result.out.endswith("dry run: nothing was applied\n")
    assert (result.code, result.err) == (1, UNDONE)
    assert defined.version() == 1


def test_names_select_whatever_their_status_and_fields_go_back_to_the_template(defined: Billing) -> None:
    result = defined("clients", "mass-edit", "--client", "A", "--client", "C", "--unset", "credit", "--yes")

    assert result.code == 0
    assert [(row.name, row.credit) for row in defined.sql(KEPT)] == [("A", 50), ("B", 0), ("C", 0)]


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr(prompts, "agreed", lambda question, output: answer())


def test_a_terminal_is_asked_after_the_difference_was_shown(
    defined: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, lambda: False)
    declined = defined("clients", "mass-edit", "--tags", "x", "--set", "credit=7")
    assert (declined.code, declined.err) == (1, UNDONE)
    answering(monkeypatch, lambda: True)

    result = defined("clients", "mass-edit", "--tags", "x", "--set", "credit=7")

    assert result.out.endswith("applied as catalogue version 2\n")
    assert [row.credit for row in defined.sql(KEPT)] == [7, 7, 0]


def test_what_was_changed_before_the_yes_is_told_and_nothing_else_happens(
    defined: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly() -> bool:
        assert defined("clients", "set", "C", "--tags", "x", "--status", "active").code == 0
        return True

    answering(monkeypatch, slowly)

    result = defined("clients", "mass-edit", "--tags", "x", "--set", "credit=7")

    assert result.code == 1
    assert (
        "the definitions were changed while you looked: they are at version 2, and what was shown is of"
        " version 1; nothing was changed, look again" in result.err
    )
    assert [row.credit for row in defined.sql(KEPT)] == [-5, 0, 0]


def test_what_cannot_be_is_told_by_client_and_flag_and_changes_nobody(defined: Billing) -> None:
    refused = {
        ("--tags", "x"): "nothing is named to be set",
        ("--set", "credit=7"): "nobody is selected",
        ("--tags", "x", "--set", "credit"): '--set "credit" has no value',
        ("--tags", "x", "--set", "credti=1"): '"credti" is not a field of clients; did you mean "credit"?',
        ("--tags", "x", "--set", "panel.password=longenough"): "panel.password is each client's own",
        ("--tags", "x", "--set", "credit=1e3"): 'client A: --credit: "1e3" is not an amount',
        (
            "--tags",
            "x",
            "--set",
            "rate_table=Retail",
        ): 'client B: --rate-table: there is no rate table "Retail"',
        ("--tags", "x", "--set", "panel.login=me"): 'login "me" is that of client "A" too',
        ("--client", "A", "--client", "Z", "--set", "credit=1"): 'client "Z" is not known',
        ("--client", "A", "--tags", "x", "--set", "credit=1"): "--client excludes a search",
    }

    for flags, said in refused.items():
        result = defined("clients", "mass-edit", *flags, "--yes")
        assert (result.code, said in result.err) == (1, True), (flags, result.err)
    assert defined.version() == 1
