"""`billing rates`: importing prices, all or nothing, and looking them up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from billing_command import Billing

from billing_core.admin.rates import Mode, RatesPlan, StoredRate, plan
from billing_core.rate_table import rate_table
from billing_core.rates_file import RateRow

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
YESTERDAY, TOMORROW = NOW - timedelta(days=1), NOW + timedelta(days=1)


def row(
    code: str, price: str, effective_from: datetime | None = None, end_date: datetime | None = None
) -> RateRow:
    return RateRow(
        line=2,
        code=code,
        price_per_minute=Decimal(price),
        effective_from=effective_from,
        end_date=end_date,
    )


def carried_out(stored: list[StoredRate], planned: RatesPlan) -> list[StoredRate]:
    """Return the rates of a table after the plan, as the database would hold them."""
    by_id = {item.id: item.rate for item in stored} | {item.id: item.rate for item in planned.replaced}
    ended = {id: replace(rate, end_date=NOW) for id, rate in by_id.items() if id in planned.ended_ids}
    rates = [*(by_id | ended).values(), *planned.new]
    return [StoredRate(id, rate) for id, rate in enumerate(rates)]


def imported(*files: list[RateRow], mode: Mode = Mode.UPDATE) -> list[StoredRate]:
    """Return a table's rates after importing files one after the other."""
    stored: list[StoredRate] = []
    for rows in files:
        stored = carried_out(stored, plan(stored, rows, mode, NOW))
    return stored


def price(stored: list[StoredRate], code: str, at: datetime) -> str | None:
    found = rate_table(1, "Retail", "EUR", [item.rate for item in stored]).find(code, at)
    return str(found.price_per_minute) if found else None


def test_the_first_row_of_a_code_reaches_back_to_the_start() -> None:
    stored = imported([row("44", "1")])

    assert price(stored, "44", datetime(1990, 1, 1, tzinfo=UTC)) == "1"


def test_another_price_without_a_date_holds_from_now() -> None:
    stored = imported([row("44", "1")], [row("44", "2")])

    assert [price(stored, "44", at) for at in (YESTERDAY, NOW, TOMORROW)] == ["1", "2", "2"]


def test_another_price_with_a_date_holds_from_then() -> None:
    stored = imported([row("44", "1")], [row("44", "2", TOMORROW)])

    assert [price(stored, "44", at) for at in (YESTERDAY, NOW, TOMORROW)] == ["1", "1", "2"]


def test_a_row_with_a_known_date_replaces_that_rate() -> None:
    stored = imported([row("44", "1"), row("44", "2", TOMORROW)], [row("44", "3", TOMORROW)])

    assert [price(stored, "44", at) for at in (NOW, TOMORROW)] == ["1", "3"]
    assert len(stored) == 2


def test_a_price_may_come_back() -> None:
    stored = imported([row("44", "1")], [row("44", "2", YESTERDAY)], [row("44", "1")])

    assert price(stored, "44", YESTERDAY) == "2"
    assert price(stored, "44", NOW) == "1"


@pytest.mark.parametrize(
    "rows",
    [
        [row("44", "1")],
        [row("44", "1"), row("44", "2", YESTERDAY), row("44", "3", TOMORROW)],
        [row("44", "1", end_date=YESTERDAY), row("44", "2", YESTERDAY)],
        [row("44", "1", end_date=YESTERDAY)],
        [row("44", "1", YESTERDAY, TOMORROW), row("7", "2")],
    ],
)
@pytest.mark.parametrize("mode", Mode)
def test_the_same_file_again_changes_nothing(rows: list[RateRow], mode: Mode) -> None:
    stored = imported(rows)

    again = plan(stored, rows, mode, NOW)

    assert not again.summary("Retail")
    assert again.unchanged == len(rows)


def test_full_ends_absent_codes_now_and_those_to_come() -> None:
    stored = imported([row("44", "1"), row("7", "2"), row("7", "3", TOMORROW)])

    planned = plan(stored, [row("44", "1")], Mode.FULL, NOW)

    after = carried_out(stored, planned)
    assert (planned.unchanged, planned.ended) == (1, 2)
    assert [price(after, "7", at) for at in (YESTERDAY, NOW, TOMORROW + timedelta(days=1))] == [
        "2",
        None,
        None,
    ]
    assert not plan(after, [row("44", "1")], Mode.FULL, NOW).summary("Retail")


