"""Who gets an answer, from where, and which octets: rows P-021, P-034, P-040 to P-067 and P-120."""

from pathlib import Path

import pytest
from daemon_process import Daemon, Settings, run_to_the_end, write_settings
from radius_switch import START, STOP, Answer, Switch, new_call, raw

from radiusd import wire
from radiusd.codec import encode
from radiusd.wire import MESSAGE_AUTHENTICATOR, PROXY_STATE, Code, DropReason

SIGNED, UNSIGNED, BADLY_SIGNED = "signed", "unsigned", "badly signed"
STRICT, LIMITING, LAX = "127.0.0.1", "127.0.0.2", "127.0.0.3"
NAMES = {STRICT: "gw", LIMITING: "unsigned", LAX: "lax"}

POLICIES = [
    # address, how it is signed, with Proxy-State?, why it is dropped (None: it is answered)
    (STRICT, SIGNED, False, None),
    (STRICT, SIGNED, True, None),
    (STRICT, UNSIGNED, False, DropReason.MA_MISSING),
    (STRICT, UNSIGNED, True, DropReason.MA_MISSING),
    (STRICT, BADLY_SIGNED, False, DropReason.BAD_MA),
    (LIMITING, SIGNED, False, None),
    (LIMITING, SIGNED, True, None),
    (LIMITING, UNSIGNED, False, None),
    (LIMITING, UNSIGNED, True, DropReason.PROXY_STATE_NO_MA),
    (LIMITING, BADLY_SIGNED, False, DropReason.BAD_MA),
    (LAX, SIGNED, True, None),
    (LAX, UNSIGNED, False, None),
    (LAX, UNSIGNED, True, None),
    (LAX, BADLY_SIGNED, True, DropReason.BAD_MA),
]


def proxy_states(answer: Answer) -> list[bytes]:
    return [value for kind, value in answer.sent if kind == PROXY_STATE]


def damaged(signed: bytes) -> bytes:
    """Change the last octet of the Message-Authenticator, which stands first."""
    assert signed[20] == MESSAGE_AUTHENTICATOR
    return signed[:37] + bytes((signed[37] ^ 1,)) + signed[38:]


@pytest.mark.parametrize(("address", "signature", "proxied", "reason"), POLICIES)
def test_a_switch_is_believed_as_its_policy_says_p_049_p_050_b_018_b_019(
    daemon: Daemon, address: str, signature: str, proxied: bool, reason: DropReason | None
) -> None:
    with daemon.change() as change, daemon.switch(address) as switch:
        added = [encode("Proxy-State", b"via")] if proxied else []
        question = switch.access(*added, call=new_call(), signed=signature != UNSIGNED)
        question = damaged(question) if signature == BADLY_SIGNED else question
        switch.send(question)
        answer = switch.answer(question, 5.0 if reason is None else 0.1)

    if reason is None:
        assert answer is not None
        assert answer.accepted
        # P-048: whatever the policy, and whether or not the question was signed.
        assert answer.octets[20] == MESSAGE_AUTHENTICATOR
        assert proxy_states(answer) == [b"via"] * proxied
    else:
        assert answer is None
        assert change.by("radiusd_dropped_total", nas=NAMES[address], reason=reason.value) == 1


@pytest.mark.parametrize("address", [STRICT, LIMITING, LAX])
def test_no_policy_lets_an_unsigned_ping_or_eap_pass_p_045_p_046(daemon: Daemon, address: str) -> None:
    with daemon.change() as change, daemon.switch(address) as switch:
        ping = wire.request(Code.STATUS_SERVER, 1, b"", switch.secret, message_authenticator=False)
        eap = switch.access(raw(79, b"\1"), password=None, signed=False)

        assert switch.gets_no_answer(ping, seconds=0.1)
        assert switch.gets_no_answer(eap, seconds=0.1)
    assert change.by("radiusd_dropped_total", nas=NAMES[address], reason="ma_missing") == 2


@pytest.mark.parametrize("user", ["alice", "poor"], ids=["accept", "reject"])
def test_a_reply_to_a_question_is_signed_first_thing_p_048(daemon: Daemon, user: str) -> None:
    with daemon.switch(LAX) as switch:
        answer = switch.ask(switch.access(user=user, call=new_call(), signed=False))

    assert answer.octets[20:22] == bytes((MESSAGE_AUTHENTICATOR, 18))


