"""`billing xdrs charge` and `waive`: time that cannot be true is decided by somebody, once and on record."""

from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from billing_command import Billing, Result
from calls import NOON, at, request, start, stop
from traffic import define, handle

from billing_core.admin import prompts
from billing_core.admin.command_line.calls import REASONS
from billing_core.call_event import CallEventKind
from billing_core.storage.connection import connect
from billing_core.storage.gauges import read_gauges
from billing_core.storage.postgres import PostgresTurn
from billing_core.xdr import Unbillable

ALICE = "Alice Telecom"
TOLD, WHEN = 4000, 30  # Seconds that the Stop tells, and after which it comes.


@pytest.fixture
def busy(billing: Billing) -> Billing:
    """Give books with a call that would have lasted longer than can be true, and an honest one."""
    define(billing)
    billing("payment", ALICE, "1000")
    handle(billing, request("odd"), start("odd"))
    handle(billing, stop(TOLD, "odd"), now=at(WHEN))
    handle(billing, request("fine"), start("fine"), now=at(40))
    handle(billing, stop(10, "fine"), now=at(50))
    return billing


def listed(billing: Billing, *options: str) -> list[Any]:
    found: list[Any] = billing("xdrs", *options, "--json").document
    return found


def id_of(billing: Billing, call: str = "odd") -> str:
    return str(listed(billing, "--call", call)[0]["id"])


def balance(billing: Billing) -> Any:
    return billing("clients", "show", ALICE, "--json").document["balance"]


def money(billing: Billing) -> tuple[Decimal, Decimal, Decimal]:
    found = balance(billing)
    return Decimal(found["live"]), Decimal(found["reserved"]), Decimal(found["held"])


def assert_sound(billing: Billing) -> None:
    result = billing("verify")
    assert (result.code, result.err) == (0, "")


def state_of(billing: Billing) -> list[Any]:
    return [
        billing.sql("SELECT * FROM entry ORDER BY id"),
        billing.sql("SELECT * FROM xdr ORDER BY leg_key, generation, revision"),
        billing.sql("SELECT * FROM balance ORDER BY client_id"),
        billing.sql("SELECT * FROM session ORDER BY leg_key, generation"),
        billing.sql("SELECT count(*) FROM audit WHERE object_kind = 'xdr'"),
    ]


def refused(billing: Billing, *command: str) -> str:
    before = state_of(billing)
    result = billing("xdrs", *command)
    assert (result.code, result.out) == (1, "")
    assert state_of(billing) == before
    return result.err


# --- one record ---------------------------------------------------------------------------------------


def test_an_impossible_call_keeps_its_money_until_somebody_decides(busy: Billing) -> None:
    [record] = listed(busy, "--reason", "overrun")

    assert (record["call_id"], record["duration_seconds"], record["state"]) == ("odd", TOLD, "unbillable")
    assert money(busy) == (Decimal("999.9"), Decimal(72), Decimal(72))
    assert_sound(busy)
    assert "waits for a decision: `billing xdrs charge" in busy("explain", "odd").out


def test_a_record_is_charged_as_it_told(busy: Billing) -> None:
    id = id_of(busy)
    result = busy("xdrs", "charge", id)

    assert (result.code, result.err) == (0, "")
    assert "1 records charged" in result.out
    assert "live balances in USD change by -40.00" in result.out
    assert "72.00" in result.out
    [record] = listed(busy, "--call", "odd")
    assert (record["id"], record["state"], record["reason"], record["revision"]) == (id, "rated", None, 2)
    assert (record["duration_seconds"], Decimal(record["amount"])) == (TOLD, Decimal(40))
    assert money(busy) == (Decimal("959.9"), Decimal(0), Decimal(0))
    assert busy.sql("SELECT kind, amount, revision FROM entry WHERE revision = 2") == [
        ("charge", Decimal(-40), 2)
    ]
    assert_sound(busy)


def test_a_record_is_charged_for_the_seconds_that_are_named(busy: Billing) -> None:
    assert busy("xdrs", "charge", id_of(busy), "--seconds", "25").code == 0

    assert money(busy) == (Decimal("999.65"), Decimal(0), Decimal(0))
    assert_sound(busy)


def test_a_record_is_waived(busy: Billing) -> None:
    assert "1 records waived" in busy("xdrs", "waive", id_of(busy)).out

    [record] = listed(busy, "--call", "odd")
    assert (record["state"], record["reason"], Decimal(record["amount"])) == ("recorded", None, 0)
    assert money(busy) == (Decimal("999.9"), Decimal(0), Decimal(0))
    assert listed(busy, "--unbillable") == []
    assert_sound(busy)
    assert "decided: waived" in busy("explain", "odd").out


