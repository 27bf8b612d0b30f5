"""`billing apply`: time profiles, exchange rates, how rate tables round, and what limits a client's calls."""

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from billing_command import Billing, Result

from billing_core.catalogue import Catalogue, Recognition
from billing_core.client import Concurrency, Policy
from billing_core.money import Rounding
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.connection import connect
from billing_core.time_profile import Span

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

EVERYTHING = """
[[time_profile]]
name = "peak"
spans = ["mon-fri 08:00-20:00", "sat 22:00-06:00"]

[[exchange_rate]]
currency = "USD"
into = "EUR"
factor = "0.92"
effective_from = "2026-01-01"

[[rate_table]]
name = "Base"
currency = "USD"

[[rate_table]]
name = "Retail"
currency = "USD"
parent = "Base"
rounding = { places = 4, mode = "half_even" }
duration_rounding = "down"

[[client]]
name = "Customer A"
currency = "EUR"
timezone = "Europe/Paris"
rate_table = "Retail"
concurrency = { policy = "share", calls = 4 }
charge_max = "5.50"
refuse_losses = true
[[client.account]]
ani = "442071234567"
price_per_minute_max = "1.25"
"""


def changes(result: Result) -> set[tuple[object, ...]]:
    """Return what a command with --json says that it changed."""
    assert result.code == 0, result.err
    keys = ("object", "name", "field", "before", "after")
    return {
        tuple(tuple(item[key]) if isinstance(item[key], list) else item[key] for key in keys)
        for item in result.document["changes"]
    }


def in_use(billing: Billing) -> Catalogue:
    """Return what a worker makes of the database."""
    catalogue = Catalogue()
    with closing(connect(billing.url, application="test")) as connection:
        CatalogueReader(catalogue).read_all(connection)
    return catalogue


def test_a_worker_reads_what_the_file_says(billing: Billing) -> None:
    assert billing.apply(EVERYTHING).code == 0

    catalogue = in_use(billing)
    tables = {table.name: table for table in catalogue.rate_tables.values()}
    [client] = catalogue.clients.values()
    account = catalogue.recognise(Recognition.ANI, "442071234567", "")
    assert catalogue.time_profiles["peak"].spans == (
        Span(frozenset(range(5)), 480, 1200),
        Span(frozenset({5}), 1320, 360),
    )
    assert catalogue.exchange.factor("USD", "EUR", NEW_YEAR) == Decimal("0.92")
    assert tables["Retail"].parent_id == tables["Base"].id
    assert tables["Retail"].rounding == Rounding(4, "half_even", "down")
    assert tables["Base"].rounding == Rounding(6, "half_up", "up")
    assert client.concurrency == Concurrency(Policy.SHARE, calls=4)
    assert (client.charge_max, client.refuse_losses) == (Decimal("5.50"), True)
    assert client.timezone == ZoneInfo("Europe/Paris")
    assert account is not None
    assert account.price_per_minute_max == Decimal("1.25")


def test_the_same_file_again_changes_nothing(billing: Billing) -> None:
    billing.apply(EVERYTHING)
    version = billing.version()

    again = billing.apply(EVERYTHING.replace("mon-fri 08", "fri,mon-thu 08"), "--json")

    assert changes(again) == set()
    assert billing.version() == version


def test_every_field_is_shown_and_audited_as_the_file_writes_it(billing: Billing) -> None:
    shown = changes(billing.apply(EVERYTHING, "--json"))

    rate = "USD into EUR from 2026-01-01T00:00:00Z"
    assert shown >= {
        ("time_profile", "peak", "created", None, True),
        ("time_profile", "peak", "spans", None, ("mon-fri 08:00-20:00", "sat 22:00-06:00")),
        ("exchange_rate", rate, "factor", None, "0.92"),
        ("rate_table", "Retail", "parent", None, "Base"),
        ("rate_table", "Retail", "rounding.places", None, 4),
        ("rate_table", "Retail", "rounding.mode", None, "half_even"),
        ("rate_table", "Retail", "duration_rounding", None, "down"),
        ("client", "Customer A", "concurrency.policy", None, "share"),
        ("client", "Customer A", "concurrency.calls", None, 4),
        ("client", "Customer A", "charge_max", None, "5.50"),
        ("client", "Customer A", "refuse_losses", None, True),
        ("account", "Customer A/442071234567", "price_per_minute_max", None, "1.25"),
    }
    audited = {tuple(row) for row in billing.sql("SELECT object_kind, object_name, field, after FROM audit")}
    assert audited >= {
        ("time_profile", "peak", "spans", "mon-fri 08:00-20:00, sat 22:00-06:00"),
        ("exchange_rate", rate, "factor", "0.92"),
        ("rate_table", "Retail", "rounding.places", "4"),
        ("client", "Customer A", "refuse_losses", "true"),
    }


