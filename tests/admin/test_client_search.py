"""`billing clients search`: a flag for every field, combined, each value read by the rule of its kind."""

import pytest
from billing_command import Billing
from test_client_definitions import EVERYTHING

from billing_core.admin.clients.client_list import Order, Page, listed
from billing_core.admin.clients.client_search import Search
from billing_core.admin.command_line import SUBCOMMANDS, parsed
from billing_core.admin.definitions.client_fields import COMPUTED, FIELDS
from billing_core.admin.output import CommandError

OTHERS = """
[[reseller]]
name = "Far North"
parent = "North"
[[client]]
name = "Beta_1 Ltd"
currency = "USD"
reseller = "Far North"
credit = "20.00"
capacity = 30
tags = ["c"]
autoinvoicing = { last_invoiced = "2026-09-30" }
company = { main_email = "b%d@b.example", noc_email = "noc@b.example" }
[[client.account]]
ip = "203.0.113.9"
[[client]]
name = "Beta 2"
currency = "USD"
credit = "5.00"
[[client.account]]
ip = "203.0.113.10"
orig = false
term = true
"""


@pytest.fixture
def clients(billing: Billing) -> Billing:
    """Give client A, who has a value in every field, and two who have few."""
    assert billing.apply(EVERYTHING + OTHERS).code == 0
    return billing


def found(billing: Billing, *options: str) -> str:
    """Return the initials of who is found, by name: `A`, `2` and `1`."""
    with billing.engine.connect() as connection:
        search = Search.of(parsed(["clients", "search", "--status", "all", *options]))
        rows = listed(connection, search, Order(), Page(), ["name"])
        return "".join({"A": "A", "Beta_1 Ltd": "1", "Beta 2": "2"}[row["name"]] for row in rows)


EVERY = [
    ("reseller", "North", "A"),
    ("reseller", "*north", "A1"),
    ("reseller", "", "2"),
    ("currency", "EUR", "A"),
    ("timezone", "europe/PARIS", "A"),
    ("status", "stop", "A"),
    ("template", "VIP", "A"),
    ("template", "", "21"),
    ("tags", "c", "A1"),
    ("tags", 'c,"a, b"', "A"),
    ("tags", "", "2"),
    ("tax_profile", "eu*", "A"),
    ("bill_by", "setup", "A"),
    ("hidden_numbers", "true", "A"),
    ("panel.enabled", "false", "21"),
    ("panel.login", "a", "A"),
    ("panel.password", "true", "A"),
    ("panel.password", "", "21"),
    ("postpaid", "true", "A"),
    ("credit", "-5.5", "A"),
    ("credit", "-10..5", "A2"),
    ("credit", "5..", "21"),
    ("payment_terms", "7/*", "A"),
    ("rate_table", "Retail", "A"),
    ("routing_plan", "standard", "A"),
    ("capacity", "11..30", "1"),
    ("capacity", "", "2"),
    ("concurrency.policy", "share", "A"),
    ("concurrency.calls", "4", "A"),
    ("concurrency.seconds", "", "A21"),
    ("charge_max", "..3", "A"),
    ("refuse_losses", "true", "A"),
    ("term_rate_table", "Wholesale", "A"),
    ("term_capacity", "20", "A"),
    ("low_balance.notify_client", "5", "A"),
    ("low_balance.notify_admin", "", "21"),
    ("low_balance.threshold", "1.5..2", "A"),
    ("low_balance.capacity", "0..1", "A"),
    ("autoinvoicing.enabled", "true", "A"),
    ("autoinvoicing.template", "Plain", "A"),
    ("autoinvoicing.last_invoiced", "2026-09-30..2026-10-30", "1"),
    ("autoinvoicing.last_invoiced", "", "2"),
    ("rate_notification.enabled", "true", "A"),
    ("rate_notification.format", "csv", "A"),
    ("rate_notification.type", "all", "21"),
    ("auto_payment.enabled", "false", "21"),
    ("auto_payment.extra_amount", "50", "A"),
    ("company.name", "A Ltd", "A"),
    ("company.main_email", "OFFICE@*", "A"),
    ("company.main_email", "*", "A1"),
    ("company.main_email", "b%*", "1"),
    ("company.main_email", "office", ""),
    ("company.noc_email", "noc@*", "A1"),
    ("company.notify_about_blocks", "false", "21"),
    ("company.billing_email", "billing@a.example", "A"),
    ("company.rates_email", "", "21"),
    ("company.address", "1 *", "A"),
    ("company.zip", "10001", "A"),
    ("company.tax_id", "T1", "A"),
    ("company.reg_id", "R*", "A"),
    ("company.account_details", "bank 1", "A"),
    ("locale", "fr_fr", "A"),
    ("name", "beta", "21"),
    ("name", "BETA_", "1"),
    ("name", "*_1", "1"),
    ("id", "..0", ""),
    ("available", "", "A"),
    ("available", "5..20", "21"),
    ("live", "-3..-1", "1"),
    ("fixed", "7", "2"),
    ("fixed", "0..5", "A1"),
    ("fixed", "", ""),
    ("reserved", "0", "A21"),
    ("in_use", "1..", ""),
    ("term_in_use", "0", "A21"),
    ("role", "term", "2"),
    ("role", "", "A"),
    ("under", "North", "A1"),
    ("under", "Far North", "1"),
]