def test_somebody_may_decide_anew_and_the_difference_is_a_correction(busy: Billing) -> None:
    id = id_of(busy)
    busy("xdrs", "charge", id)

    result = busy("xdrs", "charge", id, "--seconds", "30", "--json")

    assert Decimal(result.document["totals"]["USD"]) == Decimal("39.7")
    assert busy.sql("SELECT kind, amount FROM entry WHERE revision = 3") == [("correction", Decimal("39.7"))]
    assert_sound(busy)
    before = state_of(busy)
    assert "1 records were decided so before" in busy("xdrs", "charge", id, "--seconds", "30").out
    assert state_of(busy) == before


def test_each_decision_is_on_record(busy: Billing) -> None:
    id = id_of(busy)
    busy("xdrs", "charge", id, "--seconds", "60")
    busy("xdrs", "waive", id[:20])

    rows = busy("audit", "--object", "xdr", id, "--json").document

    assert [(row["field"], row["before"], row["after"], row["through"]) for row in rows] == [
        ("decided", "overrun", "charged 60 s, 0.600000 USD", f"xdrs charge {id} --seconds 60"),
        ("decided", "charged 60 s, 0.600000 USD", "waived", f"xdrs waive {id[:20]}"),
    ]
    assert all(row["who"] for row in rows)
    assert len(busy("audit", "--client", ALICE, "--field", "decided", "--json").document) == 2
    assert "xdr" not in busy("events", "--kind", "configuration").out


def test_nothing_is_decided_when_the_turn_is_not_committed(
    busy: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, before = id_of(busy), state_of(busy)

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PostgresTurn, "record", fails)
        busy("xdrs", "waive", id)

    assert state_of(busy) == before


def test_a_dry_run_of_one_record_decides_nothing(busy: Billing) -> None:
    id, before = id_of(busy), state_of(busy)

    result = busy("xdrs", "charge", id, "--dry-run")

    assert "1 records would be charged" in result.out
    assert "dry run: nothing was decided" in result.out
    assert state_of(busy) == before


# --- what comes later ---------------------------------------------------------------------------------


def events(billing: Billing, *requests: Any, seconds: float) -> list[str]:
    told: list[str] = []
    record = PostgresTurn.record

    def recorded(turn: PostgresTurn, changes: Any) -> None:
        told.extend(event.kind for event in changes.events)
        record(turn, changes)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PostgresTurn, "record", recorded)
        handle(billing, *requests, now=at(seconds))
    return told


@pytest.mark.parametrize("decision", [("waive",), ("charge", "--seconds", "25")])
def test_the_same_stop_again_changes_nothing(busy: Billing, decision: tuple[str, ...]) -> None:
    busy("xdrs", decision[0], id_of(busy), *decision[1:])
    before = state_of(busy)

    assert events(busy, stop(TOLD, "odd"), seconds=90_000) == []

    assert state_of(busy) == before


def test_a_stop_that_can_be_true_counts_while_nothing_is_decided(busy: Billing) -> None:
    handle(busy, stop(28, "odd"), now=at(35))

    assert money(busy) == (Decimal("999.62"), Decimal(0), Decimal(0))
    assert_sound(busy)


def test_a_decision_stands_when_a_stop_tells_something_else_and_an_event_tells(busy: Billing) -> None:
    id = id_of(busy)
    busy("xdrs", "charge", id, "--seconds", "25")
    before = money(busy)

    told = events(busy, stop(28, "odd"), seconds=35)

    assert told == [CallEventKind.AFTER_DECISION]
    assert money(busy) == before
    assert_sound(busy)
    busy("xdrs", "charge", id)  # As its records tell by now.
    assert money(busy)[0] == Decimal("999.62")
    assert_sound(busy)


def test_rating_again_changes_the_price_of_a_decision_and_not_its_time(busy: Billing) -> None:
    busy("xdrs", "charge", id_of(busy), "--seconds", "60")
    busy.file("sold.csv", "code,destination,price_per_minute,effective_from\n44,UK,1.20,2026-01-01\n")
    assert busy("apply", str(busy.directory / "billing.toml")).code == 0

    busy("rerate", "--yes")

    [record] = listed(busy, "--call", "odd")
    assert (record["duration_seconds"], Decimal(record["amount"])) == (60, Decimal("1.2"))
    assert_sound(busy)


# --- what is refused, with the cure ---------------------------------------------------------------------


def test_ids_are_shown_short_and_any_beginning_that_is_unique_will_do(busy: Billing) -> None:
    id = id_of(busy)
    key, generation = id.split("-")

    assert f"{key[:12]}-{generation}" in busy("xdrs").out
    assert id not in busy("xdrs").out
    assert "leg " + id in busy("explain", id).out
    assert "leg " + id in busy("explain", f"{key[:10]}-{generation}").out
    assert busy("xdrs", "waive", f"{key[:10]}-{generation}").code == 0