def test_the_answer_comes_from_the_address_that_was_asked_p_034(daemon: Daemon) -> None:
    answers = {}
    for server in ("127.0.0.1", "127.0.0.77", "127.9.9.9"):
        with daemon.switch(server=server) as switch:
            answers[server, daemon.auth_port] = switch.ask(switch.access(call=new_call()))
            answers[server, daemon.acct_port] = switch.ask(switch.record(START, new_call()))

    assert {asked: answer.source for asked, answer in answers.items()} == {asked: asked for asked in answers}


def test_a_second_daemon_on_a_port_ends_with_a_message_and_the_first_keeps_working_p_035(
    daemon: Daemon, tmp_path: Path
) -> None:
    write_settings(tmp_path, Settings(daemon.url, ports=(daemon.auth_port, daemon.acct_port)))
    code, said = run_to_the_end(tmp_path)
    with daemon.switch() as switch:
        accepts = [switch.ask(switch.access(call=new_call())).accepted for _ in range(20)]

    assert code == 1
    assert f"can't listen on UDP 127.0.0.1 port {daemon.auth_port}: Address already in use" in said
    assert "is another radiusd running?" in said
    assert "Traceback" not in said
    assert accepts == [True] * 20


def test_a_retransmitted_question_gets_the_first_answer_octet_for_octet_p_061_r_01(daemon: Daemon) -> None:
    client = daemon.client(credit="10")
    with daemon.change() as change, daemon.switch() as switch:
        question = switch.access(user=client, call=new_call())
        answers = [switch.ask(question).octets for _ in range(20)]

    assert len(set(answers)) == 1
    assert daemon.billing.money(client) == ("0", "10", 1)
    assert change.by("radiusd_duplicates_total", nas="gw", level="packet") == 19
    assert change.by("radiusd_reply_seconds_count", kind="access") == 1


def test_a_retransmitted_record_gets_the_first_answer_octet_for_octet_p_066(daemon: Daemon) -> None:
    client = daemon.client(credit="10")
    with daemon.change() as change, daemon.switch() as switch:
        stop = switch.record(STOP, new_call(), encode("Proxy-State", b"p"), user=client, seconds=61)
        answers = [switch.ask(stop).octets for _ in range(20)]

    assert len(set(answers)) == 1
    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    assert change.by("radiusd_duplicates_total", nas="gw", level="packet") == 19
    assert change.by("radiusd_duplicates_total", nas="gw", level="record") == 0


def test_a_copy_of_a_question_that_is_being_decided_is_dropped_p_062(daemon: Daemon) -> None:
    client = daemon.client(credit="10")
    with daemon.change() as change, daemon.switch() as switch:
        question = switch.access(user=client, call=new_call())
        for _ in range(50):
            switch.send(question)
        assert switch.answer(question) is not None

    repeated = change.by("radiusd_duplicates_total", nas="gw", level="packet")
    dropped = change.by("radiusd_dropped_total", nas="gw", reason="duplicate_inflight")
    assert repeated + dropped == 49
    assert change.by("radiusd_reply_seconds_count", kind="access") == 1


