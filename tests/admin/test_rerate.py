"""`billing rerate`: shown first, posted as corrections, and the second time there is nothing to do."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from billing_command import Billing
from calls import NOON, report, start, stop
from traffic import DEFINITIONS, define, handle, place

from billing_core.admin.ledger.rerate import Rerating, Scope
from billing_core.limits import Limits
from billing_core.report import Kind
from billing_core.session import Leg
from billing_core.storage.postgres import PostgresTurn
from billing_core.storage.schema import engine

# A price that is said to have held when the calls ended; without a date it would hold from now on.
HEADER = "code,destination,price_per_minute,effective_from\n"

STRANGER = """
[[client]]
name = "Stranger"
currency = "USD"
rate_table = "Sold"
[[client.account]]
name = "nobody"
password = "x"
"""


@pytest.fixture
def busy(billing: Billing) -> Billing:
    define(billing)
    billing("payment", "Alice Telecom", "100")
    place(billing)
    return billing


@pytest.fixture
def dearer(busy: Billing) -> Billing:
    """Give books whose calls cost 0.60 a minute when they ended, and 1.20 today."""
    busy.file("sold.csv", f"{HEADER}44,United Kingdom,1.20,2026-01-01\n")
    assert busy.apply(DEFINITIONS).code == 0
    return busy


def rerate(billing: Billing, *options: str) -> Any:
    result = billing("rerate", *options, "--json")
    assert result.code == 0, result.err
    return result.document


def live(billing: Billing, name: str = "Alice Telecom") -> Decimal:
    return Decimal(billing("clients", "show", name, "--json").document["balance"]["live"])


def state_of(billing: Billing) -> list[Any]:
    return [
        billing.sql("SELECT * FROM entry ORDER BY id"),
        billing.sql("SELECT leg_key, revision FROM xdr ORDER BY 1, 2"),
        billing.sql("SELECT * FROM balance ORDER BY client_id"),
        billing.sql("SELECT leg_key, revision, posted FROM session ORDER BY 1"),
    ]


def test_a_dry_run_tells_every_difference_and_posts_nothing(dearer: Billing) -> None:
    before = state_of(dearer)

    found = rerate(dearer)

    assert found["dry_run"] is True
    assert [(leg["call_id"], leg["before"], leg["after"], leg["difference"]) for leg in found["legs"]] == [
        ("corrected", "0.200000", "0.400000", "-0.200000"),
        ("done", "0.610000", "1.220000", "-0.610000"),
    ]
    assert (found["totals"], found["changed"], found["kept"]) == ({"USD": "-0.810000"}, 2, 0)
    assert state_of(dearer) == before


def test_the_differences_are_posted_as_corrections_and_the_second_time_changes_nothing_r_34(
    dearer: Billing,
) -> None:
    """What was posted is never posted again."""
    before = live(dearer)
    legs = rerate(dearer)["legs"]
    posted = rerate(dearer, "--yes")

    assert posted["legs"] == legs
    assert live(dearer) == before - Decimal("0.81")
    assert dearer.sql(
        "SELECT amount, revision FROM entry WHERE kind = 'correction' AND leg_key IS NOT NULL ORDER BY 1"
    ) == [(Decimal("-0.61"), 2), (Decimal("-0.2"), 3)]
    [done] = [
        item for item in dearer("xdrs", "--call", "done", "--json").document if item["leg"] == "origination"
    ]
    assert (done["amount"], done["revision"], done["state"]) == ("1.220000", 2, "rated")
    assert dearer("verify").code == 0

    after = state_of(dearer)
    again = rerate(dearer, "--yes")
    assert (again["legs"], again["changed"], again["totals"]) == ([], 0, {})
    assert state_of(dearer) == after


def test_two_runs_at_once_post_what_one_posts_r_34(dearer: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds still when it has read the legs, until the other has too or can't for a lock."""
    before = live(dearer)
    both_have_read = Barrier(2)
    read = PostgresTurn.sessions

    def reading(turn: PostgresTurn, leg_keys: Collection[bytes]) -> Any:
        found = read(turn, leg_keys)
        with suppress(BrokenBarrierError):
            both_have_read.wait(0.4)
        return found

    def run(_: int) -> int:
        own = engine(dearer.url)
        rerating = Rerating(dearer.url, Scope(), Limits(), is_dry=False)
        with own.connect() as connection:
            changed = len(list(rerating.lines(connection)))
        own.dispose()
        return changed

    monkeypatch.setattr(PostgresTurn, "sessions", reading)
    with ThreadPoolExecutor(2) as threads:
        changed = list(threads.map(run, range(2)))

    assert sorted(changed) == [0, 2]
    assert live(dearer) == before - Decimal("0.81")
    assert dearer("verify").code == 0


def test_people_read_the_legs_the_totals_and_that_it_was_a_dry_run(dearer: Billing) -> None:
    result = dearer("rerate")

    assert "Alice Telecom  origination  done" in result.out
    assert "live balances in USD change by -0.810000" in result.out
    assert "dry run: nothing was posted; post it with --yes" in result.out
    assert "dry run" not in dearer("rerate", "--yes").out


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (("--client", "Alice Telecom"), 2),
        (("--client", "Vendor"), 0),
        (("--table", "Sold"), 2),
        (("--table", "Bought"), 0),
        (("--from", "2026-03-02T12:01:00Z"), 1),
        (("--to", "2026-03-02T12:01:00Z"), 1),
        (("--from", "2026-03-03"), 0),
        (("--unbillable",), 0),
    ],
)
def test_only_what_is_in_scope_is_rated_again(
    dearer: Billing, options: tuple[str, ...], changed: int
) -> None:
    assert rerate(dearer, *options)["changed"] == changed