def test_every_field_that_there_is_can_be_searched_by() -> None:
    flags = {name for argument in SUBCOMMANDS["clients", "search"].arguments for name in argument.names}
    keys = {key for key, _, _ in EVERY}

    assert keys == {*FIELDS, *COMPUTED, "name", "under"}
    assert {"--" + key.replace(".", "-").replace("_", "-") for key in keys} <= flags


def test_every_field_finds_whom_it_fits(clients: Billing) -> None:
    clients("charge", "Beta_1 Ltd", "2", "--reason", "a number")
    clients("payment", "Beta 2", "7")

    told = [
        (key, value, found(clients, "--" + key.replace(".", "-").replace("_", "-"), value))
        for key, value, _ in EVERY
    ]

    assert told == EVERY


def test_conditions_must_all_hold(clients: Billing) -> None:
    assert found(clients, "beta", "--currency", "USD", "--credit", "..10") == "2"
    assert found(clients, "beta", "--tags", "c", "--role", "term") == ""


def test_the_name_alone_says_how_it_begins(clients: Billing) -> None:
    assert [found(clients, name) for name in ("b", "BETA 2", "eta", "%", "")] == ["21", "2", "", "", "A21"]


def test_only_active_clients_are_found_unless_others_are_asked_for(clients: Billing) -> None:
    assert [client["name"] for client in clients("clients", "search", "--json").document] == [
        "Beta 2",
        "Beta_1 Ltd",
    ]


def test_a_search_is_sorted_and_paged_as_the_list_is(clients: Billing) -> None:
    result = clients(
        "clients", "search", "--status", "all", "--sort", "-credit", "--rows", "1", "--page", "2"
    )

    assert result.out.splitlines()[0] == "Rows 2 - 2 of 3 · page 2 of 3"
    assert "Beta 2" in result.out.splitlines()[2]


REFUSED = (
    (("--credit", "5,00"), '--credit: "5,00" has a comma; use a point'),
    (("--credit", "1e3"), '--credit: "1e3" is not an amount'),
    (("--capacity", "-1"), '--capacity: "-1" is not a whole number, such as 60'),
    (("--capacity", "10..5"), '--capacity: "10..5" holds nothing: 5 is before 10'),
    (("--live", ".."), '--live: ".." has no end; write one value, or a range as 5..10, ..10 or 5..'),
    (("--live", "-1..x"), '--live: "x" is not an amount'),
    (
        ("--autoinvoicing-last-invoiced", "2026-02-30"),
        '--autoinvoicing-last-invoiced: "2026-02-30" is not a date',
    ),
    (("--postpaid", "yes"), '--postpaid: "yes" is neither "true" nor "false"'),
    (("--hidden-numbers", ""), '--hidden-numbers: "" is neither "true" nor "false"'),
    (("--currency", "eur"), '--currency: "eur" is not a currency of ISO 4217'),
    (("--bill-by", "steup"), '--bill-by: "steup" is not known; did you mean "setup"?'),
    (("--rate-notification-format", "pdf"), '--rate-notification-format: "pdf" is not known'),
    (("--concurrency-policy", "all"), '--concurrency-policy: "all" is not known'),
    (("--role", "vendor"), '--role: "vendor" is not known; known here: both, orig, term'),
    (("--reseller", "Nort"), '--reseller: there is no reseller "Nort"; did you mean "North"?'),
    (("--under", "South"), '--under: there is no reseller "South"'),
    (("b", "--name", "a"), "NAME and --name exclude each other: choose one"),
    (("--term-rate-table", "Retial"), '--term-rate-table: there is no rate table "Retial"; did you mean'),
)


def test_a_value_that_nothing_can_fit_is_refused_with_its_rule(clients: Billing) -> None:
    for options, told in REFUSED:
        with pytest.raises(CommandError) as refused:
            found(clients, *options)

        assert told in str(refused.value)


def test_a_refusal_ends_the_command_with_its_sentence_alone(clients: Billing) -> None:
    result = clients("clients", "search", "--live", "-1..x")

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith('--live: "x" is not an amount; ')


def test_calls_under_way_are_searched_by_their_number_and_the_money_they_reserve(clients: Billing) -> None:
    clients.sql(
        "UPDATE balance SET in_use = 3, reserved = 0.5 FROM client WHERE client_id = id AND name = 'A'"
    )

    assert found(clients, "--in-use", "1..", "--reserved", "0.5") == "A"
