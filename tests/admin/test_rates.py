"""`billing rates`: what importing a file does to the rates of a table, and looking them up."""

from datetime import UTC, datetime, timedelta

import pytest
from billing_command import Billing
from sqlalchemy import text

from billing_core.rate_table import Rate, RateTable, rate_table

NOW = datetime.now(UTC)
YESTERDAY, TOMORROW = NOW - timedelta(days=1), NOW + timedelta(days=1)
HEADER = "code,price_per_minute,effective_from,end_date,time_profile\n"

Row = tuple[str, str, datetime | None, datetime | None, str | None]


def row(
    code: str,
    price: str,
    effective_from: datetime | None = None,
    end_date: datetime | None = None,
    profile: str | None = None,
) -> Row:
    return code, price, effective_from, end_date, profile


@pytest.fixture
def selling(billing: Billing) -> Billing:
    billing.apply('[[rate_table]]\nname = "Retail"\ncurrency = "EUR"\n')
    return billing


def imported(selling: Billing, *files: list[Row], mode: str = "update") -> dict[str, int]:
    """Import files one after the other, and return what is told of the last."""
    for rows in files:
        lines = [
            ",".join("" if value is None else str(value).replace("+00:00", "Z") for value in item)
            for item in rows
        ]
        path = selling.file("rates.csv", HEADER + "\n".join(lines))
        result = selling("rates", "import", "Retail", path, "--mode", mode, "--yes", "--json")
        assert result.code == 0, result.err
    found = result.document
    return {key: found[key] for key in ("new", "changed", "ended", "unchanged")}


def stored(selling: Billing) -> RateTable:
    """Return the rates in force of the only table."""
    with selling.engine.connect() as connection:
        rates = connection.execute(
            text(
                "SELECT code, destination, price_per_minute, setup_fee, min_volume_seconds, interval_seconds,"
                " grace_seconds, effective_from, end_date, time_profile FROM rate WHERE until_import IS NULL"
            )
        )
        return rate_table(1, "Retail", "EUR", [Rate(*item) for item in rates])


def price(selling: Billing, code: str, at: datetime, *profiles: str) -> str | None:
    found = stored(selling).find(code, at, profiles)
    return str(found.price_per_minute) if found else None


def later() -> datetime:
    """Return a moment after every import so far."""
    return datetime.now(UTC) + timedelta(minutes=1)


# --- what a row means to the rates that are there ---------------------------------------------------


def test_the_first_row_of_a_code_reaches_back_to_the_start(selling: Billing) -> None:
    imported(selling, [row("44", "1")])

    assert price(selling, "44", datetime(1990, 1, 1, tzinfo=UTC)) == "1"


def test_another_price_without_a_date_holds_from_now(selling: Billing) -> None:
    imported(selling, [row("44", "1")], [row("44", "2")])

    assert [price(selling, "44", at) for at in (YESTERDAY, later(), TOMORROW)] == ["1", "2", "2"]


def test_another_price_with_a_date_holds_from_then(selling: Billing) -> None:
    imported(selling, [row("44", "1")], [row("44", "2", TOMORROW)])

    assert [price(selling, "44", at) for at in (YESTERDAY, later(), TOMORROW)] == ["1", "1", "2"]


def test_a_row_with_a_known_date_replaces_that_rate(selling: Billing) -> None:
    rates = [row("44", "1"), row("44", "2", TOMORROW)]

    last = imported(selling, rates, [row("44", "3", TOMORROW)])

    assert [price(selling, "44", at) for at in (later(), TOMORROW)] == ["1", "3"]
    assert last == {"new": 0, "changed": 1, "ended": 0, "unchanged": 0}


def test_a_price_may_come_back(selling: Billing) -> None:
    imported(selling, [row("44", "1")], [row("44", "2", YESTERDAY)], [row("44", "1")])

    assert price(selling, "44", YESTERDAY) == "2"
    assert price(selling, "44", later()) == "1"