def test_update_leaves_absent_codes() -> None:
    stored = imported([row("44", "1"), row("7", "2")])

    assert not plan(stored, [row("44", "1")], Mode.UPDATE, NOW).summary("Retail")


def test_an_ended_code_begins_again_now() -> None:
    stored = imported([row("44", "1", end_date=YESTERDAY)], [row("44", "2")])

    assert [price(stored, "44", at) for at in (YESTERDAY, NOW)] == [None, "2"]


# --- the command -----------------------------------------------------------------------------------

HEADER = "code,destination,price_per_minute\n"


@pytest.fixture
def selling(billing: Billing) -> Billing:
    billing.apply('[[rate_table]]\nname = "Retail"\ncurrency = "EUR"\n')
    return billing


def test_an_import_tells_what_it_did(selling: Billing) -> None:
    first = selling.file("1.csv", HEADER + "44,UK,0.02\n7,Russia,0.09\n1,USA,0.01\n")
    second = selling.file("2.csv", HEADER + "44,UK,0.03\n7,Russia,0.09\n49,Germany,0.02\n")

    selling("rates", "import", "Retail", first)
    result = selling("rates", "import", "Retail", second, "--mode", "full", "--json")

    assert result.document == {"table": "Retail", "new": 1, "changed": 1, "ended": 1, "unchanged": 1}
    assert selling("rates", "lookup", "Retail", "4420", "--json").document["price_per_minute"] == "0.03"
    assert selling("rates", "lookup", "Retail", "1212").code == 1


def test_an_import_bumps_the_version_only_when_something_changes(selling: Billing) -> None:
    path = selling.file("1.csv", HEADER + "44,UK,0.02\n")

    versions = []
    for _ in range(2):
        selling("rates", "import", "Retail", path)
        versions.append((selling.version(), selling.sql("SELECT changed_in FROM rate_table")[0][0]))

    assert versions == [(2, 2), (2, 2)]
    assert selling.sql("SELECT field, after FROM audit ORDER BY id DESC LIMIT 1") == [
        ("rates", "1 new, 0 changed, 0 ended")
    ]


def test_one_faulty_line_spoils_the_import(selling: Billing) -> None:
    path = selling.file("1.csv", HEADER + "44,UK,0.02\n7,Russia,-\n")

    result = selling("rates", "import", "Retail", path)

    assert result.code == 1
    assert f"{path}:3: price_per_minute" in result.err
    assert selling.sql("SELECT count(*) FROM rate") == [(0,)]


def test_an_unknown_table_is_told_with_the_name_that_was_meant(selling: Billing) -> None:
    path = selling.file("1.csv", HEADER + "44,UK,0.02\n")

    result = selling("rates", "import", "Retial", path)

    assert (result.code, result.err) == (1, 'rate table "Retial" is not known; did you mean "Retail"?\n')


def test_a_lookup_finds_the_longest_code_at_a_moment(selling: Billing) -> None:
    path = selling.file(
        "1.csv",
        "code,destination,price_per_minute,effective_from\n"
        '44,"UK, all",0.02,\n447,UK mobile,0.05,2026-01-01\n447,UK mobile,0.06,2026-02-01T00:00:00Z\n',
    )
    selling("rates", "import", "Retail", path)

    def found(at: str) -> dict[str, str]:
        document: dict[str, str] = selling(
            "rates", "lookup", "Retail", "+447712", "--at", at, "--json"
        ).document
        return document

    assert found("2025-12-31T23:59:59Z")["destination"] == "UK, all"
    assert found("2026-01-31")["price_per_minute"] == "0.05"
    assert found("2026-02-01T01:00:00+01:00") == {
        "rate_table": "Retail",
        "currency": "EUR",
        "number": "447712",
        "code": "447",
        "destination": "UK mobile",
        "price_per_minute": "0.06",
        "setup_fee": "0",
        "min_volume_seconds": 1,
        "interval_seconds": 1,
        "grace_seconds": 0,
        "effective_from": "2026-02-01T00:00:00Z",
        "end_date": None,
    }


def test_many_rates_are_imported_as_written(selling: Billing) -> None:
    rows = "".join(f'{code},"Place {code}\\x, ""a""",0.{code}\n' for code in range(10_000, 30_000))
    path = selling.file("many.csv", HEADER + rows)

    result = selling("rates", "import", "Retail", path, "--json")

    assert result.document["new"] == 20_000
    assert selling("rates", "lookup", "Retail", "23456", "--json").document["destination"] == (
        'Place 23456\\x, "a"'
    )