CHANGES = [
    (
        '[[time_profile]]\nname = "peak"\nspans = ["sun 00:00-24:00"]',
        ["time_profile peak: spans mon-fri 08:00-20:00, sat 22:00-06:00 -> sun 00:00-24:00"],
        "SELECT spans FROM time_profile",
        [([[[6], 0, 1440]],)],
    ),
    (
        '[[exchange_rate]]\ncurrency = "USD"\ninto = "EUR"\nfactor = "0.95"\neffective_from = 2026-01-01',
        ["exchange_rate USD into EUR from 2026-01-01T00:00:00Z: factor 0.92 -> 0.95"],
        "SELECT factor FROM exchange_rate",
        [(Decimal("0.95"),)],
    ),
    (
        '[[rate_table]]\nname = "Base"\nrounding = { places = 2 }',
        ["rate_table Base: rounding.places 6 -> 2"],
        "SELECT name, rounding_places, changed_in FROM rate_table ORDER BY name",
        [("Base", 2, 2), ("Retail", 4, 1)],
    ),
    (
        '[[rate_table]]\nname = "Retail"\nduration_rounding = "up"',
        ["rate_table Retail: duration_rounding down -> up"],
        "SELECT duration_rounding, rounding_mode, changed_in FROM rate_table WHERE name = 'Retail'",
        [("up", "half_even", 2)],
    ),
    (
        '[[rate_table]]\nname = "New"\ncurrency = "USD"\n[[rate_table]]\nname = "Base"\nparent = "New"',
        ["rate_table New: new", "rate_table Base: parent none -> New"],
        "SELECT t.changed_in, parent.name FROM rate_table t JOIN rate_table parent"
        " ON parent.id = t.parent_id WHERE t.name = 'Base'",
        [(2, "New")],
    ),
    (
        '[[client]]\nname = "Customer A"\nconcurrency = { policy = "slice", seconds = 60 }',
        [
            "client Customer A: concurrency.policy share -> slice",
            "client Customer A: concurrency.calls 4 -> none",
            "client Customer A: concurrency.seconds none -> 60",
        ],
        "SELECT concurrency, concurrency_calls, concurrency_seconds, charge_max, changed_in FROM client",
        [("slice", None, 60, Decimal("5.50"), 2)],
    ),
    (
        '[[client]]\nname = "Customer A"\nrefuse_losses = false',
        ["client Customer A: refuse_losses true -> false"],
        "SELECT refuse_losses, charge_max, concurrency, changed_in FROM client",
        [(False, Decimal("5.50"), "share", 2)],
    ),
    (
        '[[client]]\nname = "Customer A"\n[[client.account]]\nani = "442071234567"',
        ["account Customer A/442071234567: price_per_minute_max 1.25 -> none"],
        "SELECT price_per_minute_max, changed_in FROM account JOIN client ON client.id = client_id",
        [(None, 2)],
    ),
]


@pytest.mark.parametrize(("file", "lines", "statement", "rows"), CHANGES)
def test_only_what_is_named_changes_and_workers_are_told(
    billing: Billing, file: str, lines: list[str], statement: str, rows: list[tuple[object, ...]]
) -> None:
    billing.apply(EVERYTHING)

    result = billing.apply(file, name="change.toml")

    said = result.out.splitlines()
    assert [line for line in lines if line in said] == lines, result.err
    assert said[-1] == "applied as catalogue version 2"
    assert [tuple(row) for row in billing.sql(statement)] == rows


def test_a_later_factor_stands_beside_the_earlier_one(billing: Billing) -> None:
    billing.apply(EVERYTHING)
    later = EVERYTHING[EVERYTHING.index("[[exchange_rate]]") : EVERYTHING.index("[[rate_table]]")]

    billing.apply(later.replace("2026-01-01", "2026-07-01T00:00:00+02:00").replace("0.92", "0.95"))

    factor = in_use(billing).exchange.factor
    moments = [
        NEW_YEAR,
        datetime(2026, 6, 30, 21, 59, tzinfo=UTC),
        datetime(2026, 6, 30, 22, tzinfo=UTC),
    ]
    assert [factor("USD", "EUR", moment) for moment in moments] == [
        Decimal("0.92"),
        Decimal("0.92"),
        Decimal("0.95"),
    ]


