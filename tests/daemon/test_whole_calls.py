"""A call from its question to its price, and every way of being refused, as a switch sees them."""

from typing import Any

import pytest
from daemon_process import Daemon, short
from radius_switch import FAILED, INTERIM, START, STOP, Answer, Switch, new_call

from billing_core.denial import Denial
from radiusd.codec import encode
from radiusd.replies import REPLY_MESSAGES
from radiusd.wire import CLASS, MESSAGE_AUTHENTICATOR, PROXY_STATE, REPLY_MESSAGE, VENDOR_SPECIFIC, Code

ITALY = "390612345678"

DENIALS: list[tuple[dict[str, Any], Denial, int]] = [
    # what is asked, why it is refused, h323-return-code by default
    ({"user": "nobody"}, Denial.UNKNOWN_ACCOUNT, 1),
    ({"user": "alice", "password": "wrong"}, Denial.BAD_PASSWORD, 2),
    ({"user": "narrow-account"}, Denial.CAPACITY_ACCOUNT, 3),
    ({"user": "narrow-client"}, Denial.CAPACITY_CLIENT, 3),
    ({"user": "narrow-reseller"}, Denial.CAPACITY_RESELLER, 3),
    ({"user": "low-balance"}, Denial.CAPACITY_LOW_BALANCE, 3),
    ({"user": "poor"}, Denial.NO_MONEY, 4),
    ({"user": "stopped"}, Denial.CLIENT_STOPPED, 7),
    ({"user": "receiver"}, Denial.ACCOUNT_OFF, 7),
    ({"user": "alice", "called": "15551234567"}, Denial.NO_RATE, 9),
    ({"user": "alice", "called": "+"}, Denial.NO_RATE, 9),
    ({"user": "small-change", "called": ITALY}, Denial.TOO_LITTLE, 12),
]


def sent(answer: Answer, name: str) -> str | None:
    return answer.attributes.text(name)


@pytest.mark.parametrize("chap", [False, True], ids=["PAP", "CHAP"])
def test_a_call_is_accepted_for_what_the_money_pays_and_charged_for_what_it_lasted(
    daemon: Daemon, chap: bool
) -> None:
    client, call = daemon.client(credit="10"), new_call()
    with daemon.switch() as switch:
        accept = switch.ask(switch.access(user=client, call=call, chap=chap))
        granted = daemon.billing.money(client)
        kinds = [
            switch.ask(switch.record(START, call, accept.classes, user=client)).code,
            switch.ask(switch.record(INTERIM, call, accept.classes, user=client, seconds=1)).code,
        ]
        under_way = daemon.billing.money(client)
        kinds.append(switch.ask(switch.record(STOP, call, accept.classes, user=client, seconds=61)).code)
    ended = daemon.billing.client(client)

    assert accept.accepted
    assert accept.seconds == 1000
    assert granted == under_way == ("0", "10", 1)
    assert kinds == [Code.ACCOUNTING_RESPONSE] * 3
    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    assert short(ended["balance"]["available"]) == "9.39"
    [xdr] = daemon.billing.xdrs(call)
    assert (xdr["client"], xdr["account"], xdr["leg"]) == (client, client, "origination")
    assert (xdr["duration_seconds"], xdr["billed_seconds"], short(xdr["amount"])) == (61, 61, "0.61")
    assert (xdr["code"], xdr["destination"], xdr["currency"]) == ("44", "United Kingdom", "USD")
    assert (xdr["call_id"], xdr["session_id"], xdr["state"]) == (call, f"session {call}", "rated")


def test_an_accept_tells_everything_that_a_voice_script_wants_to_know(daemon: Daemon) -> None:
    client = daemon.client(credit="10", more='locale = "fr_FR"')
    with daemon.switch() as switch:
        accept = switch.ask(switch.access(user=client, call=new_call()))

    # P-048: Message-Authenticator stands first.
    assert accept.octets[20] == MESSAGE_AUTHENTICATOR
    assert sent(accept, "h323-return-code") == "0"
    assert sent(accept, "h323-credit-time") == str(accept.seconds) == "1000"
    assert sent(accept, "h323-preferred-lang") == "fr"
    assert sent(accept, "h323-credit-amount") == "10.00"
    assert sent(accept, "h323-currency") == "USD"
    assert sent(accept, "h323-billing-model") == "1"
    assert len(accept.attributes.raws("Class")) == 1
    # Cisco repeats the name of the attribute in its text.
    assert b"h323-credit-time=1000" in accept.octets


def test_a_postpaid_client_is_granted_the_longest_call_and_shown_no_amount(daemon: Daemon) -> None:
    client = daemon.client(more="postpaid = true")
    with daemon.switch() as switch:
        accept = switch.ask(switch.access(user=client, call=new_call()))

    assert accept.seconds == 7200
    assert sent(accept, "h323-credit-amount") is None
    assert sent(accept, "h323-preferred-lang") is None
    assert sent(accept, "h323-billing-model") == "0"


@pytest.mark.parametrize(
    ("asked", "reason", "return_code"),
    DENIALS,
    ids=[f"{denial.value}-{'-'.join(map(str, asked.values()))}" for asked, denial, _ in DENIALS],
)
def test_a_denial_has_its_code_its_text_and_its_metric_p_080(
    daemon: Daemon, asked: dict[str, Any], reason: Denial, return_code: int
) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        reject = switch.ask(switch.access(call=new_call(), **asked))

    assert reject.code is Code.ACCESS_REJECT
    assert reject.return_code == str(return_code)
    assert reject.message == REPLY_MESSAGES[reason]
    assert change.by("radiusd_denials_total") == 1
    assert change.by("radiusd_denials_total", nas="gw", reason=reason.value) == 1
    assert change.by("radiusd_replies_total", nas="gw", code="access_reject") == 1