def test_another_authenticator_makes_another_question_of_the_same_number_p_064(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        first, second = (switch.access(call=new_call(), identifier=9) for _ in range(2))
        answers = [switch.ask(packet) for packet in (first, second, second)]

    assert answers[0].octets != answers[1].octets == answers[2].octets
    assert change.by("radiusd_duplicates_total", level="packet") == 1


@pytest.mark.parametrize("service", ["authentication", "accounting"])
def test_the_same_packet_from_another_port_is_no_copy_p_060(daemon: Daemon, service: str) -> None:
    with daemon.change() as change, daemon.switch() as one, daemon.switch() as other:
        made = one.access(call=new_call()) if service == "authentication" else one.record(START, new_call())
        one.ask(made)
        other.ask(made)

    assert change.by("radiusd_duplicates_total", level="packet") == 0


@pytest.mark.parametrize("service", ["authentication", "accounting"])
def test_a_forged_packet_under_the_key_of_an_answer_does_not_evict_it_p_042_p_065_b_025(
    daemon: Daemon, service: str
) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        if service == "authentication":
            genuine = switch.access(call=new_call())
            forged = damaged(switch.access(call=new_call(), identifier=genuine[1]))
        else:
            genuine = switch.record(START, new_call())
            forged = genuine[:4] + bytes(16) + genuine[20:]
        first = switch.ask(genuine)

        assert switch.gets_no_answer(forged, seconds=0.1)
        again = switch.ask(genuine)
    assert first.octets == again.octets
    assert change.by("radiusd_duplicates_total", level="packet") == 1


STATES = [b"first", b"0x4142", b"65", b"\0\0nul\0", b"\xff" * 253, b"first"]


@pytest.mark.parametrize("user", ["alice", "poor"], ids=["accept", "reject"])
def test_every_proxy_state_comes_back_as_it_was_sent_and_in_order_p_092_b_048(
    daemon: Daemon, user: str
) -> None:
    sent = [encode("Proxy-State", state) for state in STATES]
    mixed = [sent[0], encode("NAS-Identifier", "between"), *sent[1:]]
    with daemon.switch() as switch:
        answer = switch.ask(switch.access(*mixed, user=user, call=new_call()))
        record = switch.ask(switch.record(START, new_call(), *mixed))

    assert proxy_states(answer) == STATES
    assert proxy_states(record) == STATES


@pytest.mark.parametrize("user", ["alice", "poor"], ids=["accept", "reject"])
def test_3_8_kb_of_proxy_state_come_back_in_a_reply_that_is_not_too_long_p_021_b_047(
    daemon: Daemon, user: str
) -> None:
    states = [bytes((number,)) * 253 for number in range(15)]
    with daemon.switch() as switch:
        answer = switch.ask(switch.access(*_states(states), user=user, call=new_call()))
        record = switch.ask(switch.record(START, new_call(), *_states(states)))

    assert len(answer.octets) <= 4096
    assert proxy_states(answer) == states
    assert proxy_states(record) == states
    if user == "alice":
        assert answer.seconds == 7200
        assert answer.attributes.text("h323-credit-time") == "7200"


def test_an_accept_that_would_lose_its_limit_is_not_sent_at_all_p_021(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        question = switch.access(call=new_call())
        room = 4096 - len(question)
        states = [b"s" * 253] * (room // 255)
        rest = room - 255 * len(states)
        states += [b"s" * (rest - 2)] if rest > 2 else []
        full = switch.access(*_states(states), call=new_call())

        assert len(full) <= 4096
        assert switch.gets_no_answer(full)
    assert change.by("radiusd_dropped_total", nas="gw", reason="reply_too_big") == 1


def _states(values: list[bytes]) -> list[bytes]:
    return [encode("Proxy-State", value) for value in values]


def test_a_ping_is_answered_on_both_ports_p_120(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        proxied = wire.request(Code.STATUS_SERVER, 3, encode("Proxy-State", b"p"), switch.secret)
        on_auth = switch.ask(proxied, daemon.auth_port)
        on_acct = switch.ask(switch.status(), daemon.acct_port)

    assert (on_auth.code, on_acct.code) == (Code.ACCESS_ACCEPT, Code.ACCOUNTING_RESPONSE)
    assert on_auth.octets[20] == MESSAGE_AUTHENTICATOR
    assert proxy_states(on_auth) == [b"p"]
    # No leg, no limit, no money: a ping is not a call.
    assert {kind for kind, _ in on_auth.sent} == {MESSAGE_AUTHENTICATOR, PROXY_STATE}
    assert on_acct.sent == ()
    assert change.by("radiusd_turn_requests_count") == 0


def test_a_ping_is_never_answered_from_memory_p_068(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        ping = switch.status()
        switch.ask(ping)
        switch.ask(ping)

    assert change.by("radiusd_duplicates_total") == 0


def test_the_secret_is_chosen_by_the_source_address_alone_p_030(daemon: Daemon) -> None:
    claimed = encode("NAS-IP-Address", "127.0.0.8")
    with daemon.switch() as switch:
        assert _serves(switch, claimed)
    with daemon.other_switch() as other:
        assert _serves(other, encode("NAS-IP-Address", "127.0.0.1"))


def _serves(switch: Switch, *attributes: bytes) -> bool:
    return switch.ask(switch.access(*attributes, call=new_call())).accepted