def test_rates_of_one_time_profile_follow_each_other_and_no_others(selling: Billing) -> None:
    selling.sql("INSERT INTO time_profile (name, spans) VALUES ('night', '[]')")

    last = imported(
        selling, [row("44", "1"), row("44", "2", profile="night")], [row("44", "3", profile="night")]
    )

    assert last == {"new": 0, "changed": 1, "ended": 0, "unchanged": 0}
    assert price(selling, "44", later()) == "1"
    assert [price(selling, "44", at, "night") for at in (YESTERDAY, later())] == ["2", "3"]


HISTORIES = [
    [row("44", "1")],
    [row("44", "1"), row("44", "2", YESTERDAY), row("44", "3", TOMORROW)],
    [row("44", "1", end_date=YESTERDAY), row("44", "2", YESTERDAY)],
    [row("44", "1", end_date=YESTERDAY)],
    [row("44", "1", YESTERDAY, TOMORROW), row("7", "2")],
]


@pytest.mark.parametrize("rows", HISTORIES)
@pytest.mark.parametrize("mode", ["update", "full"])
def test_the_same_file_again_changes_nothing(selling: Billing, rows: list[Row], mode: str) -> None:
    again = imported(selling, rows, rows, mode=mode)

    assert again == {"new": 0, "changed": 0, "ended": 0, "unchanged": len(rows)}


def test_full_ends_absent_codes_now_and_those_to_come(selling: Billing) -> None:
    imported(selling, [row("44", "1"), row("7", "2"), row("7", "3", TOMORROW)])

    first = imported(selling, [row("44", "1")], mode="full")
    second = imported(selling, [row("44", "1")], mode="full")

    assert (first["unchanged"], first["ended"]) == (1, 2)
    at = (YESTERDAY, later(), TOMORROW + timedelta(days=1))
    assert [price(selling, "7", moment) for moment in at] == ["2", None, None]
    assert second["ended"] == 0


def test_full_ends_the_time_profiles_of_a_code_that_are_absent(selling: Billing) -> None:
    selling.sql("INSERT INTO time_profile (name, spans) VALUES ('night', '[]')")
    imported(selling, [row("44", "1"), row("44", "2", profile="night")])

    assert imported(selling, [row("44", "1")], mode="full")["ended"] == 1
    assert price(selling, "44", later(), "night") == "1"


def test_update_leaves_absent_codes(selling: Billing) -> None:
    imported(selling, [row("44", "1"), row("7", "2")])

    assert imported(selling, [row("44", "1")]) == {"new": 0, "changed": 0, "ended": 0, "unchanged": 1}
    assert price(selling, "7", later()) == "2"


def test_an_ended_code_begins_again_now(selling: Billing) -> None:
    imported(selling, [row("44", "1", end_date=YESTERDAY)], [row("44", "2")])

    assert [price(selling, "44", at) for at in (YESTERDAY, later())] == [None, "2"]


def test_an_unknown_time_profile_is_a_fault_that_names_the_known(selling: Billing) -> None:
    selling.sql("INSERT INTO time_profile (name, spans) VALUES ('night', '[]'), ('peak', '[]')")
    path = selling.file("rates.csv", HEADER + "44,1,,,weekend\n")

    result = selling("rates", "import", "Retail", path)

    assert (result.code, result.err) == (
        1,
        f'{path}:2: time_profile: there is no time profile "weekend"; known here: night, peak\n',
    )


# --- the command -----------------------------------------------------------------------------------

PLAIN = "code,destination,price_per_minute\n"


def test_an_import_tells_what_it_did(selling: Billing) -> None:
    first = selling.file("1.csv", PLAIN + "44,UK,0.02\n7,Russia,0.09\n1,USA,0.01\n")
    second = selling.file("2.csv", PLAIN + "44,UK,0.03\n7,Russia,0.09\n49,Germany,0.02\n")

    selling("rates", "import", "Retail", first)
    result = selling("rates", "import", "Retail", second, "--mode", "full", "--json")

    assert result.document == {
        "table": "Retail",
        "new": 1,
        "changed": 1,
        "ended": 1,
        "unchanged": 1,
        "warned": 0,
        "warnings": [],
        "dry_run": False,
        "version": 2,
    }
    assert selling("rates", "lookup", "Retail", "4420", "--json").document["price_per_minute"] == "0.03"
    assert selling("rates", "lookup", "Retail", "1212").code == 1


