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


def test_a_trusted_name_comes_before_an_address_and_an_unknown_one_after() -> None:
    definitions = catalogue((ALICE, [ALICE_ACCOUNT, BOB_ACCOUNT]))
    asked = request(credential=None, ip="198.51.100.1", calling="", name_is_trusted=True)

    named = identify(asked, definitions, NOON)
    unknown = identify(replace(asked, name="nobody"), definitions, NOON)

    assert isinstance(named, Candidate)
    assert isinstance(unknown, Candidate)
    assert (named.account.id, unknown.account.id) == (ALICE_ACCOUNT.id, BOB_ACCOUNT.id)


def test_where_names_are_trusted_a_wrong_password_is_still_wrong() -> None:
    found = identify(request(credential=Password("wrong"), name_is_trusted=True), alice(), NOON)

    assert isinstance(found, Denied)
    assert found.reason is Denial.BAD_PASSWORD
