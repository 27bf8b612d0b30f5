"""What a leg is accepted for, when its question comes again after it had given its money back."""

from decimal import Decimal

from calls import ALICE, ALICE_ACCOUNT, NOON, at, rate, request

from billing_core.asked import Asked, asked_numbers
from billing_core.authorization import Authorized, Candidate
from billing_core.conversation import Conversation
from billing_core.limits import Limits
from billing_core.opening import granted
from billing_core.rate_table import Rate

LONDON, CUBA = "442071234567", "5312345678"
LIMITS = Limits()
CHEAP, DEAR = rate("0.60/min 1/1", "44"), rate("6/min 1/1", "53")


def accepted(number: str, price: Rate) -> Authorized:
    return Authorized(Candidate(ALICE, ALICE_ACCOUNT, price, number), 100, Decimal(10), None, 100)


def test_a_leg_that_gave_its_money_back_keeps_the_numbers_that_it_was_asked_for():
    first = granted(request(called=LONDON), accepted(LONDON, CHEAP), None, LIMITS, NOON).released(at(60))
    moved = granted(
        request(called=CUBA), accepted(CUBA, DEAR), Conversation(first, True, False), LIMITS, at(61)
    )
    back = granted(
        request(called=LONDON),
        accepted(LONDON, CHEAP),
        Conversation(moved.released(at(121)), True, False),
        LIMITS,
        at(122),
    )

    assert (moved.called, moved.rate) == (CUBA, DEAR)
    assert asked_numbers(moved.asked) == [Asked(LONDON, CHEAP)]
    assert (back.called, back.rate) == (LONDON, CHEAP)
    assert asked_numbers(back.asked) == [Asked(CUBA, DEAR)]