def test_an_import_bumps_the_version_only_when_something_changes(selling: Billing) -> None:
    path = selling.file("1.csv", PLAIN + "44,UK,0.02\n")

    versions = []
    for _ in range(2):
        selling("rates", "import", "Retail", path)
        versions.append((selling.version(), selling.sql("SELECT changed_in FROM rate_table")[0][0]))

    assert versions == [(2, 2), (2, 2)]
    assert selling.sql("SELECT field, after FROM audit ORDER BY id DESC LIMIT 1") == [
        ("rates", "1 new, 0 changed, 0 ended")
    ]


def test_one_faulty_line_spoils_the_import(selling: Billing) -> None:
    path = selling.file("1.csv", PLAIN + "44,UK,0.02\n7,Russia,-\n")

    result = selling("rates", "import", "Retail", path)

    assert result.code == 1
    assert f"{path}:3: price_per_minute" in result.err
    assert selling.sql("SELECT count(*) FROM rate") == [(0,)]


def test_an_unknown_table_is_told_with_the_name_that_was_meant(selling: Billing) -> None:
    path = selling.file("1.csv", PLAIN + "44,UK,0.02\n")

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
        "time_profile": None,
        "number_length_min": 0,
        "number_length_max": 0,
        "blocked": False,
        "factor": "1",
        "paid_in": "EUR",
        "rounding": "6 half_up up",
    }


def test_many_rates_are_imported_as_written(selling: Billing) -> None:
    rows = "".join(f'{code},"Place {code}\\x, ""a""",0.{code}\n' for code in range(10_000, 30_000))
    path = selling.file("many.csv", PLAIN + rows)

    result = selling("rates", "import", "Retail", path, "--json")

    assert result.document["new"] == 20_000
    assert selling("rates", "lookup", "Retail", "23456", "--json").document["destination"] == (
        'Place 23456\\x, "a"'
    )


def test_a_lookup_goes_by_parents_currencies_and_the_clients_clock(selling: Billing) -> None:
    selling.apply(
        '[[rate_table]]\nname = "Parent"\ncurrency = "EUR"\n'
        '[[client]]\nname = "Far"\ncurrency = "EUR"\ntimezone = "Asia/Tokyo"\n'
    )
    night = "[[[0, 1, 2, 3, 4, 5, 6], 0, 360]]"
    selling.sql("INSERT INTO time_profile (name, spans) VALUES ('night', CAST(:spans AS jsonb))", spans=night)
    own = selling.file("own.csv", HEADER + "44,1,,,\n447,2,,,night\n")
    selling("rates", "import", "Retail", own)
    selling("rates", "import", "Parent", selling.file("parent.csv", PLAIN + "447,UK,3\n4420,London,4\n"))
    selling.sql(
        "UPDATE rate_table SET parent_id = (SELECT id FROM rate_table WHERE name = 'Parent'),"
        " rounding_places = 4 WHERE name = 'Retail'"
    )
    selling.sql("UPDATE client SET currency = 'USD'")
    midday = ("--at", "2026-03-02T18:00:00Z")

    def found(number: str, *options: str) -> tuple[str, str, str]:
        document = selling("rates", "lookup", "Retail", number, *options, "--json").document
        return document["price_per_minute"], document["factor"], document["rounding"]

    assert found("4477", *midday)[0] == "3", (
        "the parent has the longer code while the profile is not in force"
    )
    assert found("4420", *midday) == ("4", "1", "4 half_up up")
    without = selling("rates", "lookup", "Retail", "4477", *midday, "--client", "Far")
    assert (without.code, "define an exchange rate from EUR" in without.err) == (1, True)
    selling.sql("INSERT INTO exchange_rate VALUES ('EUR', 'USD', '2026-01-01', 1.1)")
    assert found("4477", *midday, "--client", "Far") == ("2", "1.1", "4 half_up up")
