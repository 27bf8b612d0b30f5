"""`billing resellers`: the tree, and what is under way and allowed at each level of it."""

from typing import Any

import pytest
from billing_command import Billing
from calls import request, start
from traffic import define, handle

MORE = """
[[reseller]]
name = "Another"
[[reseller]]
name = "Side"
parent = "Top"
capacity = 5

[[client]]
name = "Of the side"
currency = "USD"
reseller = "Side"
[[client]]
name = "Gone"
currency = "USD"
reseller = "Side"
status = "deleted"
"""


@pytest.fixture
def tree(billing: Billing) -> Billing:
    define(billing)
    billing.apply(MORE, name="more.toml")
    for call in ("first", "second"):
        handle(billing, request(call), start(call))
    return billing


def test_people_see_the_tree(tree: Billing) -> None:
    lines = tree("resellers", "list").out.splitlines()

    assert [line.split() for line in lines] == [
        ["reseller", "capacity", "in", "use", "clients", "clients", "whole"],
        ["Another", "0", "0", "0"],
        ["Top", "100", "2", "0", "2"],
        ["Low", "2", "1", "1"],
        ["Side", "5", "0", "1", "1"],
    ]
    assert [len(line) - len(line.lstrip()) for line in lines[2:4]] == [1, 3]


def test_programs_see_parent_and_path_and_what_each_level_bounds(tree: Billing) -> None:
    found = {item["name"]: item for item in tree("resellers", "list", "--json").document}

    assert [found[name]["path"] for name in ("Another", "Top", "Low")] == [
        ["Another"],
        ["Top"],
        ["Top", "Low"],
    ]
    assert found["Low"]["parent"] == "Top"
    assert found["Top"]["parent"] is None
    assert numbers(found["Top"]) == (100, 2, 0, 2)
    assert numbers(found["Low"]) == (None, 2, 1, 1)
    assert tree.sql("SELECT in_use FROM capacity_counter WHERE scope = 2 ORDER BY capacity") == [(0,), (2,)]


def numbers(item: dict[str, Any]) -> tuple[Any, ...]:
    return item["capacity"], item["in_use"], item["clients"], item["clients_whole"]


def test_one_reseller_is_shown_with_those_right_below_him(tree: Billing) -> None:
    tree.apply('[[reseller]]\nname = "Lowest"\nparent = "Low"\n', name="lowest.toml")

    found = tree("resellers", "show", "Top", "--json").document
    assert found["resellers"] == ["Low", "Side"]
    assert numbers(found) == (100, 2, 0, 2)
    assert "resellers Low, Side" in " ".join(tree("resellers", "show", "Top").out.split())


def test_an_unknown_reseller_is_told_with_the_name_that_was_meant(tree: Billing) -> None:
    result = tree("resellers", "show", "Topp")

    assert (result.code, result.err) == (1, 'reseller "Topp" is not known; did you mean "Top"?\n')