def test_a_table_is_in_scope_also_for_those_who_fall_back_on_it(dearer: Billing) -> None:
    dearer.sql(
        "UPDATE rate_table SET parent_id = (SELECT id FROM rate_table WHERE name = 'Bought')"
        " WHERE name = 'Sold'"
    )

    assert rerate(dearer, "--table", "Bought")["changed"] == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--client", "Alise Telecom"), 'client "Alise Telecom" is not known; did you mean "Alice Telecom"?'),
        (("--table", "Solt"), 'rate table "Solt" is not known; did you mean "Sold"?'),
    ],
)
def test_an_unknown_name_is_told(busy: Billing, options: tuple[str, ...], sentence: str) -> None:
    result = busy("rerate", *options)

    assert (result.code, result.err) == (1, sentence + "\n")


def test_a_leg_of_nobody_is_charged_once_its_account_is_defined(busy: Billing) -> None:
    assert rerate(busy, "--unbillable")["legs"] == []
    assert busy.apply(DEFINITIONS + STRANGER).code == 0

    [leg] = rerate(busy, "--unbillable", "--client", "Stranger", "--yes")["legs"]

    assert (leg["client"], leg["call_id"], leg["was"]) == ("Stranger", "stranger", "no_account")
    assert (leg["after"], leg["becomes"]) == ("0.300000", "rated")
    assert live(busy, "Stranger") == Decimal("-0.3")
    assert busy("xdrs", "--unbillable", "--json").document == []
    assert busy("verify").code == 0
    assert rerate(busy, "--yes")["changed"] == 0


def test_a_leg_without_a_rate_is_charged_once_there_is_one_r_33(busy: Billing) -> None:
    """A rate that was missing at the Stop."""
    handle(busy, start("cuba", called="53123456"), stop(60, "cuba", called="53123456"))
    before = live(busy)
    busy.file("sold.csv", f"{HEADER}53,Cuba,2,2026-01-01\n")
    busy.apply(DEFINITIONS)

    [leg] = rerate(busy, "--unbillable", "--yes")["legs"]

    assert (leg["call_id"], leg["was"], leg["after"]) == ("cuba", "no_rate", "2.000000")
    assert live(busy) == before - 2
    assert busy("verify").code == 0


def test_a_leg_that_no_rate_fits_any_more_keeps_its_charge_and_is_told(busy: Billing) -> None:
    before = state_of(busy)
    busy.sql("UPDATE rate SET until_import = 1")
    busy.sql("UPDATE rate_table SET changed_in = 99")
    busy.sql("UPDATE catalogue SET version = 99")

    found = rerate(busy, "--client", "Alice Telecom", "--yes")

    assert (found["changed"], found["kept"]) == (0, 2)
    assert state_of(busy) == before


def test_a_vendors_leg_is_rated_by_what_we_buy(busy: Billing) -> None:
    busy.file("bought.csv", f"{HEADER}44,United Kingdom,0.20,2026-01-01\n")
    busy.apply(DEFINITIONS)

    [leg] = rerate(busy, "--client", "Vendor", "--yes")["legs"]

    assert (leg["leg"], leg["before"], leg["after"], leg["difference"]) == (
        "termination",
        "0.300000",
        "0.200000",
        "-0.100000",
    )
    assert live(busy, "Vendor") == Decimal("0.2")
    assert busy("verify").code == 0


def test_a_stop_that_comes_after_is_charged_by_the_new_price(dearer: Billing) -> None:
    rerate(dearer, "--yes")
    before = live(dearer)

    handle(dearer, stop(71, "done", disconnect_cause="16"), now=NOON)

    assert live(dearer) == before - Decimal("0.2")
    assert dearer("verify").code == 0


def test_more_legs_than_a_batch_holds_are_all_rated_again(dearer: Billing) -> None:
    calls = [f"call {number}" for number in range(120)]
    handle(dearer, *(report(Kind.STOP, call, Leg.ORIGINATION, session_seconds=60) for call in calls))
    dearer.file("sold.csv", f"{HEADER}44,United Kingdom,2.40,2026-01-02\n")
    dearer.apply(DEFINITIONS)
    before = live(dearer)

    found = rerate(dearer, "--yes")

    assert (found["checked"], found["changed"]) == (124, 122)
    assert live(dearer) == before + sum(Decimal(leg["difference"]) for leg in found["legs"])
    assert dearer("verify").code == 0


def test_a_correction_that_makes_the_money_low_tells_the_admin(dearer: Billing) -> None:
    live = Decimal(
        dearer.sql("SELECT live FROM balance JOIN client ON id = client_id WHERE name LIKE 'A%'")[0][0]
    )
    dearer.sql("UPDATE client SET low_balance_notify_admin = :value WHERE name LIKE 'A%'", value=live + 100)
    rerate(dearer)
    dry = dearer.sql("SELECT * FROM event")
    rerate(dearer, "--yes")

    assert dry == []
    assert dearer.sql("SELECT facts->>'notify', facts->>'live' FROM event") == [
        ("admin", str(live - Decimal("0.2")))
    ]
