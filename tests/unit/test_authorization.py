"""May a call start, and for how long: the order of the checks, and what each of them says."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, VENDOR, VENDOR_ACCOUNT, Password, at, catalogue, rate, request
from hypothesis import given
from hypothesis import strategies as st

from billing_core.authorization import (
    AuthorizationRequest,
    Authorized,
    Candidate,
    Denied,
    Identified,
    authenticate,
    decide,
    identify,
)
from billing_core.balance import Balance
from billing_core.capacity import Counter, CounterKey, Scope
from billing_core.catalogue import Catalogue
from billing_core.client import Account, Client, LowBalance, Status
from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.session import Leg, Session, State

LIMITS = Limits()
RESELLER_FULL = {(Scope.RESELLER, 100): Counter(5, 5)}
FULL = {(Scope.ACCOUNT, 10): Counter(1, 1), **RESELLER_FULL}
Counters = dict[CounterKey, Counter]


def ask(
    asked: AuthorizationRequest,
    definitions: Catalogue,
    balance: Balance = Balance(live=Decimal(1)),  # noqa: B008 - a value that never changes
    counters: Counters | None = None,
    session: Session | None = None,
    now: Any = NOON,
) -> Authorized | Denied:
    found = identify(asked, definitions, now)
    if isinstance(found, Denied):
        return found
    return decide(found, balance, counters or {}, session, LIMITS, now)


def alice(client: Client = ALICE, account: Account = ALICE_ACCOUNT, **definitions: Any) -> Catalogue:
    return catalogue((client, [account]), **definitions)


def has(live: str, **rest: Any) -> Balance:
    return Balance(live=Decimal(live), **rest)


def reason(outcome: Authorized | Denied) -> Denial:
    assert isinstance(outcome, Denied)
    return outcome.reason


def seconds(outcome: Authorized | Denied) -> int:
    assert isinstance(outcome, Authorized)
    return outcome.credit_time_seconds


def granted(candidate: Candidate, outcome: Authorized, **fields: Any) -> Session:
    """Return the session that Accept opened at noon."""
    opened = Session(
        leg_key=request().leg_key,
        generation=0,
        nas="gw",
        nas_box="gw-1",
        leg=Leg.ORIGINATION,
        state=State.RESERVED,
        call_id="call-1",
        session_id="",
        calling="",
        called=candidate.number,
        client_id=candidate.client.id,
        account_id=candidate.account.id,
        opened_at=NOON,
        look_at=at(7260),
        last_heard_at=NOON,
        rate=candidate.rate,
        authorized_at=NOON,
        credit_time_seconds=outcome.credit_time_seconds,
        reserved=outcome.reserved,
    )
    return opened._replace(**fields)


def accepted(definitions: Catalogue, balance: Balance, **fields: Any) -> Session:
    found = identify(request(), definitions, NOON)
    outcome = ask(request(), definitions, balance)
    assert isinstance(found, Candidate)
    assert isinstance(outcome, Authorized)
    return granted(found, outcome, **fields)


# --- the order of the checks ------------------------------------------------------------------------

# Everything is wrong with the first call. Each line mends what the line above was denied for.
STOPPED = replace(
    ALICE,
    status=Status.STOP,
    capacity=3,
    low_balance=LowBalance(Decimal(5), 1),
    reseller_ids=(100,),
    credit=Decimal(0),
)
OFF = replace(ALICE_ACCOUNT, orig=False)
ACTIVE = replace(STOPPED, status=Status.ACTIVE)
ROOMY = replace(ACTIVE, capacity=None)
WITHOUT_LOW_BALANCE = replace(ROOMY, low_balance=None)
IN_CREDIT = replace(WITHOUT_LOW_BALANCE, credit=Decimal(2))
NOWHERE: dict[str, Any] = {"sold": []}
STRANGER, WRONG = {"name": "bob"}, {"credential": Password("guess")}
UNSIGNED: dict[str, Any] = {"credential": None, "path_is_trusted": False}
THREE_UP = has("0", in_use=3)

# mended | what the request says | client | account | rates | balance | full counters | denied for
CHECKS: list[tuple[str, dict[str, Any], Client, Account, dict[str, Any], Balance, Counters, Denial]] = [
    ("nothing", {**STRANGER, **UNSIGNED, "malformed": "User-Name"}, STOPPED, OFF, NOWHERE, THREE_UP, FULL,
     Denial.MALFORMED),
    ("one User-Name", {**STRANGER, **UNSIGNED}, STOPPED, OFF, NOWHERE, THREE_UP, FULL, Denial.UNTRUSTED_PATH),
    ("a signature", {**STRANGER, **WRONG, "unsupported_digest": "algorithm SHA-512"}, STOPPED, OFF, NOWHERE,
     THREE_UP, FULL, Denial.UNSUPPORTED_DIGEST),
    ("a Digest that is taken", {**STRANGER, **WRONG}, STOPPED, OFF, NOWHERE, THREE_UP, FULL,
     Denial.UNKNOWN_ACCOUNT),
    ("a known name", WRONG, STOPPED, OFF, NOWHERE, THREE_UP, FULL, Denial.BAD_PASSWORD),
    ("the right password", {}, STOPPED, OFF, NOWHERE, THREE_UP, FULL, Denial.CLIENT_STOPPED),
    ("an active client", {}, ACTIVE, OFF, NOWHERE, THREE_UP, FULL, Denial.ACCOUNT_OFF),
    ("an account switched on", {}, ACTIVE, ALICE_ACCOUNT, NOWHERE, THREE_UP, FULL, Denial.NO_RATE),
    ("a rate", {}, ACTIVE, ALICE_ACCOUNT, {}, THREE_UP, FULL, Denial.CAPACITY_ACCOUNT),
    ("a place of the account", {}, ACTIVE, ALICE_ACCOUNT, {}, THREE_UP, RESELLER_FULL,
     Denial.CAPACITY_LOW_BALANCE),
    ("enough balance", {}, ACTIVE, ALICE_ACCOUNT, {}, has("5", in_use=3, reserved=Decimal(5)),
     RESELLER_FULL, Denial.CAPACITY_CLIENT),
    ("no limit of the client", {}, WITHOUT_LOW_BALANCE, ALICE_ACCOUNT, {}, THREE_UP,
     RESELLER_FULL, Denial.CAPACITY_RESELLER),
    ("a place of the reseller", {}, WITHOUT_LOW_BALANCE, ALICE_ACCOUNT, {}, THREE_UP, {}, Denial.NO_MONEY),
    ("credit, but used up", {}, IN_CREDIT, ALICE_ACCOUNT, {}, has("-2", in_use=3), {}, Denial.CREDIT_LIMIT),
    ("half a cent", {}, IN_CREDIT, ALICE_ACCOUNT, {}, has("-1.995", in_use=3), {}, Denial.TOO_LITTLE),
]  # fmt: skip

# Which reasons nothing gives yet: blocked destinations do not exist, and failure is the daemon's own.
NOT_FROM_HERE = {Denial.BLOCKED, Denial.FAILURE}


@pytest.mark.parametrize(
    ("says", "client", "account", "rates", "balance", "counters", "expected"),
    [row[1:] for row in CHECKS],
    ids=[row[0] for row in CHECKS],
)
def test_the_first_check_that_fails_names_the_denial(
    says, client, account, rates, balance, counters, expected
):
    outcome = ask(request(**says), alice(client, account, **rates), balance, counters)

    assert reason(outcome) is expected


def test_a_call_with_nothing_wrong_is_accepted():
    outcome = ask(request(), alice(IN_CREDIT), has("-1.99", in_use=3))

    assert seconds(outcome) == 1


def test_every_denial_is_reached_or_known_to_come_from_elsewhere():
    assert {row[-1] for row in CHECKS} | NOT_FROM_HERE == set(Denial)
    assert NOT_FROM_HERE.isdisjoint(row[-1] for row in CHECKS)


def test_what_was_known_of_the_caller_is_told_with_the_denial():
    assert ask(request(name="bob"), alice()) == Denied(Denial.UNKNOWN_ACCOUNT)
    assert ask(request(**WRONG), alice()) == Denied(Denial.BAD_PASSWORD, ALICE, ALICE_ACCOUNT)
    assert ask(request(), alice(), has("0")) == Denied(Denial.NO_MONEY, ALICE, ALICE_ACCOUNT)


@pytest.mark.parametrize("status", [Status.STOP, Status.DELETED])
def test_only_an_active_client_may_call(status):
    assert reason(ask(request(), alice(replace(ALICE, status=status)))) is Denial.CLIENT_STOPPED


# --- who calls --------------------------------------------------------------------------------------

BY_IP = Account(id=11, client_id=1, ip="198.51.100.1")
BY_ANI = Account(id=12, client_id=1, ani="+1222333")


def caller(asked: AuthorizationRequest, *accounts: Account) -> int | Denial:
    found = identify(asked, catalogue((ALICE, list(accounts))), NOON)
    return found.account.id if isinstance(found, Candidate) else found.reason


def test_a_request_with_a_credential_is_decided_by_its_name_alone():
    assert caller(request(), ALICE_ACCOUNT, BY_IP, BY_ANI) == 10
    assert caller(request(), BY_IP, BY_ANI) is Denial.UNKNOWN_ACCOUNT
    assert caller(request(name=None), ALICE_ACCOUNT, BY_IP, BY_ANI) is Denial.UNKNOWN_ACCOUNT


def test_without_a_credential_the_name_says_nothing():
    assert caller(request(credential=None), ALICE_ACCOUNT) is Denial.UNKNOWN_ACCOUNT


def test_without_a_credential_the_address_is_tried_before_the_calling_number():
    assert caller(request(credential=None), ALICE_ACCOUNT, BY_IP, BY_ANI) == 11
    assert caller(request(credential=None, ip="192.0.2.7"), BY_IP, BY_ANI) == 12
    assert caller(request(credential=None, ip=None), BY_IP, BY_ANI) == 12
    assert caller(request(credential=None, ip=None, calling=""), BY_IP, BY_ANI) is Denial.UNKNOWN_ACCOUNT


@pytest.mark.parametrize("calling", ["1222333", "+1222333", "001222333"])
def test_the_calling_number_is_compared_without_its_international_prefix(calling):
    assert caller(request(credential=None, ip=None, calling=calling), BY_ANI) == 12


BY_NAME_ALONE = {"name": "alice", "name_is_trusted": True, "ip": None, "calling": ""}
WHO = {
    "by address": {"ip": "198.51.100.1"},
    "by number": {"ip": None, "calling": "12025550100"},
    "by a trusted name": BY_NAME_ALONE,
    "nobody": {"ip": None, "calling": "", "name": None},
}


@pytest.mark.parametrize("who", WHO.values(), ids=WHO)
def test_who_proves_nothing_needs_a_path_that_is_trusted(who):
    asked = request(credential=None, **who, path_is_trusted=False)

    assert caller(asked, BY_IP, BY_ANI, ALICE_ACCOUNT) is Denial.UNTRUSTED_PATH
    assert caller(asked._replace(path_is_trusted=True), BY_IP, BY_ANI, ALICE_ACCOUNT) is not (
        Denial.UNTRUSTED_PATH
    )


def test_a_password_is_believed_on_any_path():
    assert caller(request(path_is_trusted=False), ALICE_ACCOUNT) == ALICE_ACCOUNT.id
    assert caller(request(**WRONG, path_is_trusted=False), ALICE_ACCOUNT) is Denial.BAD_PASSWORD


def test_an_account_with_a_name_but_no_password_lets_nobody_in():
    for password in (None, ""):
        open_door = replace(ALICE_ACCOUNT, password=password)
        assert caller(request(credential=Password("")), open_door) is Denial.BAD_PASSWORD


def test_a_tech_prefix_chooses_the_account_and_is_taken_off_before_the_international_prefix():
    retail = Account(id=13, client_id=1, ip="198.51.100.1", tech_prefix="")
    premium = Account(id=14, client_id=1, ip="198.51.100.1", tech_prefix="99#")
    definitions = catalogue((ALICE, [retail, premium]))

    found = identify(request(credential=None, called="99#+442071234567"), definitions, NOON)
    plain = identify(request(credential=None, called="+442071234567"), definitions, NOON)

    assert isinstance(found, Candidate)
    assert isinstance(plain, Candidate)
    assert (found.account.id, found.number) == (14, "442071234567")
    assert (plain.account.id, plain.number) == (13, "442071234567")


def test_a_number_without_the_only_tech_prefix_is_of_nobody():
    assert caller(request(), replace(ALICE_ACCOUNT, tech_prefix="99#")) is Denial.UNKNOWN_ACCOUNT


@pytest.mark.parametrize("is_on", [True, False], ids=["switched on", "switched off"])
@pytest.mark.parametrize("called", ["442071234567", "+99#442071234567", "0099#442071234567"])
def test_an_address_whose_accounts_want_another_tech_prefix_is_of_nobody_whatever_its_number(called, is_on):
    """Who leaves out the prefix must not be charged to somebody else by the number that he shows."""
    prefixed = replace(BY_IP, tech_prefix="99#", orig=is_on)
    definitions = catalogue((ALICE, [prefixed, BY_ANI]))
    asked = request(credential=None, called=called)

    assert identify(asked, definitions, NOON) == Denied(Denial.UNKNOWN_ACCOUNT)
    for nobodys in ("192.0.2.7", None):
        assert authenticate(asked._replace(ip=nobodys), definitions) == Identified(ALICE, BY_ANI)


@pytest.mark.parametrize("called", ["", "+", "00", "44 20", "sip:44@example.com", "\uff14\uff14", "331234"])
def test_a_number_that_is_none_or_has_no_rate_is_denied_for_its_rate(called):
    assert reason(ask(request(called=called), alice())) is Denial.NO_RATE


def test_a_client_without_a_rate_table_has_no_rates():
    assert reason(ask(request(), alice(replace(ALICE, rate_table_id=None)))) is Denial.NO_RATE
    assert reason(ask(request(), alice(replace(ALICE, rate_table_id=9)))) is Denial.NO_RATE


def test_the_vendors_address_brings_no_calls():
    definitions = catalogue((VENDOR, [VENDOR_ACCOUNT]))

    assert reason(ask(request(credential=None, ip="203.0.113.20"), definitions)) is Denial.ACCOUNT_OFF


# --- the rate ---------------------------------------------------------------------------------------


def price(definitions: Catalogue, now: Any = NOON) -> Decimal | None:
    found = identify(request(), definitions, now)
    return found.rate.price_per_minute if isinstance(found, Candidate) else None


def test_the_longest_code_of_the_number_is_its_rate():
    rates = [rate("1/min 1/1", "4"), rate("2/min 1/1", "4420"), rate("3/min 1/1", "4421")]

    assert price(alice(sold=rates)) == 2


def test_a_rate_holds_from_its_date_until_it_is_replaced_or_ends():
    new_year, spring = at(0) - timedelta(days=60), at(0) + timedelta(days=60)
    old = rate("1/min 1/1", "44")
    new = rate("2/min 1/1", "44", effective_from=new_year, end_date=spring)
    definitions = alice(sold=[new, old, rate("9/min 1/1", "4")])

    assert price(definitions, new_year - timedelta(seconds=1)) == 1
    assert price(definitions, new_year) == 2
    assert price(definitions, spring - timedelta(seconds=1)) == 2
    # The old rate was replaced for good: what remains is the shorter code.
    assert price(definitions, spring) == 9


# --- money ------------------------------------------------------------------------------------------


def test_the_money_that_the_granted_time_costs_is_reserved():
    outcome = ask(request(), alice(), has("1.005"))

    assert isinstance(outcome, Authorized)
    assert (outcome.credit_time_seconds, outcome.reserved) == (100, Decimal(1))
    assert outcome.available == Decimal("1.005")


def test_money_that_other_calls_hold_is_not_granted_again():
    outcome = ask(request(), alice(), has("1", reserved=Decimal("0.40")))

    assert seconds(outcome) == 60
    assert reason(ask(request(), alice(), has("1", reserved=Decimal(1)))) is Denial.NO_MONEY


def test_a_postpaid_client_may_call_as_long_as_any_call_and_nothing_is_reserved():
    outcome = ask(request(), alice(replace(ALICE, postpaid=True)), has("-1000"))

    assert isinstance(outcome, Authorized)
    assert (outcome.credit_time_seconds, outcome.reserved, outcome.available) == (7200, Decimal(0), None)


def test_a_negative_credit_is_money_that_must_stay():
    kept = replace(ALICE, credit=Decimal("-0.40"))

    assert seconds(ask(request(), alice(kept), has("1"))) == 60
    assert reason(ask(request(), alice(kept), has("0.40"))) is Denial.NO_MONEY


def test_money_that_pays_only_the_grace_is_too_little():
    dear = alice(sold=[rate("1/min 30/1 setup 0.3 grace 2")])

    assert reason(ask(request(), dear, has("0.79"))) is Denial.TOO_LITTLE
    assert seconds(ask(request(), dear, has("0.80"))) == 30


def test_a_call_that_pays_the_caller_reserves_nothing():
    outcome = ask(request(), alice(sold=[rate("-0.60/min 1/1")]), has("0"))

    assert isinstance(outcome, Authorized)
    assert (outcome.credit_time_seconds, outcome.reserved) == (7200, Decimal(0))


@given(
    st.decimals(-20, 20, places=4),
    st.decimals(-5, 5, places=2),
    st.decimals(0, 10, places=4),
    st.sampled_from(["0.60/min 1/1", "1/min 30/1 setup 0.3 grace 2", "0.0129/min 60/60", "0/min 1/1"]),
)
def test_what_is_reserved_in_all_never_exceeds_what_is_available(live, credit, reserved, written):
    client = replace(ALICE, credit=credit)
    outcome = ask(request(), alice(client, sold=[rate(written)]), Balance(live, reserved))

    if isinstance(outcome, Authorized):
        assert 0 < outcome.credit_time_seconds <= LIMITS.max_call_seconds
        assert reserved + outcome.reserved <= live + credit


# --- capacity ---------------------------------------------------------------------------------------

LOW = LowBalance(threshold=Decimal(5), capacity=2)

# capacity | low balance | live | legs under way | outcome
PLACES: list[tuple[int | None, LowBalance | None, str, int, Denial | None]] = [
    (None, None, "9", 1000, None),
    (3, None, "9", 2, None),
    (3, None, "9", 3, Denial.CAPACITY_CLIENT),
    (0, None, "9", 0, Denial.CAPACITY_CLIENT),
    (None, LOW, "5", 1000, None),
    (None, LOW, "4.99", 1, None),
    (None, LOW, "4.99", 2, Denial.CAPACITY_LOW_BALANCE),
    (3, LOW, "5", 2, None),
    (3, LOW, "4.99", 2, Denial.CAPACITY_LOW_BALANCE),
    (3, LOW, "5", 3, Denial.CAPACITY_CLIENT),
    (1, LOW, "4.99", 1, Denial.CAPACITY_CLIENT),
]


@pytest.mark.parametrize(("capacity", "low", "live", "in_use", "expected"), PLACES)
def test_the_stricter_of_capacity_and_low_balance_capacity_holds(capacity, low, live, in_use, expected):
    client = replace(ALICE, capacity=capacity, low_balance=low)
    outcome = ask(request(), alice(client), has(live, in_use=in_use))

    assert (outcome.reason if isinstance(outcome, Denied) else None) is expected


def test_a_low_balance_counts_the_credit_but_not_the_reservations():
    client = replace(ALICE, low_balance=LOW, credit=Decimal(2))

    assert seconds(ask(request(), alice(client), has("3", in_use=2, reserved=Decimal(4)))) == 100
    assert reason(ask(request(), alice(client), has("2.99", in_use=2))) is Denial.CAPACITY_LOW_BALANCE


def test_the_balance_of_a_postpaid_client_is_never_low():
    client = replace(ALICE, low_balance=LOW, postpaid=True)

    assert seconds(ask(request(), alice(client), has("-100", in_use=50))) == 7200


@pytest.mark.parametrize("full", [100, 101])
def test_every_reseller_up_to_the_root_needs_a_place(full):
    client = replace(ALICE, reseller_ids=(100, 101))
    counters = {(Scope.RESELLER, id): Counter(5, 5 if id == full else 4) for id in (100, 101)}

    assert reason(ask(request(), alice(client), counters=counters)) is Denial.CAPACITY_RESELLER


def test_the_capacity_of_others_does_not_matter():
    counters = {(Scope.ACCOUNT, 11): Counter(0, 0), (Scope.RESELLER, 10): Counter(0, 0)}

    assert seconds(ask(request(), alice(), counters=counters)) == 100


# --- a second request for the same call -------------------------------------------------------------


def test_a_repeated_request_has_its_own_money_and_place_to_use_again():
    client = replace(ALICE, capacity=1, reseller_ids=(100,))
    mine = accepted(alice(client), has("1"))
    taken = has("1", reserved=mine.reserved, in_use=1)
    counters = {(Scope.ACCOUNT, 10): Counter(1, 1), (Scope.RESELLER, 100): Counter(1, 1)}

    assert seconds(ask(request(), alice(client), taken, counters, mine)) == 100
    assert reason(ask(request(), alice(client), taken, counters)) is Denial.CAPACITY_ACCOUNT


def test_of_a_call_under_way_the_time_that_has_passed_is_spent():
    mine = accepted(alice(), has("1"), state=State.ACTIVE)
    taken = has("1", reserved=mine.reserved, in_use=1)
    topped_up = has("2", reserved=mine.reserved, in_use=1)

    again = ask(request(), alice(), taken, session=mine, now=at(40))
    longer = ask(request(), alice(), topped_up, session=mine, now=at(40))

    assert isinstance(again, Authorized)
    assert (again.credit_time_seconds, again.reserved) == (60, Decimal(1))
    assert isinstance(longer, Authorized)
    assert (longer.credit_time_seconds, longer.reserved) == (160, Decimal(2))
    assert reason(ask(request(), alice(), taken, session=mine, now=at(100))) is Denial.TOO_LITTLE


def test_a_call_that_was_not_heard_of_may_have_been_answered_at_once():
    mine = accepted(alice(), has("1"))
    taken = has("1", reserved=mine.reserved, in_use=1)

    assert seconds(ask(request(), alice(), taken, session=mine, now=at(40))) == 60


def test_an_open_leg_never_gets_cheaper():
    mine = accepted(alice(), has("1"))
    cheap = alice(sold=[rate("0.06/min 1/1")])
    again = ask(request(), cheap, has("1", reserved=mine.reserved, in_use=1), session=mine)
    poorer = ask(request(), alice(), has("0.50", reserved=mine.reserved, in_use=1), session=mine)

    assert (seconds(again), again.reserved) == (100, mine.reserved)
    assert (seconds(poorer), poorer.reserved) == (100, mine.reserved)


def test_an_accept_always_names_a_time_p_090():
    found = identify(request(), alice(), NOON)
    assert isinstance(found, Candidate)

    with pytest.raises(AssertionError):
        Authorized(found, 0, Decimal(0), None)
