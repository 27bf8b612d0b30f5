"""Definitions: what a file names, and what is said of every fault."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing_core.admin.definitions.client_definition import DEFAULTS, Account, Client, Concurrency
from billing_core.admin.definitions.definition import Fields, flat
from billing_core.admin.definitions.definitions import (
    Definitions,
    ExchangeRate,
    RateTable,
    Reseller,
    Rounding,
    TimeProfile,
    load,
)
from billing_core.client import BillBy, Status
from billing_core.currency import CURRENCIES
from billing_core.rates_file import read_rates
from billing_core.settings import SettingsError

SAMPLE = Path(__file__).parents[2] / "config" / "billing.toml"


def definitions(tmp_path: Path, text: str) -> Definitions:
    (tmp_path / "billing.toml").write_text(text)
    return load(tmp_path / "billing.toml")


def faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        definitions(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/billing.toml:") for line in str(raised.value).splitlines()]


# --- the sample -------------------------------------------------------------------------------------


def test_the_sample_lets_customer_a_make_a_first_call():
    client = load(SAMPLE).clients[0]

    assert (client.name, client.currency, client.postpaid) == ("Customer A", "EUR", False)
    assert (client.credit, client.rate_table) == (Decimal("10.00"), "Retail EUR")
    assert [(account.name, account.password) for account in client.account] == [("1001", "secret-1001")]


def test_the_sample_shows_each_kind_of_client():
    sample = load(SAMPLE)
    _prepaid, postpaid, vendor = sample.clients
    [template] = sample.templates

    assert postpaid.template == template.name
    assert template.postpaid
    assert (vendor.account[0].term, vendor.account[0].ip) == (True, "198.51.100.5")
    assert vendor.term_rate_table == "Wholesale EUR"


def test_the_names_that_the_sample_refers_to_are_defined_there():
    sample = load(SAMPLE)
    tables = {table.name for table in sample.rate_tables}
    wanted = {client.rate_table for client in sample.clients} | {
        client.term_rate_table for client in sample.clients
    }

    assert wanted - {None} == tables == {"Retail EUR", "Wholesale EUR"}
    assert [(reseller.name, reseller.capacity) for reseller in sample.resellers] == [("Reseller North", 200)]


def test_the_rates_of_the_sample_can_be_read():
    tables = {
        table.name: {row.code: row for row in read_rates(table.rates)} for table in load(SAMPLE).rate_tables
    }

    assert len(tables["Retail EUR"]) > 15
    for code, bought in tables["Wholesale EUR"].items():
        assert bought.price_per_minute < tables["Retail EUR"][code].price_per_minute


@pytest.mark.parametrize("model", [Reseller, TimeProfile, ExchangeRate, RateTable, Client, Account])
def test_the_sample_explains_every_key(model):
    sample = SAMPLE.read_text()
    tables = {"account": "[[client.account]]", "company": "[client.company]"}

    assert [
        key
        for key in model.model_fields
        if tables.get(key, "") not in sample
        or (key not in tables and not re.search(rf"(?m)^#? *{key} = ", sample))
    ] == []


@pytest.mark.parametrize(("key", "model"), [("concurrency", Concurrency), ("rounding", Rounding)])
def test_the_sample_shows_every_part_of_what_is_written_on_one_line(key, model):
    shown = " ".join(re.findall(rf"(?m)^#? *{key} = (.*)$", SAMPLE.read_text()))

    assert [part for part in model.model_fields if f"{part} = " not in shown] == []


def test_what_the_sample_shows_in_comments_can_be_used(tmp_path):
    sample = SAMPLE.read_text().replace("rates/", f"{SAMPLE.parent}/rates/")
    examples = re.findall(r"(?m)^#   ((?:[a-z_]+) = .*)$", sample)

    assert len(examples) > 12
    for example in examples:
        definitions(tmp_path, sample.replace(f"#   {example}", example))


def test_the_defaults_that_the_sample_states_are_the_defaults(tmp_path):
    sample = SAMPLE.read_text().replace("rates/", f"{SAMPLE.parent}/rates/")
    uncommented = re.sub(r"(?m)^# ([a-z_]+ = .*)$", r"\1", sample)

    stated, plain = definitions(tmp_path, uncommented), definitions(tmp_path, sample)

    assert [in_whole(client) for client in stated.clients] == [in_whole(client) for client in plain.clients]


def in_whole(client: Client) -> Fields:
    """Return every field of a client, be it named or not."""
    return {**DEFAULTS, **flat(client.fields)}


# --- what a file means ------------------------------------------------------------------------------


def test_a_definition_tells_the_fields_that_the_file_names(tmp_path):
    text = "[[client]]\nname = 'A'\ncapacity = 5\ncredit = -3\ncompany.noc_email = 'noc@a.example'"

    [client] = definitions(tmp_path, text).clients

    assert dict(client.fields) == {
        "name": "A",
        "credit": Decimal(-3),
        "capacity": 5,
        "company": client.company,
    }
    assert dict(client.company.fields) == {"noc_email": "noc@a.example"}


def test_a_new_client_is_active_prepaid_and_in_utc(tmp_path):
    [client] = definitions(tmp_path, "[[client]]\nname = 'A'").clients

    assert (client.status, client.bill_by) == (Status.ACTIVE, BillBy.DISCONNECT)
    assert (client.timezone, client.postpaid, client.credit, client.capacity) == ("UTC", False, 0, None)
    assert client.account == ()


def test_numbers_and_addresses_are_kept_as_they_are_compared(tmp_path):
    text = "[[client]]\nname = 'A'\naccount = [{ani = '+4420'}, {ip = '::ffff:10.0.0.1'}]"

    caller, address = definitions(tmp_path, text).clients[0].account

    assert (caller.ani, address.ip) == ("4420", "10.0.0.1")
    assert (caller.orig, caller.term, caller.tech_prefix) == (True, False, "")


def test_each_field_can_be_found_again_for_later_faults(tmp_path):
    text = "[[client]]\nname = 'A'\n\n[[client]]\nname = 'B'\nrate_table = 'X'\n"

    document = definitions(tmp_path, text).document

    assert document.line_of(("client", 1, "rate_table")) == 6
    assert document.line_of(("client", 1)) == 4


def test_a_password_is_never_shown(tmp_path):
    found = definitions(tmp_path, "[[client]]\nname = 'A'\naccount = [{name = 'a', password = 'hunter2'}]")

    assert "hunter2" not in repr(found)


def test_a_new_rate_table_rounds_half_up_to_six_places_and_durations_up(tmp_path):
    [table] = definitions(tmp_path, "[[rate_table]]\nname = 'A'").rate_tables

    assert (table.rounding.places, table.rounding.mode, table.duration_rounding) == (6, "half_up", "up")
    assert (table.parent, dict(table.fields)) == (None, {"name": "A"})


INSTANTS = [
    ('"2026-01-01"', datetime(2026, 1, 1, tzinfo=UTC)),
    ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
    ('"2026-01-01T02:00:00+02:00"', datetime(2026, 1, 1, tzinfo=UTC)),
    ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
]


def exchange_rate(factor: str = "2", effective_from: str = '"2026-01-01"', into: str = "EUR") -> str:
    return f"""[[exchange_rate]]
