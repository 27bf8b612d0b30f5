"""`billing clients delete` and `undelete`: everything is switched off and stays, and comes back as it was."""

import pytest
from billing_command import Billing

from billing_core.admin import prompts
from billing_core.admin.output import Output

DEFINED = """
[[client]]
name = "A"
currency = "EUR"
status = "stop"
panel = {enabled = true}
[[client.account]]
name = "1001"
password = "secret"
[[client.account]]
ip = "192.0.2.1"
orig = false
term = true
[[client.account]]
ip = "192.0.2.2"
orig = false
"""
STATE = "SELECT status, panel_enabled, credit FROM client"
SWITCHES = "SELECT orig, term FROM account ORDER BY id"
ON = [(True, False), (False, True), (False, False)]


@pytest.fixture
def defined(billing: Billing) -> Billing:
    assert billing.apply(DEFINED).code == 0
    return billing


def test_a_deleted_client_is_switched_off_and_comes_back_as_he_was(defined: Billing) -> None:
    deleted = defined("clients", "delete", "A", "--yes")

    assert deleted.code == 0
    assert "account A/1001: orig true -> false\n" in deleted.out
    assert defined.sql(STATE) == [("deleted", False, 0)]
    assert defined.sql(SWITCHES) == [(False, False)] * 3
    defined("clients", "set", "A", "--credit", "5")

    assert defined("clients", "undelete", "A").code == 0
    assert defined.sql(STATE) == [("stop", True, 5)]
    assert defined.sql(SWITCHES) == ON


def test_nothing_is_deleted_unless_somebody_agrees(defined: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []

    def agreed(question: str, _output: Output) -> bool:
        questions.append(question)
        return len(questions) > 1

    nobody = defined("clients", "delete", "A")
    monkeypatch.setattr(prompts, "agreed", agreed)
    declined = defined("clients", "delete", "A")

    for result in (nobody, declined):
        assert (result.code, "account A/1001: orig true -> false\n" in result.out) == (1, True)
        assert "nothing was changed, for nobody agreed; agree with --yes" in result.err
    assert defined.sql(SWITCHES) == ON
    assert defined.version() == 1
    assert defined("clients", "delete", "A", "--dry-run").code == 0
    assert defined("clients", "delete", "A").code == 0
    assert questions[0].startswith('Delete client "A" (id 1)? Its calls are refused then')
    assert defined.sql(SWITCHES) == [(False, False)] * 3
    assert defined("clients", "delete", "A").code == 0, "deleted already"


def test_only_what_deleting_did_comes_back(defined: Billing) -> None:
    defined.apply('[[client]]\nname = "A"\nstatus = "deleted"\ncredit = "9"\n')

    defined("clients", "undelete", "A")

    assert defined.sql(STATE) == [("stop", True, 9)]


def test_an_account_that_came_meanwhile_stays_off_and_is_told(defined: Billing) -> None:
    defined("clients", "delete", "A", "--yes")
    accounts = DEFINED[DEFINED.index("[[client.account]]") :]
    defined.apply(f'[[client]]\nname = "A"\n{accounts}[[client.account]]\nani = "4420"\n')

    result = defined("clients", "undelete", "A")

    assert result.err == "account A/4420 came while he was deleted: it stays off\n"
    assert defined.sql(SWITCHES) == [*ON, (False, False)]


def test_what_nobody_knows_is_told(defined: Billing) -> None:
    defined("clients", "new", "B", "--currency", "EUR", "--status", "deleted")

    assert 'client "A" is not deleted: his status is stop\n' in defined("clients", "undelete", "A").err
    unknown = defined("clients", "undelete", "B")
    assert unknown.code == 1
    assert 'client "B": the audit does not tell what he was before' in unknown.err
    assert 'client "Z" is not known' in defined("clients", "delete", "Z", "--yes").err


def test_calls_under_way_are_told_and_go_on(defined: Billing) -> None:
    defined.sql("UPDATE balance SET in_use = 2, term_in_use = 1")

    dry = defined("clients", "delete", "A", "--dry-run", "--json").document
    result = defined("clients", "delete", "A", "--yes")

    assert (dry["dry_run"], dry["legs_up"]) == (True, 3)
    assert (result.code, "warning: 3 legs of it are up" in result.err) == (0, True)