def test_a_rates_file_may_use_a_time_profile_of_the_same_definitions(billing: Billing) -> None:
    billing.file("x.csv", "code,price_per_minute,time_profile\n44,0.02,peak\n44,0.01,\n")
    with_rates = EVERYTHING.replace('name = "Base"\n', 'name = "Base"\nrates = "x.csv"\n', 1)

    assert billing.apply(with_rates).code == 0
    assert billing.sql("SELECT time_profile FROM rate ORDER BY 1 NULLS LAST") == [("peak",), (None,)]


def test_a_client_is_shown_with_what_limits_his_calls(billing: Billing) -> None:
    billing.apply(EVERYTHING + '[[client]]\nname = "B"\ncurrency = "EUR"\n')

    shown = billing("clients", "show", "Customer A", "--json").document
    plain = billing("clients", "show", "B", "--json").document
    human = billing("clients", "show", "Customer A").out

    keys = ("concurrency", "charge_max", "refuse_losses", "timezone")
    share = {"policy": "share", "calls": 4, "seconds": None}
    full = {"policy": "full", "calls": None, "seconds": None}
    assert [shown[key] for key in keys] == [share, "5.50", True, "Europe/Paris"]
    assert [plain[key] for key in keys] == [full, None, False, "UTC"]
    assert shown["accounts"][0]["price_per_minute_max"] == "1.25"
    lines = [" ".join(line.split()) for line in human.splitlines()]
    assert {"concurrency policy share", "concurrency calls 4", "charge max 5.50", "refuse losses true"} <= {
        *lines
    }


# --- what cannot be applied -------------------------------------------------------------------------


def test_prices_in_another_currency_need_an_exchange_rate_that_the_fault_names(billing: Billing) -> None:
    start, end = EVERYTHING.index("[[exchange_rate]]"), EVERYTHING.index("[[rate_table]]")
    exchange_rate = EVERYTHING[start:end]
    without = EVERYTHING.replace(exchange_rate, "")

    refused = billing.apply(without)
    wrong_way = billing.apply(
        without + exchange_rate.replace("USD", "GBP").replace("EUR", "USD").replace("GBP", "EUR")
    )
    billing.apply(exchange_rate)
    accepted = billing.apply(without)

    for result in (refused, wrong_way):
        assert result.code == 1
        assert (
            ': client.rate_table: client "Customer A" is in EUR, but rate table "Retail" is in USD; give the'
            " client a rate table in EUR, or define what his calls are converted by: [[exchange_rate]]"
            ' currency = "USD", into = "EUR", factor, effective_from\n'
        ) in result.err
    assert accepted.code == 0


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        (
            '[[rate_table]]\nname = "Base"\nparent = "Retail"\n',
            ":3: rate_table.parent: is a rate table whose prices come from itself:"
            " Base -> Retail -> Base; one of them must have another parent",
        ),
        (
            '[[rate_table]]\nname = "Base"\nparent = "Base"\n',
            ":3: rate_table.parent: is a rate table whose prices come from itself: Base -> Base;",
        ),
        (
            '[[rate_table]]\nname = "Base"\nparent = "Retial"\n',
            ':3: rate_table.parent: there is no rate table "Retial"; did you mean "Retail"?',
        ),
        (
            '[[rate_table]]\nname = "New"\ncurrency = "EUR"\nparent = "Base"\n',
            ':4: rate_table.parent: rate table "New" is in EUR, but its parent "Base" is in USD;'
            " a parent must have the same currency",
        ),
        (
            '[[rate_table]]\nname = "Base"\ncurrency = "EUR"\n',
            ':3: rate_table.currency: rate table "Retail" is in USD, but its parent "Base" is in EUR;',
        ),
    ],
)
def test_a_parent_that_cannot_be_is_refused(billing: Billing, file: str, fault: str) -> None:
    billing.apply(EVERYTHING)

    result = billing.apply(file, name="more.toml")

    assert result.code == 1
    assert f"{billing.directory / 'more.toml'}{fault}" in result.err
    assert billing.version() == 1