currency = "USD"
into = "{into}"
factor = {factor}
effective_from = {effective_from}
"""


@pytest.mark.parametrize(("written", "moment"), INSTANTS)
def test_an_exchange_rate_begins_at_a_moment_or_with_a_day_of_utc(tmp_path, written, moment):
    [rate] = definitions(tmp_path, exchange_rate(effective_from=written)).exchange_rates

    assert rate.effective_from == moment
    assert rate.name == "USD into EUR from 2026-01-01T00:00:00Z"


@pytest.mark.parametrize("factor", ["0.92", "1", "0.000000000001", "999999999.999999999999"])
def test_a_factor_is_kept_to_its_last_digit(tmp_path, factor):
    [rate] = definitions(tmp_path, exchange_rate(f'"{factor}"')).exchange_rates

    assert rate.factor == Decimal(factor)


# --- faults -----------------------------------------------------------------------------------------


def test_every_fault_of_a_file_is_reported_at_once(tmp_path):
    text = """[[rate_table]]
name = "Retail"
currency = "eur"
rates = "none.csv"
[[client]]
name = "A"
status = "stopped"
credit = 10.5
low_balance = { threshold = "1e3", capacity = 65536 }
templte = "VIP"
[client.company]
noc_email = "пост@example.com"
[[client.account]]
name = "1001"
tech_prefix = "7a"
[[client.account]]
capacity = -1
[[client.account]]
ip = "gw.example"
password = "x"
[[client]]
name = "A"
locale = "english"
"""

    assert faults(tmp_path, text) == [
        '3: rate_table.currency: "eur" is not a currency of ISO 4217, such as "EUR"; did you mean "EUR"?',
        f"4: rate_table.rates: {tmp_path}/none.csv is not there; paths are relative to this file",
        '7: client.status: "stopped" is not known; did you mean "stop"?',
        '8: client.credit: 10.5 is not exact without quotes; write it as a string: "10.5"',
        '9: client.low_balance.threshold: "1e3" is not an amount; write at most 9 digits,'
        ' and 8 more after a point, as in "12.50"',
        "9: client.low_balance.capacity: 65536 is too large; the most is 65535",
        '10: client.templte: unknown key; did you mean "template"?',
        '12: client.company.noc_email: "пост@example.com" is not one email address in Latin letters,'
        ' such as "noc@example.com"',
        "13: client.account.password: missing; an account with a name needs a password",
        '15: client.account.tech_prefix: "7a" is not a tech prefix;'
        " write at most 32 of the characters 0-9 * #",
        "16: client.account: recognises no call; give a name and password, an ip or an ani",
        "17: client.account.capacity: -1 is too small; the least is 0",
        "18: client.account.name: missing; a password belongs to an account with a name",
        '19: client.account.ip: "gw.example" is not an IP address',
        "22: client.name: is the name of the client on line 6 too",
        '23: client.locale: "english" is not a locale, such as "en" or "en_US"',
    ]


RATING = """[[time_profile]]
name = "peak"
spans = ["mon-fri 08:00-20:00", "weekend"]
[[time_profile]]
name = "peak"
spans = []
[[exchange_rate]]
currency = "USD"
into = "EURO"
factor = 0.92
effective_from = "2026-13-01"
[[exchange_rate]]
currency = "USD"
into = "USD"
factor = "-1"
effective_from = 2026-01-01T00:00:00
[[rate_table]]
name = "Retail"
rounding = { places = 9, mode = "half-up" }
duration_rounding = "ceil"
[[client]]
name = "A"
charge_max = "-0.01"
refuse_losses = "yes"
concurrency = { policy = "share" }
[[client]]
name = "B"
concurrency = { policy = "slice", seconds = 9, calls = 2 }
[[client]]
name = "C"
concurrency = { policy = "fair", calls = 0 }
[[client]]
name = "D"
concurrency = { policy = "full", seconds = 60 }
[[client]]
name = "E"
concurrency = { policy = "slice", second = 60 }
[[client.account]]
ani = "4420"
price_per_minute_max = 0.5
[[client]]
name = "F"
concurrency = "none"
"""


def test_every_fault_of_prices_and_policies_is_reported_at_once(tmp_path):
    assert faults(tmp_path, RATING) == [
        '3: time_profile.spans: "weekend" is not a span of the week; write weekdays and hours,'
        ' as in "mon-fri 08:00-20:00" or "sat,sun 22:00-06:00"',
        "5: time_profile.name: is the name of the time_profile on line 2 too",
        "6: time_profile.spans: must name at least 1",
        '9: exchange_rate.into: "EURO" is not a currency of ISO 4217, such as "EUR"; did you mean "EUR"?',
        '10: exchange_rate.factor: 0.92 is not exact without quotes; write it as a string: "0.92"',
        '11: exchange_rate.effective_from: must be a moment, such as "2026-12-31T22:00:00Z", or a date,'
        ' such as "2026-12-31"',
        '14: exchange_rate.into: is "USD" like `currency`; name another one',
        "15: exchange_rate.factor: must be a factor above 0 in quotes: at most 9 digits,"
        ' and 12 more after a point, as in "0.92"',
        '16: exchange_rate.effective_from: "2026-01-01 00:00:00" names no time zone; add Z for UTC,'
        " or an offset as +02:00",
        "19: rate_table.rounding.places: 9 is too large; the most is 8",
        '19: rate_table.rounding.mode: "half-up" is not known; did you mean "half_up"?',
        '20: rate_table.duration_rounding: "ceil" is not known; known here: down, half_even, half_up, up',
        '23: client.charge_max: "-0.01" is below zero; the least is "0"',
        "24: client.refuse_losses: must be true or false without quotes, not a string",
        '25: client.concurrency.calls: missing; policy "share" needs calls',
        "28: client.concurrency.seconds: 9 is too small; the least is 10",
        '28: client.concurrency.calls: belongs to policy "share", not to "slice"; remove it',
        '31: client.concurrency.policy: "fair" is not known; known here: full, none, share, slice',
        "31: client.concurrency.calls: 0 is too small; the least is 1",
        '34: client.concurrency.seconds: belongs to policy "slice", not to "full"; remove it',
        '37: client.concurrency.second: unknown key; did you mean "seconds"?',
        '37: client.concurrency.seconds: missing; policy "slice" needs seconds',
        "40: client.account.price_per_minute_max: 0.5 is not exact without quotes;"
        ' write it as a string: "0.5"',
        "43: client.concurrency: must be a table, not a string",
    ]


@pytest.mark.parametrize(
    "factor", ['"0"', '"0.0"', '"1.0000000000001"', '"1234567890"', "true", '"1e3"', "-1"]
)
def test_a_factor_is_a_positive_number_of_few_digits(tmp_path, factor):
    [fault] = faults(tmp_path, exchange_rate(factor))

    assert fault.startswith("4: exchange_rate.factor: must be a factor above 0 in quotes")


def test_two_exchange_rates_of_one_pair_begin_at_different_moments(tmp_path):
    same = exchange_rate(effective_from='"2026-01-01T01:00:00+01:00"')
    others = exchange_rate(into="GBP") + exchange_rate(effective_from='"2026-01-02"')

    assert len(definitions(tmp_path, exchange_rate() + others).exchange_rates) == 3
    assert faults(tmp_path, exchange_rate() + same) == [
        "6: exchange_rate: has the currencies and the date of the one on line 1; keep one,"
        " or give it another effective_from"
    ]


@pytest.mark.parametrize("kind", ["reseller", "rate_table"])
def test_a_name_is_defined_once(tmp_path, kind):
    text = f"[[{kind}]]\nname = 'A'\n[[{kind}]]\nname = 'A'"

    assert faults(tmp_path, text) == [f"4: {kind}.name: is the name of the {kind} on line 2 too"]


def pair(first: str, second: str, status: str = "active") -> str:
    return f"""[[client]]
