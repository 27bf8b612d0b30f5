"""`billing audit`: every change of a client can be found again, by whatever is known of it."""

import pytest
from billing_command import Billing

from billing_core.admin.definitions.audit import operator

DEFINED = """
[[template]]
name = "VIP"
capacity = 5
[[client]]
name = "A"
currency = "EUR"
credit = "10.00"
[[client.account]]
ip = "192.0.2.1"
[[client]]
name = "B"
currency = "EUR"
"""


@pytest.fixture
def changed(billing: Billing) -> Billing:
    billing.apply(DEFINED)
    billing("clients", "set", "A", "--credit", "20", "--tags", "x, y")
    billing("clients", "set", "B", "--credit", "20")
    billing.apply('[[client]]\nname = "A"\n[[client.account]]\nip = "192.0.2.1"\ncapacity = 3\n')
    billing("block", "add", "client", "A", "--reason", "fraud")
    return billing


def found(billing: Billing, *flags: str) -> list[tuple[object, ...]]:
    rows = billing("audit", *flags, "--json").document
    return [(row["version"], row["name"], row["field"], row["before"], row["after"]) for row in rows]


CREDIT_OF_A = (2, "A", "credit", "10.00", "20")
CREDIT_OF_B = (3, "B", "credit", "0", "20")
CAPACITY = (4, "A/192.0.2.1", "capacity", None, "3")


SEARCHES: list[tuple[tuple[str, ...], list[tuple[object, ...]]]] = [
    (("--client", "A", "--field", "capacity"), [CAPACITY]),
    (("--client", "A", "--version", "4"), [CAPACITY]),
    (("--object", "account", "A/192.0.2.1", "--version", "4"), [CAPACITY]),
    (("--field", "credit", "--value", "20"), [CREDIT_OF_A, CREDIT_OF_B]),
    (("--value", "10.00", "--version", "2"), [CREDIT_OF_A]),
    (("--value", "1_.00", "--version", "2"), []),
    (("--value", "1*0", "--version", "2"), [CREDIT_OF_A]),
    (("--through", "clients set", "--field", "credit"), [CREDIT_OF_A, CREDIT_OF_B]),
    (("--through", "*set A", "--field", "credit"), [CREDIT_OF_A]),
    (("--through", "clients_set"), []),
    (("--who", "nobody of this machine"), []),
    (("--object", "block", "client A", "--field", "reason"), [(5, "client A", "reason", None, "fraud")]),
    (("--since", "2020-01-01", "--field", "credit", "--version", "3"), [CREDIT_OF_B]),
    (("--since", "2099-01-01"), []),
    (("--to", "2020-01-01"), []),
]


def test_changes_are_found_by_what_is_known_of_them(changed: Billing) -> None:
    assert [(flags, found(changed, *flags)) for flags, _ in SEARCHES] == SEARCHES


def test_a_limit_leaves_the_newest_and_the_oldest_comes_first(changed: Billing) -> None:
    everything = found(changed)

    assert found(changed, "--limit", "3") == everything[-3:]
    assert [row[0] for row in everything] == sorted(row[0] for row in everything)


def test_it_is_told_who_did_it_and_through_what(changed: Billing) -> None:
    [row] = changed("audit", "--field", "credit", "--version", "2", "--json").document
    result = changed("audit", "--client", "A", "--field", "credit")

    assert (row["who"], row["through"], row["object"]) == (operator(), "clients set A", "client")
    assert row["at"].endswith("Z")
    assert "10.00" in result.out
    assert "clients set A" in result.out


def test_what_never_was_is_told_rather_than_not_found(changed: Billing) -> None:
    of_client, of_kind = changed("audit", "--client", "Aa"), changed("audit", "--object", "clients", "A")

    assert (of_client.code, of_kind.code) == (1, 1)
    assert 'client "Aa" is not known' in of_client.err
    assert '"clients" is no kind of object; did you mean "client"?' in of_kind.err
    told = changed("audit", "--object", "?", "A").err
    assert told.count("watch") == 1, "each kind is named once"
