"""Who is it? The checks that need no number, and names that a switch vouches for."""

from dataclasses import replace
from typing import Any

import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, Password, catalogue, request

from billing_core.authorization import Candidate, Denied, Identified, authenticate, identify
from billing_core.catalogue import Catalogue
from billing_core.client import Account, Client, Status
from billing_core.denial import Denial

BOB_ACCOUNT = Account(id=11, client_id=ALICE.id, ip="198.51.100.1")


def alice(client: Client = ALICE, account: Account = ALICE_ACCOUNT) -> Catalogue:
    return catalogue((client, [account]))


def test_somebody_is_identified_without_a_number_and_without_a_rate() -> None:
    poor = replace(ALICE, rate_table_id=None, capacity=0)

    found = authenticate(request(called="", authentication_only=True), alice(poor))

    assert found == Identified(poor, ALICE_ACCOUNT)


@pytest.mark.parametrize(
    ("fields", "client", "account", "reason"),
    [
        ({"malformed": "User-Name"}, {}, {}, Denial.MALFORMED),
        ({"name": "nobody"}, {}, {}, Denial.UNKNOWN_ACCOUNT),
        ({"credential": Password("wrong")}, {}, {}, Denial.BAD_PASSWORD),
        ({}, {"status": Status.STOP}, {}, Denial.CLIENT_STOPPED),
        ({}, {}, {"orig": False}, Denial.ACCOUNT_OFF),
    ],
    ids=lambda value: value.value if isinstance(value, Denial) else "",
)
def test_the_checks_that_need_no_number_are_made(
    fields: dict[str, Any], client: dict[str, Any], account: dict[str, Any], reason: Denial
) -> None:
    definitions = alice(replace(ALICE, **client), replace(ALICE_ACCOUNT, **account))

    found = authenticate(request(called="", authentication_only=True, **fields), definitions)

    assert isinstance(found, Denied)
    assert found.reason is reason


def test_a_name_without_a_credential_says_nothing() -> None:
    found = identify(request(credential=None, ip=None, calling=""), alice(), NOON)

    assert isinstance(found, Denied)
    assert found.reason is Denial.UNKNOWN_ACCOUNT


def test_a_trusted_name_is_enough() -> None:
    found = identify(request(credential=None, ip=None, calling="", name_is_trusted=True), alice(), NOON)

    assert isinstance(found, Candidate)
    assert found.account is ALICE_ACCOUNT


def test_a_trusted_name_decides_alone_and_without_one_the_address_does() -> None:
    by_ani = Account(id=12, client_id=ALICE.id, ani="1222333")
    definitions = catalogue((ALICE, [ALICE_ACCOUNT, BOB_ACCOUNT, by_ani]))
    asked = request(credential=None, ip="198.51.100.1", name_is_trusted=True)

    named = identify(asked, definitions, NOON)
    unknown = identify(asked._replace(name="nobody"), definitions, NOON)
    nameless = identify(asked._replace(name=None), definitions, NOON)

    assert isinstance(named, Candidate)
    assert isinstance(nameless, Candidate)
    assert (named.account.id, nameless.account.id) == (ALICE_ACCOUNT.id, BOB_ACCOUNT.id)
    assert unknown == Denied(Denial.UNKNOWN_ACCOUNT)


def test_where_names_are_trusted_a_wrong_password_is_still_wrong() -> None:
    found = identify(request(credential=Password("wrong"), name_is_trusted=True), alice(), NOON)

    assert isinstance(found, Denied)
    assert found.reason is Denial.BAD_PASSWORD


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "nobody"},
        {"credential": None, "name_is_trusted": True},
        {"credential": None, "ip": "198.51.100.1"},
        {"credential": None, "ip": None, "calling": "1222333"},
    ],
    ids=["by password", "of nobody", "by a trusted name", "by address", "by number"],
)
def test_a_proof_that_is_not_checked_is_refused_before_an_account_is_looked_for(
    fields: dict[str, Any],
) -> None:
    by_ani = Account(id=12, client_id=ALICE.id, ani="1222333")
    definitions = catalogue((ALICE, [ALICE_ACCOUNT, BOB_ACCOUNT, by_ani]))

    found = authenticate(request(unchecked_proof="EAP-Message", **fields), definitions)

    because = "EAP-Message is a proof that is not checked here"
    assert found == Denied(Denial.BAD_PASSWORD, because=because)