def test_an_unknown_id_and_a_beginning_of_several_are_refused(busy: Billing) -> None:
    handle(
        busy, request("odd", session_id="x"), start("odd", session_id="x", event_at=at(7000)), now=at(7000)
    )
    key = id_of(busy).split("-")[0]

    assert "is not known; `billing xdrs --unbillable` shows the ids" in refused(busy, "waive", "nonsense")
    assert f'record "{key}" may be {key}-0, {key}-1; write more of it' in refused(busy, "waive", key)
    assert f"may be {key}-0, {key}-1" in busy("explain", key[:30]).err


def test_what_is_settled_under_way_never_heard_of_or_the_other_side_is_refused(busy: Billing) -> None:
    handle(busy, request("up", session_id="s"), start("up", session_id="s", call_type="VoIP"))
    handle(busy, stop(5, "up", session_id="t", call_type="Telephony"), now=at(5))
    ids = {
        (row.call_id, row.leg): f"{row.key}-{row.generation}"
        for row in busy.sql("SELECT call_id, leg, encode(leg_key, 'hex') AS key, generation FROM session")
    }
    busy.sql("UPDATE session SET state = 2, closed_at = now() WHERE call_id = 'never'")

    assert "it is settled already, at 0.100000 USD" in refused(busy, "waive", ids["fine", "origination"])
    assert "is still under way: wait for its end" in refused(busy, "waive", ids["up", "origination"])
    assert "the other side of a conversation" in refused(busy, "charge", ids["up", "further"])


def test_what_has_no_price_or_no_time_is_refused_with_the_cure(busy: Billing) -> None:
    handle(busy, stop(30, "stranger", name="nobody", calling="5"), now=at(60))
    handle(busy, stop(30, "nowhere", called="99912345678"), now=at(60))
    handle(busy, request("timeless"))
    handle(busy, stop(None, "timeless"), now=at(60))

    assert "nobody was found for it, so it has no price" in refused(busy, "charge", id_of(busy, "stranger"))
    assert "no rate fits its number" in refused(busy, "charge", id_of(busy, "nowhere"))
    assert "say with --seconds how long" in refused(busy, "charge", id_of(busy, "timeless"))
    assert busy("xdrs", "charge", id_of(busy, "timeless"), "--seconds", "60").code == 0
    assert busy("xdrs", "waive", id_of(busy, "stranger")).code == 0
    assert busy("xdrs", "waive", id_of(busy, "nowhere")).code == 0
    assert listed(busy, "--unbillable", "--nas", "gw") == listed(busy, "--reason", "overrun")
    assert_sound(busy)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("charge",), "no record is named; write its ID, or select some"),
        (("waive", "--reason", "overrun", "--nas", "gw"), "--since is missing"),
        (("waive", "ab", "--nas", "gw"), "--nas selects records, and ID names one"),
        (("charge", "ab", "--seconds", "0"), "costs nothing; say so with `billing xdrs waive`"),
        (
            ("charge", "--reason", "overrun", "--nas", "gw", "--since", "2026-01-01", "--seconds", "5"),
            "--seconds is for one record",
        ),
    ],
)
def test_what_is_not_clear_is_refused(busy: Billing, command: tuple[str, ...], words: str) -> None:
    assert words in refused(busy, *command)


def test_negative_seconds_are_no_number_of_seconds(busy: Billing) -> None:
    with pytest.raises(SystemExit) as ended:
        busy("xdrs", "charge", "ab", "--seconds", "-5")
    assert ended.value.code == 2


def test_an_implausible_duration_is_charged_if_somebody_says_so(busy: Billing) -> None:
    handle(busy, stop(90_000, "long"), now=at(60))
    id = id_of(busy, "long")
    assert listed(busy, "--call", "long")[0]["reason"] == "implausible_duration"

    busy("xdrs", "charge", id)

    assert Decimal(listed(busy, "--call", "long")[0]["amount"]) == Decimal(900)
    assert_sound(busy)


def test_every_reason_can_be_selected() -> None:
    assert {*REASONS} == {*Unbillable}


# --- many at once ---------------------------------------------------------------------------------------

SELECTION = ("--reason", "overrun", "--nas", "gw", "--since", "2026-03-02")


@pytest.fixture
def many(busy: Billing) -> Billing:
    for name in ("odd 2", "odd 3"):
        handle(busy, request(name), start(name))
        handle(busy, stop(TOLD, name), now=at(WHEN))
    return busy


def bulk(billing: Billing, verb: str, *options: str) -> Result:
    return billing("xdrs", verb, *SELECTION, *options)


