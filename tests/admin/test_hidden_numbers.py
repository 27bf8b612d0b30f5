"""`client.hidden_numbers`: the last four digits of his called numbers are masked in lists and exports."""

import csv
from io import StringIO

import pytest
from billing_command import Billing
from hypothesis import given
from hypothesis import strategies as st
from traffic import define, place

from billing_core.admin.calls.hidden_numbers import hidden, masked

NUMBER, MASKED = "442071234567", "44207123****"


@pytest.fixture
def hiding(billing: Billing) -> Billing:
    define(billing)
    place(billing)
    billing.apply('[[client]]\nname = "Alice Telecom"\nhidden_numbers = true\n', name="hide.toml")
    return billing


def called(billing: Billing, *command: str) -> dict[str | None, set[str | None]]:
    """Return by client what a list says was called."""
    found: dict[str | None, set[str | None]] = {}
    for item in billing(*command, "--json").document:
        found.setdefault(item.get("client"), set()).add(item["called"])
    return found


@pytest.mark.parametrize(
    ("number", "shown"),
    [("442071234567", "44207123****"), ("12345", "1****"), ("1234", "****"), ("112", "***"), ("", "")],
)
def test_the_last_four_digits_are_masked_and_a_short_number_wholly(number: str, shown: str) -> None:
    assert masked(number) == shown


@given(st.text("0123456789*#", min_size=1), st.integers(0, 40))
def test_a_code_tells_no_more_than_its_number(number: str, length: int) -> None:
    """A rate for one number has it for its code."""
    [record] = hidden([{"called": number, "code": number[:length] or None, "hidden_numbers": True}])

    told = record["code"] or ""
    assert len(told) == len(number[:length])
    assert masked(number).startswith(told)


def test_xdrs_mask_the_numbers_of_those_who_hide_them_and_of_nobody_else(hiding: Billing) -> None:
    expected = {"Alice Telecom": {MASKED}, "Vendor": {NUMBER}, None: {NUMBER}}
    assert called(hiding, "xdrs") == expected
    assert called(hiding, "xdrs", "--limit", "10") == expected
    assert called(hiding, "calls") == {"Alice Telecom": {MASKED}, "Vendor": {NUMBER}}
    assert called(hiding, "transactions", "Alice Telecom") == {None: {MASKED}}
    assert called(hiding, "transactions", "Alice Telecom", "--limit", "1") == {None: {MASKED}}


@pytest.mark.parametrize(
    "command", [("xdrs", "--client", "Alice Telecom"), ("xdrs", "--client", "Alice Telecom", "--csv")]
)
def test_people_and_spreadsheets_see_no_more(hiding: Billing, command: tuple[str, ...]) -> None:
    told = hiding(*command).out

    assert NUMBER not in told
    assert told.count(MASKED) == 2
    if "--csv" in command:
        assert "hidden_numbers" not in next(csv.reader(StringIO(told)))


@pytest.mark.parametrize("command", [("xdrs",), ("calls",), ("transactions", "Alice Telecom")])
def test_who_needs_the_numbers_asks_for_them(hiding: Billing, command: tuple[str, ...]) -> None:
    shown = called(hiding, *command, "--show-numbers")

    assert set.union(*shown.values()) == {NUMBER}
    assert "hidden_numbers" not in hiding(*command, "--json").document[0]


def test_the_database_and_who_looks_into_a_call_keep_the_number(hiding: Billing) -> None:
    assert hiding.sql("SELECT DISTINCT called FROM xdr") == [(NUMBER,)]
    assert NUMBER in hiding("explain", "done").out
