"""`billing clients list | search --csv`: every column, and nothing that a spreadsheet would run."""

import csv
from io import StringIO

import pytest
from billing_command import Billing
from test_client_definitions import EVERYTHING

from billing_core.admin.definitions.client_fields import COMPUTED, FIELDS

EVIL = """
[[client]]
name = "=1+1"
currency = "EUR"
credit = "-5.00"
tags = ["@x", "b"]
company = { name = "+39 06", address = "a, \\"b\\"" }
"""


@pytest.fixture
def clients(billing: Billing) -> Billing:
    assert billing.apply(EVERYTHING.replace('"stop"', '"active"') + EVIL).code == 0
    return billing


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def test_every_field_but_secrets_is_a_column(clients: Billing) -> None:
    _evil, row = read(clients("clients", "list", "--csv").out)

    assert row.keys() == {"name", *COMPUTED, *FIELDS} - {"panel.password"}
    assert all(row[key] for key in row.keys() - {"available", "role", "concurrency.seconds"})
    assert (row["tags"], row["autoinvoicing.last_invoiced"], row["postpaid"]) == (
        '"a, b", c',
        "2026-10-31",
        "true",
    )


def test_what_a_spreadsheet_would_run_is_guarded_and_amounts_stay_numbers(clients: Billing) -> None:
    [row] = read(clients("clients", "search", "=1", "--csv").out)

    assert (row["name"], row["tags"], row["company.name"]) == ("'=1+1", "'@x, b", "'+39 06")
    assert (row["credit"], row["company.address"]) == ("-5.00", 'a, "b"')


def test_a_file_has_all_who_fit_in_their_order_or_is_not_written(clients: Billing) -> None:
    path = clients.directory / "clients.csv"

    result = clients("clients", "search", "--credit", "..0", "--sort", "-name", "--csv", str(path))
    failed = clients("clients", "list", "--csv", str(clients.directory / "none" / "x.csv"))
    both = clients("clients", "list", "--csv", "--json")

    assert (result.code, result.out) == (0, f"{path}: 2 records\n")
    assert [row["name"] for row in read(path.read_bytes().decode())] == ["A", "'=1+1"]
    assert (failed.code, failed.err.count("cannot be written")) == (1, 1)
    assert (both.code, both.err) == (1, "--csv and --json exclude each other: choose one\n")
