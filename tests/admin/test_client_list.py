"""`billing clients list`: the columns of the page, sorted, paged, with the money of those shown."""

from decimal import Decimal

import pytest
from billing_command import Billing
from calls import report
from traffic import handle

from billing_core.admin.clients import client_list
from billing_core.admin.clients.client_list import Order, Page
from billing_core.admin.clients.client_search import Search
from billing_core.admin.fixed_balance import MOVES_FIXED
from billing_core.money import grouped
from billing_core.report import Kind
from billing_core.session import Leg
from billing_core.storage.tables import entry

PAGE = """
[[reseller]]
name = "Company Name"
[[reseller]]
name = "Sub-Reseller B"
parent = "Company Name"
[[rate_table]]
name = "A"
currency = "USD"
rates = "a.csv"
[[rate_table]]
name = "C"
currency = "USD"
rates = "c.csv"
"""
CLIENTS = {
    "Customer A": (13, 'reseller = "Company Name"\ncredit = "32.00"'),
    "Customer B": (14, 'reseller = "Company Name"'),
    "Customer C": (226, 'reseller = "Sub-Reseller B"\npostpaid = true'),
    "Customer D": (227, 'reseller = "Sub-Reseller B"\ncredit = "1000.00"'),
    "Vendor A": (15, 'reseller = "Company Name"\npostpaid = true\nterm_rate_table = "A"'),
    "Vendor B": (12, 'reseller = "Company Name"\npostpaid = true'),
    "Vendor C": (19, 'reseller = "Company Name"\nterm_rate_table = "C"'),
    "Voxbone": (11, 'reseller = "Company Name"\ncredit = "10.00"\npayment_terms = "7/7"'),
}
SCREENSHOT = """\
Rows 1 - 8 of 8 · page 1 of 1
 id   name         available      live    fixed   payment terms   tags   reseller         role
  13  Customer A     32.00 USD     0.00    0.00   —               —      Company Name     orig
  14  Customer B   -419.78 USD  -419.78    0.00   —               —      Company Name     orig
 226  Customer C  No Limit USD     0.00    0.00   —               —      Sub-Reseller B   orig
 227  Customer D  1 000.00 USD     0.00    0.00   —               —      Sub-Reseller B   orig
  15  Vendor A    No Limit USD   103.70    0.00   —               —      Company Name     term
  12  Vendor B    No Limit USD     0.00    0.00   —               —      Company Name     term
  19  Vendor C       78.27 USD    78.27    0.00   —               —      Company Name     term
  11  Voxbone         7.03 USD    -2.97   -1.60   7/7             —      Company Name     both
"""


def definition(name: str, number: int, lines: str) -> str:
    legs = {"C": "orig = true", "V": "orig = false\nterm = true"}[name[0]]
    legs = "orig = true\nterm = true" if name == "Voxbone" else legs
    account = f'[[client.account]]\nip = "203.0.113.{number}"\n{legs}\n'
    return f'[[client]]\nname = "{name}"\ncurrency = "USD"\n{lines}\n{account}'


OF_CLIENTS = (
    ("client", "id"),
    *((table, "client_id") for table in ("balance", "account", "entry", "entry_reference", "session", "xdr")),
)


def number(billing: Billing) -> None:
    """Give the clients the ids that they have on the page; definitions cannot choose them."""
    for name, (id, _lines) in CLIENTS.items():
        [(old,)] = billing.sql("SELECT id FROM client WHERE name = :name", name=name)
        for table, column in OF_CLIENTS:
            billing.sql(f"UPDATE {table} SET {column} = {-id} WHERE {column} = {old}")  # noqa: S608
    for table, column in OF_CLIENTS:
        billing.sql(f"UPDATE {table} SET {column} = -{column}")  # noqa: S608


@pytest.fixture
def page(billing: Billing) -> Billing:
    """Give the clients of the page, with money from payments, calls, charges and an invoice."""
    billing.file("a.csv", "code,price_per_minute\n44,1.0370\n")
    billing.file("c.csv", "code,price_per_minute\n44,0.7827\n")
    clients = "".join(definition(name, place, CLIENTS[name][1]) for place, name in enumerate(CLIENTS, 1))
    assert billing.apply(PAGE + clients).code == 0
    for vendor in (5, 7):  # A hundred minutes each.
        address = f"203.0.113.{vendor}"
        ended = report(Kind.STOP, address, Leg.TERMINATION, termination_address=address, session_seconds=6000)
        handle(billing, ended)
    billing("charge", "Customer B", "419.78", "--reason", "calls")
    billing("charge", "Voxbone", "2.97", "--reason", "calls")
    billing("invoice", "Voxbone", "1.60", "--reference", "1")
    number(billing)
    return billing


def names(billing: Billing, *options: str) -> list[str]:
    return [client["name"] for client in billing("clients", "list", "--json", *options).document]


