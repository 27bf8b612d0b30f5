"""Which client a command means: its name in any case where one alone fits, and never another's on a tie."""

import pytest
from billing_command import Billing

from billing_core.settings import nearest
from billing_core.settings.values import _timezone

CLIENTS = "".join(
    f'[[client]]\nname = "{name}"\ncurrency = "EUR"\ncredit = "5"\n'
    for name in ("Customer A", "Customer B", "Kyiv Voice", "Čedok", "twin", "TWIN")
)


@pytest.fixture
def known(billing: Billing) -> Billing:
    assert billing.apply(CLIENTS).code == 0
    return billing


@pytest.mark.parametrize("typed", ["customer a", "CUSTOMER A", "Customer A"])
def test_a_name_fits_in_any_case_and_money_commands_tell_whose_it_is(known: Billing, typed: str) -> None:
    booked = known("payment", typed, "10", "--json").document
    said = known("charge", typed, "4", "--reason", "line rental").out

    assert (booked["client"], booked["live_before"], booked["live"]) == ("Customer A", "0", "10")
    assert said == (
        f"booked: charge of 4 EUR of client Customer A (id {booked['client_id']}); live balance 10 -> 6 EUR\n"
    )
    assert known.sql("SELECT name FROM client WHERE name ILIKE 'customer a'") == [("Customer A",)]


@pytest.mark.parametrize(
    "command",
    [
        ("clients", "show", "čedok"),
        ("clients", "set", "čedok", "--credit", "7"),
        ("clients", "delete", "ČEDOK", "--yes"),
        ("clients", "mass-edit", "--client", "čedok", "--set", "credit=7", "--yes"),
        ("accounts", "add", "čedok", "--ani", "4420"),
        ("accounts", "list", "--client", "čedok"),
        ("transactions", "čedok"),
        ("xdrs", "--client", "čedok"),
        ("events", "--client", "čedok"),
        ("mails", "list", "--client", "čedok"),
        ("audit", "--client", "čedok"),
        ("clients", "full-delete", "čedok", "--yes"),
    ],
    ids=" ".join,
)
def test_every_command_finds_it(known: Billing, command: tuple[str, ...]) -> None:
    result = known(*command)

    assert (result.code, "not known" in result.err) == (0, False), result.err
    assert known.sql("SELECT count(*) FROM client WHERE lower(name) = 'čedok' AND name <> 'Čedok'") == [(0,)]


def test_where_two_differ_in_case_only_the_one_that_is_typed_is_meant_or_none(known: Billing) -> None:
    assert known("payment", "twin", "1").code == 0
    result = known("payment", "Twin", "1")

    assert (result.code, result.out) == (1, "")
    assert 'client "Twin" fits "TWIN" and "twin": write the one that is meant as it is' in result.err
    assert known.sql("SELECT name, live::int FROM client JOIN balance ON id = client_id WHERE live > 0") == [
        ("twin", 1)
    ]


NAMES = ["Alpha", "Customer A", "Customer B", "Kyiv Voice", "Wholesale"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("customer a", '; did you mean "Customer A"?'),
        ("Kyiv", '; did you mean "Kyiv Voice"?'),
        ("Custmer A", '; did you mean "Customer A"?'),
        ("Customer C", "; known here: Alpha, Customer A, Customer B, Kyiv Voice, Wholesale"),
        ("Wholsale B", '; did you mean "Wholesale"?'),
        ("Alhpa", '; did you mean "Alpha"?'),
        ("customer", '; did you mean "Customer A" or "Customer B"?'),
        ("zzz", "; known here: Alpha, Customer A, Customer B, Kyiv Voice, Wholesale"),
    ],
)
def test_a_suggestion_names_none_that_fits_no_better_than_another(typed: str, told: str) -> None:
    assert nearest(typed, NAMES) == told


def test_of_many_that_fit_as_well_none_is_suggested() -> None:
    assert nearest("Client X", [f"Client {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVW"]) == ""


@pytest.mark.parametrize("zone", ["MSK", "PDT", "AEST"])
def test_no_zone_is_suggested_for_an_abbreviation(zone: str) -> None:
    with pytest.raises(ValueError, match=f'"{zone}" is an abbreviation') as raised:
        _timezone(zone)

    assert "did you mean" not in str(raised.value)


@pytest.mark.parametrize("zone", ["UTC", "CET", "EST", "Europe/Moscow"])
def test_a_zone_that_exists_is_one(zone: str) -> None:
    assert _timezone(zone) == zone
