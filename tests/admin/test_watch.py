"""`billing watch`: who does more than a watch allows is blocked, once, and told."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from billing_command import Billing
from calls import Password, report, request, start, stop
from traffic import define, handle

from billing_core.admin.blocks.watcher import alone
from billing_core.admin.output import CommandError
from billing_core.authorization import Denied
from billing_core.charging import Outcome
from billing_core.denial import Denial
from billing_core.report import Kind
from billing_core.storage.schema import engine

ALICE = "Alice Telecom"

OTHERS = """
[[client]]
name = "Bob"
currency = "USD"
credit = 100
rate_table = "Sold"
tags = ["retail"]
[[client.account]]
name = "bob"
password = "secret"
[[client]]
name = "Alice Telecom"
company.noc_email = "noc@alice.example"
company.notify_about_blocks = true
"""


@pytest.fixture
def watched(billing: Billing) -> Billing:
    define(billing)
    billing.apply(OTHERS, name="others.toml")
    return billing


def define_watch(billing: Billing, *lines: str, name: str = "fraud") -> None:
    result = billing.apply("\n".join(["[[watch]]", f'name = "{name}"', *lines]), name="watch.toml")
    assert result.code == 0, result.err


def look(billing: Billing) -> list[dict[str, Any]]:
    result = billing("watch", "--once", "--json")
    assert result.code == 0, result.err
    found: list[dict[str, Any]] = result.document
    return found


def refuse(billing: Billing, *calls: str, name: str = "alice", minutes_ago: float = 0) -> None:
    """Let calls be refused: there is no rate for their number."""
    asked = [request(call, name=name, called="99") for call in calls]
    outcomes = handle(billing, *asked, now=ago(minutes_ago))
    assert [denial(outcome) for outcome in outcomes] == [Denial.NO_RATE] * len(calls)


def denial(outcome: Outcome) -> Denial | None:
    return outcome.reason if isinstance(outcome, Denied) else None


def call(billing: Billing, name: str, seconds: int, who: str = "alice", minutes_ago: float = 0) -> None:
    now = ago(minutes_ago)
    handle(billing, request(name, name=who), start(name, name=who), now=now - timedelta(seconds=seconds))
    handle(billing, stop(seconds, name, name=who), now=now)


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def is_blocked(billing: Billing, name: str = "alice") -> bool:
    [outcome] = handle(billing, request("another", name=name), now=ago(0))
    return denial(outcome) is Denial.BLOCKED


# --- what is counted --------------------------------------------------------------------------------


def test_failed_calls_block_the_account_at_its_next_call(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 2", "minutes = 30", "block_minutes = 20")
    refuse(watched, "a", "b")
    assert look(watched) == []
    call(watched, "not answered", 0)

    [block] = look(watched)
    assert (block["kind"], block["value"], block["who"]) == ("account", "alice", "watch")
    assert block["reason"] == '3 failed calls within 30 minutes, watch "fraud" allows 2'
    lasts = datetime.fromisoformat(block["expires_at"]) - datetime.fromisoformat(block["created_at"])
    assert lasts == timedelta(minutes=20)
    assert is_blocked(watched)
    assert not is_blocked(watched, "bob")


def test_a_call_that_is_asked_for_again_and_ends_in_a_record_is_one_failed_call(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 1")
    for _ in range(3):
        refuse(watched, "a")
    handle(watched, stop(0, "a", called="99"), now=ago(0))

    assert look(watched) == []


def test_what_is_refused_for_a_block_is_no_failed_call(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 1")
    watched("block", "add", "number", "442071234567")
    for name in ("a", "b", "c"):
        [outcome] = handle(watched, request(name), now=ago(0))
        assert denial(outcome) is Denial.BLOCKED
        handle(watched, stop(0, name), now=ago(0))

    assert watched.sql("SELECT count(*) FROM xdr WHERE duration_seconds = 0 AND client_id = 1") == [(3,)]
    assert look(watched) == []


def test_who_knows_a_name_only_does_its_owner_no_harm(watched: Billing) -> None:
    """Neither a wrong password counts, nor what the switch records of the call that it refused."""
    define_watch(watched, "failed_calls_max = 1")
    for name in ("a", "b", "c"):
        [outcome] = handle(watched, request(name, credential=Password("guess")), now=ago(0))
        assert denial(outcome) is Denial.BAD_PASSWORD
        handle(watched, report(Kind.FAILED, name), now=ago(0))

    assert watched.sql("SELECT count(*) FROM xdr WHERE duration_seconds = 0 AND client_id = 1") == [(3,)]
    assert watched.sql("SELECT DISTINCT client_id, reason FROM decision") == [(1, "bad_password")]
    assert look(watched) == []
    assert not is_blocked(watched)


def test_a_call_that_was_let_start_counts_though_somebody_guessed_a_password_for_it(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 1")
    for name in ("a", "b"):
        handle(watched, request(name, credential=Password("guess")), now=ago(0))
        call(watched, name, 0)

    assert len(look(watched)) == 1


def test_only_what_is_within_the_minutes_counts(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 1", "minutes = 10")
    refuse(watched, "old", minutes_ago=10.1)
    refuse(watched, "new", minutes_ago=9.9)

    assert look(watched) == []
    refuse(watched, "newer", minutes_ago=9.8)
    assert len(look(watched)) == 1


def test_short_calls_of_one_call_id_are_counted_each(watched: Billing) -> None:
    define_watch(watched, "short_calls_max = 1", "short_seconds = 5")
    for tags in (("a", "b"), ("x", "y")):
        handle(watched, request("one", tags=tags), start("one", tags=tags), now=ago(0.1))
        handle(watched, stop(3, "one", tags=tags), now=ago(0))

    assert len(look(watched)) == 1


def test_short_calls_are_answered_ones(watched: Billing) -> None:
    define_watch(watched, "short_calls_max = 1", "short_seconds = 5")
    for name, seconds in (("none", 0), ("short", 5), ("long", 6)):
        call(watched, name, seconds)
    assert look(watched) == []
    call(watched, "very short", 1)

    [block] = look(watched)
    assert block["reason"] == '2 answered calls of at most 5 s within 60 minutes, watch "fraud" allows 1'


def test_a_short_call_that_turns_out_to_be_long_is_none(watched: Billing) -> None:
    define_watch(watched, "short_calls_max = 0", "short_seconds = 5")
    call(watched, "a", 5)
    handle(watched, stop(60, "a"), now=ago(0))

    assert look(watched) == []


def test_spent_money_is_that_of_ended_calls_in_all_accounts_of_a_client(watched: Billing) -> None:
    """A call costs a cent a second."""
    define_watch(watched, 'per = "client"', 'spend_max = "1.20"')
    call(watched, "a", 60)
    call(watched, "b", 60)
    call(watched, "bob's", 60, who="bob")
    watched("charge", ALICE, "50", "--reason", "no call")
    assert look(watched) == []
    call(watched, "c", 1)

    [block] = look(watched)
    assert (block["kind"], block["value"], block["client"]) == ("client", ALICE, ALICE)
    assert block["reason"] == '1.210000 USD spent within 60 minutes, watch "fraud" allows 1.20'
    assert is_blocked(watched)


def test_a_watch_looks_at_those_whom_it_names(watched: Billing) -> None:
    refuse(watched, "a")
    refuse(watched, "b", name="bob")

    for lines, blocked in (
        ("tags = []", {"alice", "bob"}),
        ('clients = ["Bob"]', {"bob"}),
        ('tags = ["retail"]', {"bob"}),
        (f'clients = ["{ALICE}"]\ntags = ["retail"]', {"alice", "bob"}),
        ("enabled = false", set()),
    ):
        watched.sql("DELETE FROM block")
        define_watch(watched, "failed_calls_max = 0", lines)
        assert {block["value"] for block in look(watched)} == blocked


# --- once, and not again ----------------------------------------------------------------------------


def test_nobody_is_blocked_twice(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 0")
    define_watch(watched, "failed_calls_max = 0", "minutes = 5", name="another")
    define_watch(watched, 'per = "client"', "failed_calls_max = 0", name="of clients")
    refuse(watched, "a")

    assert [block["kind"] for block in look(watched)] == ["account", "client"]
    assert look(watched) == []
    assert look(watched) == []


def test_a_lifted_block_does_not_come_back_for_old_calls(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 1")
    refuse(watched, "a", "b")
    [block] = look(watched)
    watched("block", "remove", str(block["id"]))

    assert look(watched) == []
    refuse(watched, "c")
    assert look(watched) == []
    refuse(watched, "d")
    assert [again["reason"].partition(" ")[0] for again in look(watched)] == ["2"]


def test_nor_does_one_that_expired_or_that_was_of_the_whole_client(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 0", "block_minutes = 1")
    refuse(watched, "a", minutes_ago=5)
    look(watched)
    watched.sql("UPDATE block SET expires_at = now() - interval '1 second'")
    assert look(watched) == []

    watched.sql("DELETE FROM block")
    watched("block", "add", "client", ALICE)
    assert look(watched) == []
    watched("block", "remove", "client", ALICE)
    assert look(watched) == []


def test_accounts_whose_names_others_have_too_are_not_blocked_but_their_client_once(
    watched: Billing,
) -> None:
    account = '[[client.account]]\nname = "%s"\npassword = "secret"\n'
    both = account % "alice" + "%s" + account % "second" + "%s"
    watched.apply(f'[[client]]\nname = "{ALICE}"\n' + both % ("", ""), name="alice.toml")
    prefix = 'tech_prefix = "77"\n'
    carol = '[[client]]\nname = "Carol"\ncurrency = "USD"\n' + both % (prefix, prefix)
    assert watched.apply(carol, name="carol.toml").code == 0
    define_watch(watched, "failed_calls_max = 0")
    refuse(watched, "a")
    refuse(watched, "b", name="second")

    [block] = look(watched)
    assert (block["kind"], block["value"]) == ("client", ALICE)
    assert block["reason"].endswith("allows 0 per account; this was alice")


# --- who is told ------------------------------------------------------------------------------------


def test_the_noc_of_a_client_who_wants_it_is_told_and_so_is_the_log(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 0", "block_minutes = 60")
    refuse(watched, "a")
    refuse(watched, "b", name="bob")
    blocked = {block["value"]: block for block in look(watched)}

    assert blocked.keys() == {"alice", "bob"}
    [mail] = watched.sql("SELECT kind, channel, client_id, state, facts FROM mail")
    assert tuple(mail)[:4] == ("blocked", "email", 1, "waiting")
    assert mail.facts == {
        "client": ALICE,
        "blocked": "account",
        "value": "alice",
        "watch": "fraud",
        "reason": '1 failed call within 60 minutes, watch "fraud" allows 0',
        "expires_at": blocked["alice"]["expires_at"],
    }
    assert watched.sql("SELECT kind, client_id FROM event ORDER BY id") == [("blocked", 1), ("blocked", 3)]
    told = watched("events", "--kind", "blocked", "--json").document
    assert [(event["client"], event["facts"]["who"]) for event in told] == [
        (ALICE, "watch"),
        ("Bob", "watch"),
    ]
    assert told[0]["facts"]["reason"] == mail.facts["reason"]
    audited = watched.sql("SELECT DISTINCT who, through FROM audit WHERE object_kind = 'block'")
    assert [tuple(row) for row in audited] == [("watch", "watch fraud")]


# --- running on -------------------------------------------------------------------------------------


def test_only_one_watches_a_database_until_term_ends_it(watched: Billing) -> None:
    define_watch(watched, "failed_calls_max = 0")
    refuse(watched, "a")
    command = [sys.executable, "-m", "billing_core.admin.cli", "--config", str(watched.directory), "watch"]
    watcher = subprocess.Popen(
        [*command, "--interval", "600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watcher.stdout is not None
    lines = [watcher.stdout.readline() for _ in range(2)]
    second = watched("watch", "--once", "--json")
    watcher.send_signal(signal.SIGTERM)
    rest = watcher.communicate(timeout=20)

    assert lines[0] == "watching, a look every 600 s; end it with TERM or INT\n"
    assert "account alice is blocked until removed: 1 failed call within 60 minutes" in lines[1]
    assert (watcher.returncode, *rest) == (0, "", "")
    assert (second.code, second.out) == (1, "")
    assert second.err == "another `billing watch` watches this database; one is enough\n"
    assert watched("watch", "--once").out == "0 blocked\n"


def test_who_has_stopped_watching_lets_the_next_one_watch(billing: Billing) -> None:
    other = engine(billing.url)
    with alone(billing.engine), pytest.raises(CommandError), alone(other):
        pass

    with alone(other):
        other.dispose()


def test_no_time_between_two_looks_is_refused(billing: Billing) -> None:
    result = billing("watch", "--interval", "0")

    assert (result.code, result.err) == (1, "--interval 0 leaves no time between two looks; the least is 1\n")