def test_the_list_shows_the_rows_of_the_page_digit_for_digit(page: Billing) -> None:
    result = page("clients", "list")

    assert (result.code, result.err) == (0, "")
    assert [" ".join(line.split()) for line in result.out.splitlines()] == [
        " ".join(line.split()) for line in SCREENSHOT.splitlines()
    ]
    assert page("verify").code == 0


def test_programs_are_told_amounts_as_they_are_and_no_limit_as_null(page: Billing) -> None:
    vendor, voxbone = page("clients", "list", "--json", "--sort", "-name", "--limit", "3").document[::-2]

    assert (vendor["name"], vendor["available"]) == ("Vendor B", None)
    money = {key: Decimal(voxbone[key]) for key in ("available", "live", "fixed", "reserved", "credit")}
    assert money == {
        "available": Decimal("7.03"),
        "live": Decimal("-2.97"),
        "fixed": Decimal("-1.6"),
        "reserved": 0,
        "credit": 10,
    }
    assert (voxbone["id"], voxbone["role"], voxbone["payment_terms"]) == (11, "both", "7/7")


LAST = {
    "name": ["Vendor C", "Voxbone"],
    "id": ["Customer C", "Customer D"],
    "live": ["Vendor C", "Vendor A"],
    "fixed": ["Vendor C", "Customer A"],
    "available": ["Vendor A", "Vendor B"],
    "payment_terms": ["Vendor B", "Vendor C"],
    "role": ["Vendor B", "Vendor C"],
    "reseller": ["Customer C", "Customer D"],
    "-available": ["Voxbone", "Customer B"],
    "-payment_terms": ["Vendor B", "Vendor C"],
    "-fixed": ["Vendor B", "Voxbone"],
}
"""Who come last in lists that are sorted by these."""


def test_a_list_is_sorted_by_any_field_and_no_limit_is_the_greatest(page: Billing) -> None:
    page("payment", "Vendor C", "1")
    page("payment", "Customer A", "3")

    with page.engine.connect() as connection:
        for rows in (None, 8):
            listed = {
                field: [
                    row["name"] for row in client_list.listed(connection, Search(), Order(field), Page(rows))
                ]
                for field in LAST
            }

            assert {field: names[-2:] for field, names in listed.items()} == LAST


def test_a_list_has_pages_and_says_which_it_shows(page: Billing) -> None:
    result = page("clients", "list", "--rows", "3", "--page", "3", "--sort", "id")

    assert result.out.splitlines()[0] == "Rows 7 - 8 of 8 · page 3 of 3"
    assert [line.split()[0] for line in result.out.splitlines()[2:]] == ["226", "227"]
    assert names(page, "--rows", "3", "--page", "2") == ["Customer D", "Vendor A", "Vendor B"]
    assert page("clients", "list", "--page", "2").out.startswith("Rows none of 8 · page 2 of 1\n")


def test_people_see_twenty_rows_and_programs_all(billing: Billing) -> None:
    billing.apply("".join(f'[[client]]\nname = "{n:02}"\ncurrency = "EUR"\n' for n in range(45)))

    lines = billing("clients", "list").out.splitlines()

    assert (lines[0], len(lines)) == ("Rows 1 - 20 of 45 · page 1 of 3", 22)
    assert len(names(billing)) == 45
    assert len(names(billing, "--page", "3")) == 5


def test_only_active_clients_are_listed_unless_others_are_asked_for(page: Billing) -> None:
    page.apply(
        '[[client]]\nname = "Vendor A"\nstatus = "stop"\n[[client]]\nname = "Vendor B"\nstatus = "deleted"'
    )

    assert len(names(page)) == 6
    assert names(page, "--status", "stop") == ["Vendor A"]
    assert names(page, "--status", "deleted") == ["Vendor B"]
    assert len(names(page, "--status", "all")) == 8


def test_a_page_that_cannot_be_is_refused(billing: Billing) -> None:
    refused = {
        ("--sort", "availible"): '--sort: "availible" is not a field of clients; did you mean "available"?',
        ("--sort", "panel.password"): '--sort: "panel.password" is not a field of clients',
        ("--rows", "0"): "--rows and --page begin with 1",
        ("--page", "0"): "--rows and --page begin with 1",
        ("--limit", "5", "--page", "2"): "--limit excludes --rows and --page: choose one",
    }

    results = {options: billing("clients", "list", *options) for options in refused}

    assert {(result.code, result.out) for result in results.values()} == {(1, "")}
    assert all(told in results[options].err for options, told in refused.items())


def test_the_index_of_fixed_balances_has_just_the_entries_that_move_them() -> None:
    [index] = [index for index in entry.indexes if index.name == "entry_of_fixed"]

    assert str(index.dialect_options["postgresql"]["where"]) == MOVES_FIXED


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1000", "1 000.00"),
        ("-1234567.895", "-1 234 567.90"),
        ("0.005", "0.01"),
        ("-0.004", "0.00"),
        ("7.0349999", "7.03"),
    ],
)
def test_amounts_of_a_list_have_two_decimals_and_space_between_thousands(amount: str, text: str) -> None:
    assert grouped(Decimal(amount)) == text