def test_a_client_who_used_up_his_credit_is_told_so(daemon: Daemon) -> None:
    client = daemon.client(credit="1")
    daemon.billing("payment", client, "-1")
    with daemon.change() as change, daemon.switch() as switch:
        reject = switch.ask(switch.access(user=client, call=new_call()))

    assert reject.return_code == "6"
    assert change.by("radiusd_denials_total", reason="credit_limit") == 1


def test_two_user_names_contradict_each_other_b_044(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        reject = switch.ask(switch.access(encode("User-Name", "poor"), call=new_call()))

    assert reject.return_code == "11"
    assert change.by("radiusd_denials_total", reason="malformed") == 1


def test_every_denial_is_in_the_tables_of_these_tests() -> None:
    others = {Denial.CREDIT_LIMIT, Denial.MALFORMED}
    # The backend's failure is in the tests without database, an untrusted path in those of unsigned
    # questions, a Digest that is not taken in those of Digest; no definition can block a code yet.
    elsewhere = {Denial.FAILURE, Denial.UNTRUSTED_PATH, Denial.UNSUPPORTED_DIGEST, Denial.BLOCKED}

    assert {reason for _, reason, _ in DENIALS} | others | elsewhere == set(Denial)


def test_a_nas_may_have_return_codes_of_its_own(daemon: Daemon) -> None:
    with daemon.switch("127.0.0.5") as switch:
        codes = [
            switch.ask(switch.access(user=user, password=password, call=new_call())).return_code
            for user, password in (("poor", "secret"), ("poor", "wrong"), ("nobody", "secret"))
        ]

    assert codes == ["12", "1", "1"]


def test_the_plain_dialect_gets_no_vendor_attributes(daemon: Daemon) -> None:
    with daemon.switch("127.0.0.4") as switch:
        accept = switch.ask(switch.access(call=new_call()))
        reject = switch.ask(switch.access(user="poor", call=new_call()))

    assert accept.seconds == 7200
    assert {kind for kind, _ in (*accept.sent, *reject.sent)}.isdisjoint({VENDOR_SPECIFIC})
    assert reject.message == "No money left"


def test_a_reject_carries_nothing_but_its_reasons_p_087(daemon: Daemon) -> None:
    allowed = {MESSAGE_AUTHENTICATOR, REPLY_MESSAGE, PROXY_STATE, VENDOR_SPECIFIC}
    with daemon.switch() as switch:
        reject = switch.ask(switch.access(encode("Proxy-State", b"p"), user="poor", call=new_call()))
    vendor = [value for kind, value in reject.sent if kind == VENDOR_SPECIFIC]

    assert {kind for kind, _ in reject.sent} == allowed
    assert vendor == [b"\0\0\0\x09" + bytes((103, 20)) + b"h323-return-code=4"]


@pytest.mark.parametrize("user", ["alice", "poor", "mallory-was-here"])
def test_nothing_that_a_sender_chose_comes_back_to_him_p_054(daemon: Daemon, user: str) -> None:
    secrets = [
        encode("State", b"chosen-state"),
        encode("Class", b"chosen-class"),
        encode("Reply-Message", "hi!"),
    ]
    with daemon.switch("127.0.0.2") as switch:
        answer = switch.ask(switch.access(*secrets, user=user, call="chosen-call", signed=False))

    for chosen in (user, "chosen", "hi!", "442071234567"):
        assert chosen.encode() not in answer.octets


def test_a_second_question_about_a_call_replaces_its_reservation(daemon: Daemon) -> None:
    client, call = daemon.client(credit="10"), new_call()
    with daemon.switch() as switch:
        first = switch.ask(switch.access(user=client, call=call))
        second = switch.ask(switch.access(user=client, call=call))

    assert (first.seconds, second.seconds) == (1000, 1000)
    assert daemon.billing.money(client) == ("0", "10", 1)


def test_a_failed_call_costs_nothing_and_gives_everything_back(daemon: Daemon) -> None:
    client, call = daemon.client(credit="10"), new_call()
    with daemon.switch() as switch:
        accept = switch.ask(switch.access(user=client, call=call))
        switch.ask(switch.record(FAILED, call, accept.classes, user=client))

    assert daemon.billing.money(client) == ("0", "0", 0)


def test_a_caller_is_recognised_by_his_address_or_his_number_where_no_password_is_sent(
    daemon: Daemon,
) -> None:
    by_ip = daemon.client(account='[[client.account]]\nip = "198.51.100.77"')
    by_ani = daemon.client(account='[[client.account]]\nani = "4930555555"')
    calls = [new_call(), new_call()]
    with daemon.switch() as switch:
        answers = [
            _unnamed(switch, calls[0], encode("h323-remote-address", "h323-remote-address=198.51.100.77")),
            _unnamed(switch, calls[1], encode("Calling-Station-Id", "+4930555555")),
            _unnamed(switch, new_call(), encode("Calling-Station-Id", "4930555556")),
        ]
    listed = {call["call_id"]: call["client"] for call in daemon.billing("calls")}

    assert [answer.accepted for answer in answers] == [True, True, False]
    assert (listed[calls[0]], listed[calls[1]]) == (by_ip, by_ani)


def _unnamed(switch: Switch, call: str, who: bytes) -> Answer:
    return switch.ask(switch.access(who, user=None, password=None, call=call))


def test_a_class_is_as_small_as_the_standard_advises_p_093(daemon: Daemon) -> None:
    with daemon.switch() as switch:
        answers = [switch.ask(switch.access(call=new_call())) for _ in range(2)]
    classes = [dict(answer.sent)[CLASS] for answer in answers]

    assert all(len(value) <= 32 for value in classes)
    assert classes[0] != classes[1]