name = "A"
[[client.account]]
{first}
[[client]]
name = "B"
status = "{status}"
[[client.account]]
{second}
"""


AMBIGUOUS = [
    ("name", "1001", 'name = "1001"\npassword = "a"', 'name = "1001"\npassword = "b"'),
    ("ip", "10.0.0.1", 'ip = "10.0.0.1"', 'ip = "::ffff:10.0.0.1"'),
    ("ani", "4420", 'ani = "+4420"', 'ani = "004420"'),
    (
        "ip",
        "10.0.0.1",
        'ip = "10.0.0.1"\ntech_prefix = "7"',
        'ip = "10.0.0.1"\ntech_prefix = "7"\nterm = true',
    ),
    ("ip", "10.0.0.1", 'ip = "10.0.0.1"\norig = false\nterm = true', 'ip = "10.0.0.1"\nterm = true'),
]


@pytest.mark.parametrize(("kind", "value", "first", "second"), AMBIGUOUS)
def test_two_accounts_that_fit_the_same_calls_are_refused(tmp_path, kind, value, first, second):
    text = pair(first, second)
    account = text.splitlines().index("[[client.account]]") + 1

    [fault] = faults(tmp_path, text)

    assert f": client.account.{kind}: " in fault
    assert fault.endswith(
        f'account {kind} "{value}" of client "B" and account {kind} "{value}" of client "A" (line {account})'
        " fit the same calls; give one another tech_prefix, or switch one off"
    )


DISTINCT = [
    ('ip = "10.0.0.1"', 'ip = "10.0.0.1"\ntech_prefix = "7"'),
    ('ip = "10.0.0.1"', 'ip = "10.0.0.1"\norig = false'),
    ('ip = "10.0.0.1"', 'ip = "10.0.0.1"\norig = false\nterm = true'),
    ('ani = "4420"', 'ani = "4421"'),
]


@pytest.mark.parametrize(("first", "second"), DISTINCT)
def test_accounts_that_never_fit_the_same_leg_are_fine(tmp_path, first, second):
    assert len(definitions(tmp_path, pair(first, second)).clients) == 2


def test_the_accounts_of_a_deleted_client_fit_no_calls(tmp_path):
    assert len(definitions(tmp_path, pair('ip = "10.0.0.1"', 'ip = "10.0.0.1"', "deleted")).clients) == 2


@pytest.mark.parametrize("name", ["", "x" * 254, "é" * 127])
def test_an_account_name_fits_a_user_name(tmp_path, name):
    text = f"[[client]]\nname = 'A'\naccount = [{{name = '{name}', password = 'x'}}]"

    assert faults(tmp_path, text) == [
        "3: client.account.name: must be 1 to 253 octets, as a User-Name can carry"
    ]


@pytest.mark.parametrize("code", ["usd", "XXX", "XAU", "HRK", "EURO"])
def test_only_currencies_in_use_are_known(tmp_path, code):
    [fault] = faults(tmp_path, f"[[client]]\nname = 'A'\ncurrency = '{code}'")

    assert f'"{code}" is not a currency of ISO 4217' in fault


def test_currencies_are_three_capital_letters():
    assert all(re.fullmatch("[A-Z]{3}", code) for code in CURRENCIES)
    assert {"EUR", "USD", "UAH", "XOF"} <= CURRENCIES


def test_a_control_character_in_a_text_is_refused(tmp_path):
    [fault] = faults(tmp_path, '[[client]]\nname = "A\\u0000B"')

    assert fault == ("2: client.name: has a character that cannot be shown, such as a line break; remove it")