def test_many_are_shown_first_and_decided_with_yes(many: Billing) -> None:
    before = state_of(many)
    shown = bulk(many, "charge")

    assert "3 records would be charged" in shown.out
    assert "live balances in USD change by -120.00" in shown.out
    assert "dry run: nothing was decided" in shown.out
    assert (shown.code, "nothing was decided, for nobody agreed; charge them with --yes" in shown.err) == (
        1,
        True,
    )
    assert bulk(many, "charge", "--dry-run").code == 0
    assert state_of(many) == before

    done = bulk(many, "charge", "--yes", "--json").document
    assert (len(done["records"]), done["dry_run"], done["left"]) == (3, False, [])
    assert Decimal(done["totals"]["USD"]) == -120
    assert Decimal(done["released"]["USD"]) == 216
    assert money(many) == (Decimal("879.9"), Decimal(0), Decimal(0))
    assert many.sql("SELECT count(*) FROM audit WHERE object_kind = 'xdr'") == [(3,)]
    assert_sound(many)
    assert "0 records would be charged" in bulk(many, "charge").out


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def agreed(question: str, _output: object) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr(prompts, "agreed", agreed)
    return asked


def test_who_sits_at_a_terminal_is_asked(many: Billing, answers: list[str]) -> None:
    assert "3 records waived" in bulk(many, "waive").out
    assert answers == ["Waive them?"]
    assert listed(many, "--unbillable") == []

    bulk(many, "waive", "--dry-run")
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--client", ALICE), 3),
        (("--client", "Vendor"), 0),
        (("--until", "2026-03-02T12:00:30Z"), 0),
        (("--nas", "other"), 0),
        (("--reason", "contradictory_time"), 0),
    ],
)
def test_a_selection_narrows(many: Billing, options: tuple[str, ...], count: int) -> None:
    result = bulk(many, "waive", *options, "--json")

    assert len(result.document["records"]) == count
    assert result.document["dry_run"] is True


def test_what_changed_after_it_was_shown_is_passed_over(
    many: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def agreed(_question: str, _output: object) -> bool:
        handle(many, stop(28, "odd 2"), now=at(35))
        return True

    monkeypatch.setattr(prompts, "agreed", agreed)

    assert "1 records were passed over: they changed meanwhile" in bulk(many, "waive").out
    assert Decimal(listed(many, "--call", "odd 2")[0]["amount"]) == Decimal("0.28")
    assert_sound(many)


def test_what_cannot_be_decided_is_left_with_its_reason(busy: Billing) -> None:
    handle(busy, request("timeless"))
    handle(busy, stop(None, "timeless"), now=at(60))

    result = bulk(busy, "charge", "--reason", "no_duration", "--yes")

    assert "of call timeless is left: its records tell no time" in result.err
    assert "0 records charged" in result.out


# --- what else knows of money that waits ------------------------------------------------------------------


def test_the_money_that_waits_is_measured(busy: Billing) -> None:
    with closing(connect(busy.url, application="test")) as connection:
        assert (read_gauges(connection).held, read_gauges(connection).unbillable) == ({"USD": 72}, 1)
        busy("xdrs", "waive", id_of(busy))
        assert (read_gauges(connection).held, read_gauges(connection).unbillable) == ({"USD": 0}, 0)


def test_a_month_that_holds_money_is_not_dropped(busy: Billing) -> None:
    result = busy("months", "drop", f"{NOON:%Y-%m}", "--yes")

    assert (result.code, result.out) == (1, "")
    assert "1 calls of it hold money until you decide what they cost" in result.err
    busy("xdrs", "waive", id_of(busy))
    busy.sql("UPDATE session SET closed_at = now() WHERE closed_at IS NULL")
    assert "hold money" not in busy("months", "drop", f"{NOON:%Y-%m}").err


def test_a_client_whose_money_waits_is_removed_only_by_force(busy: Billing) -> None:
    result = busy("clients", "full-delete", ALICE, "--yes")

    assert result.code == 1
    assert "has calls that hold 72.000000 USD until you decide what they cost" in result.err
    assert busy("clients", "full-delete", ALICE, "--yes", "--force").code == 0
    assert_sound(busy)


def test_a_client_whose_money_waits_keeps_its_currency(busy: Billing) -> None:
    busy.sql("DELETE FROM entry")
    busy.sql("UPDATE balance SET live = 0")
    busy.file("sold.csv", "code,destination,price_per_minute\n44,United Kingdom,0.60\n")
    text = (busy.directory / "billing.toml").read_text().replace('"USD"', '"EUR"')

    assert f'client "{ALICE}" has money booked in USD' in busy.apply(text).err


def test_a_waived_call_is_no_failed_call_of_its_client(busy: Billing) -> None:
    watch = '[[watch]]\nname = "W"\nfailed_calls_max = 1\nminutes = 30\n'
    assert busy.apply(watch, name="w.toml").code == 0
    for name in ("odd 2", "odd 3"):
        handle(busy, request(name), start(name))
        handle(busy, stop(TOLD, name), now=at(WHEN))
    assert bulk(busy, "waive", "--yes").code == 0

    assert busy("watch", "--once", "--json").document == []
