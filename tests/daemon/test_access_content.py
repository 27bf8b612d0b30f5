"""What Access-Requests say, true and untrue: rows B-030 to B-054 of the catalogue, one daemon for all."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import md5, sha256
from typing import Any, NamedTuple

import pytest
from daemon_process import Daemon, Settings, StartDaemon, locked_balance, start
from daemon_world import NASES, nas
from postgres import PostgresServer
from radius_switch import STOP, Answer, Switch, new_call, raw

from billing_core.denial import Denial
from radiusd import wire
from radiusd.challenge import new_nonce
from radiusd.codec import encode
from radiusd.digest import (
    ALGORITHM,
    CNONCE,
    METHOD,
    NONCE,
    NONCE_COUNT,
    QOP,
    REALM,
    RESPONSE,
    RESPONSE_AUTH,
    STALE,
    URI,
    USER_NAME,
    attribute,
)
from radiusd.replies import RETURN_CODES
from radiusd.suspicion import UNREADABLE_IN_A_ROW
from radiusd.wire import CLASS, MESSAGE_AUTHENTICATOR, Code

ACCEPT = None
MORE_NASES = (
    nas("six", "::1")
    + nas("mapped", "::ffff:127.0.0.31")
    + nas("one realm", "127.0.0.32", 'realms = ["sip.example"]')
    + nas("no pings", "127.0.0.33", "status_server = false")
)
RATES = (
    "code,price_per_minute,setup_fee,min_volume_seconds,interval_seconds,blocked\n"
    "44,0,0,1,1,false\n"
    "39,0.00000001,0,1,1,false\n"
    "33,0.60,0,1,1,true\n"
)


@pytest.fixture(scope="module")
def daemon(
    postgres_server: PostgresServer, defined_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """Give a daemon that does not hold refusals back, and listens on IPv6 too."""
    url = postgres_server.create_database(defined_url)
    radius = 'listen = ["0.0.0.0", "::"]\nreject_delay_seconds = 0'
    settings = Settings(url, radius=radius, limits="sweep_seconds = 3600", nas=NASES + MORE_NASES)
    directory = tmp_path_factory.mktemp("content")
    started = start(directory, settings)
    try:
        (directory / "odd.csv").write_text(RATES, encoding="utf-8")
        started.billing.apply(
            '[[rate_table]]\nname = "Odd"\ncurrency = "USD"\nrates = "odd.csv"\n', "odd.toml", "--yes"
        )
        yield started
        with started.switch() as switch:
            assert switch.is_alive()
        assert started.lines("request_failed") == []
        assert started.billing.is_sound()
    finally:
        assert started.stop() == 0
    postgres_server.drop_database(url)


class Row(NamedTuple):
    """What is asked beside a good call of Alice's, and why it is refused; ACCEPT when it is not."""

    name: str
    asked: dict[str, Any]
    attributes: bytes
    verdict: Denial | None


def chap(password: bytes, challenge: bytes) -> bytes:
    """Return a right answer to a challenge, with the challenge."""
    return raw(3, b"\x07" + md5(b"\x07" + password + challenge).digest()) + raw(60, challenge)


def called(number: str) -> dict[str, Any]:
    return {"called": number}


UNPROVEN: dict[str, Any] = {"password": None}
NAMELESS: dict[str, Any] = {"user": None}

ROWS = [
    Row("B-030 no name", NAMELESS, b"", Denial.UNKNOWN_ACCOUNT),
    Row("B-030 an empty name", NAMELESS, raw(1, b""), Denial.UNKNOWN_ACCOUNT),
    Row("B-030 no name and no proof", NAMELESS | UNPROVEN, b"", Denial.UNKNOWN_ACCOUNT),
    Row("P-081 a name without proof", UNPROVEN, b"", Denial.UNKNOWN_ACCOUNT),
    Row("B-031 PAP and CHAP", {}, raw(3, bytes(17)), Denial.BAD_PASSWORD),
    Row("B-031 PAP and a right CHAP", {}, chap(b"secret", b"c" * 16), Denial.BAD_PASSWORD),
    *(
        Row(f"B-032 a password of {size}", UNPROVEN, raw(2, bytes(size)), Denial.BAD_PASSWORD)
        for size in (0, 1, 15, 17, 33)
    ),
    *(
        Row(f"B-033 a password of {size}", UNPROVEN, raw(2, bytes(size)), Denial.BAD_PASSWORD)
        for size in (144, 240, 253)
    ),
    Row("B-036 CHAP of 16", UNPROVEN, raw(3, bytes(16)), Denial.BAD_PASSWORD),
    Row("B-036 CHAP of 18", UNPROVEN, raw(3, bytes(18)), Denial.BAD_PASSWORD),
    Row("B-036 CHAP wrong", UNPROVEN, chap(b"Secret", b"c" * 16), Denial.BAD_PASSWORD),
    Row("B-036 a challenge of 1", UNPROVEN, chap(b"secret", b"c"), ACCEPT),
    Row("B-036 a challenge of 250", UNPROVEN, chap(b"secret", b"c" * 250), ACCEPT),
    Row("B-036 an empty challenge", {"chap": True}, raw(60, b""), ACCEPT),
    *(
        Row(f"B-055 {name}", asked, attributes, Denial.BAD_PASSWORD)
        for asked in (UNPROVEN, NAMELESS | UNPROVEN, UNPROVEN | {"user": "nobody"})
        for name, attributes in (
            ("EAP", raw(79, b"\x02\x01\x00\x0a\x01alice")),
            ("ARAP", raw(70, bytes(16))),
            ("MS-CHAP", raw(26, (311).to_bytes(4) + raw(11, bytes(8)) + raw(1, bytes(50)))),
            ("MS-CHAP2", raw(26, (311).to_bytes(4) + raw(25, bytes(50)))),
            ("a digest's rest", raw(105, b"nonce")),
        )
    ),
    Row("B-039 a client who was stopped", {"user": "stopped"}, b"", Denial.CLIENT_STOPPED),
    Row("B-039 an account that may not call", {"user": "receiver"}, b"", Denial.ACCOUNT_OFF),
    Row("B-040 no money", {"user": "poor"}, b"", Denial.NO_MONEY),
    Row("B-042 a lone plus", called("+"), b"", Denial.NO_RATE),
    Row("B-042 a lone 00", called("00"), b"", Denial.NO_RATE),
    Row("B-042 letters", called("44abc"), b"", Denial.NO_RATE),
    Row("B-042 an address", called("sip:442071234567@example.com"), b"", Denial.NO_RATE),
    Row("B-042 a statement", called("442071234567;drop"), b"", Denial.NO_RATE),
    Row("B-042 escapes", called("%2B442071234567"), b"", Denial.NO_RATE),
    Row("B-042 wide digits", called("4420７１２３４５６７"), b"", Denial.NO_RATE),  # noqa: RUF001
    Row("B-042 Arabic digits", called("4420٧١٢٣٤٥٦٧"), b"", Denial.NO_RATE),  # noqa: RUF001
    Row("B-042 a space", called("44 2071234567"), b"", Denial.NO_RATE),
    Row("B-042 a line end", called("442071234567\n"), b"", Denial.NO_RATE),
    Row("B-042 two pluses", called("++442071234567"), b"", Denial.NO_RATE),
    Row("B-042 a plus", called("+442071234567"), b"", ACCEPT),
    Row("B-042 two zeros", called("00442071234567"), b"", ACCEPT),
    Row("B-042 253 digits", called("44" + "2" * 251), b"", ACCEPT),
    Row("B-043 nobody", {}, encode("Calling-Station-Id", "anonymous"), ACCEPT),
    Row("B-043 an empty caller", {}, raw(31, b""), ACCEPT),
    Row("B-043 253 octets", {}, raw(31, b"\xff" * 253), ACCEPT),
    Row("B-043 controls", {}, raw(31, b"\0\1\n\x1b[2J"), ACCEPT),
    Row("B-044 two names", {}, encode("User-Name", "poor"), Denial.MALFORMED),
    Row("B-044 two numbers", {}, encode("Called-Station-Id", "390612345678"), Denial.MALFORMED),
    Row("B-044 one name twice", {}, encode("User-Name", "alice"), ACCEPT),
    *(Row(f"B-045 service {kind}", {}, raw(6, bytes((0, 0, 0, kind))), ACCEPT) for kind in (12, 15, 30, 31)),
    Row("B-045 a service of 2**32-1", {}, raw(6, b"\xff" * 4), ACCEPT),
    Row("B-046 a State of nobody", {}, encode("State", b"unknown"), ACCEPT),
    Row(
        "B-046 a State and a wrong password",
        {"password": "wrong"},
        encode("State", b"unknown"),
        Denial.BAD_PASSWORD,
    ),
    Row("B-050 no sign", {}, encode("Cisco-AVPair", "nonsense"), ACCEPT),
    Row("B-050 240 signs", {}, encode("Cisco-AVPair", "=" * 240), ACCEPT),
    Row("B-050 an unknown name", {}, encode("Cisco-AVPair", "unheard-of=1"), ACCEPT),
    Row("B-050 an empty value", {}, encode("Cisco-AVPair", "request-type="), ACCEPT),
    Row("B-051 the port of another kind", {}, raw(61, bytes(4)), ACCEPT),
    Row("B-053 no rate", called("15551234567"), b"", Denial.NO_RATE),
    Row("B-053 too dear for the money", {"user": "small-change", **called("39061")}, b"", Denial.TOO_LITTLE),
    Row("P-014 order", {}, raw(222, b"x") + raw(32, b"box") + raw(222, b"y"), ACCEPT),
    Row("P-094 no name of the device", {}, b"", ACCEPT),
]


def judged(answer: Answer) -> str:
    return "accepted" if answer.accepted else f"rejected {answer.return_code}"


def expected(verdict: Denial | None) -> str:
    return "accepted" if verdict is None else f"rejected {RETURN_CODES[verdict]}"


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_question_is_judged_as_its_row_says_b_030_to_b_053(daemon: Daemon, row: Row) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        answer = switch.ask(switch.access(row.attributes, call=new_call(), **row.asked))
        good = switch.ask(switch.access(call=new_call()))

    assert judged(answer) == expected(row.verdict)
    assert answer.octets[20] == MESSAGE_AUTHENTICATOR
    assert good.accepted
    assert change.by("radiusd_requests_total", nas="gw", kind="access") == 2
    if row.verdict is not None:
        assert change.by("radiusd_denials_total", nas="gw", reason=row.verdict.value) == 1
    assert change.by("radiusd_denials_total") == (row.verdict is not None)


@pytest.mark.parametrize("number", [b"", raw(30, b"")], ids=["absent", "empty"])
def test_without_a_number_no_call_may_start_b_042(daemon: Daemon, number: bytes) -> None:
    client = daemon.client()
    with daemon.switch() as switch:
        answer = switch.ask(switch.access(number, user=client, called=None, call=new_call()))

    assert answer.accepted
    assert (answer.seconds, answer.attributes.text("h323-credit-time")) == (None, None)
    assert CLASS not in dict(answer.sent)
    assert daemon.billing.money(client) == ("0", "0", 0)


# --- B-034, B-035: passwords of any octets ------------------------------------------------------------


def hidden(password: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """Cover octets as RFC 2865 section 5.2 says, written down once more."""
    padded = password.ljust(-(-len(password) // 16) * 16, b"\0")
    covered, last = b"", authenticator
    for start_at in range(0, len(padded), 16):
        mask = md5(secret + last).digest()
        block = padded[start_at : start_at + 16]
        last = bytes(one ^ other for one, other in zip(block, mask, strict=True))
        covered += last
    return covered


def with_password(switch: Switch, user: str, password: bytes) -> bytes:
    authenticator = secrets.token_bytes(16)
    parts = [
        encode("User-Name", user),
        raw(2, hidden(password, authenticator, switch.secret)),
        encode("Called-Station-Id", "442071234567"),
    ]
    return wire.request(
        Code.ACCESS_REQUEST, switch.identifier(), b"".join(parts), switch.secret, authenticator=authenticator
    )


@pytest.mark.parametrize(
    ("known", "sent", "verdict"),
    [
        ("x" * 128, b"x" * 128, ACCEPT),
        ("x" * 128, b"x" * 127, Denial.BAD_PASSWORD),
        ("é" * 64, "é".encode() * 64, ACCEPT),
        ("é", b"\xe9", Denial.BAD_PASSWORD),
        ("secret", b"\xff" * 128, Denial.BAD_PASSWORD),
        ("secret", b"se\xffcret", Denial.BAD_PASSWORD),
        ("secret", b"se\0cret", Denial.BAD_PASSWORD),
        ("secret", b"secret\0x", Denial.BAD_PASSWORD),
        ("secret", b"secret" + bytes(10), ACCEPT),
        ("secret", b"secret" + bytes(100), ACCEPT),
        ("secret", b"secret ", Denial.BAD_PASSWORD),
        ("secret", bytes(16), Denial.BAD_PASSWORD),
    ],
)
def test_a_password_is_compared_octet_by_octet_b_034_p_082(
    daemon: Daemon, known: str, sent: bytes, verdict: Denial | None
) -> None:
    name = daemon.client()
    daemon.client(account=f'[[client.account]]\nname = "{name} odd"\npassword = "{known}"')
    with daemon.switch() as switch:
        answer = switch.ask(with_password(switch, f"{name} odd", sent))

    assert judged(answer) == expected(verdict)


def test_another_secret_makes_garbage_of_a_password_and_a_line_says_so_b_035(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch("127.0.0.2", secret="not the secret of it") as switch:
        for _ in range(UNREADABLE_IN_A_ROW + 3):
            switch.send(switch.access(call=new_call(), signed=False))
            received = switch.receive()
            assert received is not None
            assert received[0][0] == Code.ACCESS_REJECT
    lines = daemon.logs("suspicious", nas="unsigned")

    assert (
        change.by("radiusd_denials_total", nas="unsigned", reason="bad_password") == UNREADABLE_IN_A_ROW + 3
    )
    assert [(line["level"], line["reason"]) for line in lines] == [("warning", "secret_mismatch")]
    assert "secret" in lines[0]["advice"]


# --- B-037, B-038: Digest ---------------------------------------------------------------------------------

OURS = b"sip:44@sip.example"


def digest(user: str = "alice", password: str = "secret", **changed: bytes) -> dict[int, bytes]:
    """Return the parts of a digest without qop; *changed* ones are in the response, too."""
    told = {"realm": b"sip.example", "nonce": b"of the switch", "method": b"INVITE", "uri": OURS} | changed
    secret = md5(b":".join((user.encode(), told["realm"], password.encode()))).hexdigest().encode()
    subject = md5(told["method"] + b":" + told["uri"]).hexdigest().encode()
    response = md5(b":".join((secret, told["nonce"], subject))).hexdigest().encode()
    parts = {USER_NAME: user.encode(), METHOD: told["method"], URI: told["uri"], REALM: told["realm"]}
    return parts | {NONCE: told["nonce"], RESPONSE: response}


def packed(parts: dict[int, bytes]) -> bytes:
    return b"".join(attribute(kind, value) for kind, value in parts.items())


def without(part: int) -> dict[int, bytes]:
    return {kind: value for kind, value in digest().items() if kind != part}


DIGESTS = [
    ("a right one", packed(digest()), ACCEPT),
    ("of another password", packed(digest(password="other")), Denial.BAD_PASSWORD),
    *((f"without part {part}", packed(without(part)), Denial.BAD_PASSWORD) for part in (104, 105, 108, 109)),
    ("without user", packed(without(USER_NAME)), Denial.BAD_PASSWORD),
    ("of another user", packed(digest(user="poor")), Denial.BAD_PASSWORD),
    ("MD5 for SHA-512-256", packed(digest() | {ALGORITHM: b"SHA-512-256"}), Denial.BAD_PASSWORD),
    ("small letters", packed(digest() | {ALGORITHM: b"md5"}), ACCEPT),
    ("quotes", packed(digest() | {ALGORITHM: b'"MD5"'}), ACCEPT),
    ("an algorithm that nobody checks", packed(digest() | {ALGORITHM: b"SHA-1"}), Denial.UNSUPPORTED_DIGEST),
    ("unknown qop", packed(digest() | {QOP: b"auth-conf"}), Denial.UNSUPPORTED_DIGEST),
    ("qop without its count", packed(digest() | {QOP: b"auth", CNONCE: b"c"}), Denial.BAD_PASSWORD),
    ("a long URI", packed(digest(uri=b"sip:" + b"4" * 249)), ACCEPT),
    ("quotes and backslashes", packed(digest(uri=b'sip:"\\"@x', realm=b'a"\\b')), ACCEPT),
    ("no UTF-8", packed(digest(uri=b"sip:\xff\xfe", realm=b"\xff")), ACCEPT),
    ("a part twice", packed(digest()) + attribute(NONCE, b"another"), Denial.BAD_PASSWORD),
    ("beside PAP", packed(digest()) + raw(2, bytes(16)), Denial.BAD_PASSWORD),
    ("B-038 no length", raw(206, b"a" * 32) + raw(207, b"\1"), Denial.BAD_PASSWORD),
    ("B-038 length 0", raw(206, b"a" * 32) + raw(207, b"\1\0"), Denial.BAD_PASSWORD),
    ("B-038 length 1", raw(206, b"a" * 32) + raw(207, b"\1\1"), Denial.BAD_PASSWORD),
    ("B-038 past the end", raw(206, b"a" * 32) + raw(207, b"\1\xffx"), Denial.BAD_PASSWORD),
    ("B-038 nothing in it", raw(206, b"a" * 32) + raw(207, b""), Denial.BAD_PASSWORD),
]


@pytest.mark.parametrize(("name", "attributes", "verdict"), DIGESTS, ids=[name for name, *_ in DIGESTS])
def test_a_digest_is_judged_as_its_row_says_b_037_b_038(
    daemon: Daemon, name: str, attributes: bytes, verdict: Denial | None
) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        answer = switch.ask(switch.access(attributes, password=None, call=new_call()))

    assert judged(answer) == expected(verdict)
    assert change.by("radiusd_denials_total", nas="gw") == (verdict is not None)


def test_a_caller_is_challenged_and_proves_himself_as_we_do_p_084(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        asked = packed({USER_NAME: b"alice", METHOD: b"INVITE", URI: OURS})
        challenge = switch.ask(switch.access(asked, password=None, call=new_call()))
        told = dict(challenge.sent)
        answer = switch.ask(switch.access(_answer_to(told), password=None, call=new_call()))

    secret = f"alice:{told[REALM].decode()}:secret"
    ours = [md5(text.encode()).hexdigest() for text in (secret, f":{OURS.decode()}")]
    proof = f"{ours[0]}:{told[NONCE].decode()}:00000001:of mine:auth:{ours[1]}"
    assert challenge.code is Code.ACCESS_CHALLENGE
    assert challenge.octets[20] == MESSAGE_AUTHENTICATOR
    assert STALE not in told
    assert answer.accepted
    assert dict(answer.sent)[RESPONSE_AUTH] == md5(proof.encode()).hexdigest().encode()
    assert change.by("radiusd_replies_total", nas="gw", code="access_challenge") == 1


def _answer_to(told: dict[int, bytes]) -> bytes:
    """Answer a challenge with qop `auth`."""
    secret = md5(b"alice:" + told[REALM] + b":secret").hexdigest()
    subject = md5(b"INVITE:" + OURS).hexdigest()
    text = f"{secret}:{told[NONCE].decode()}:00000001:of mine:auth:{subject}"
    parts = digest(realm=told[REALM], nonce=told[NONCE]) | {QOP: b"auth", CNONCE: b"of mine"}
    return packed(parts | {NONCE_COUNT: b"00000001", RESPONSE: md5(text.encode()).hexdigest().encode()})


@pytest.fixture
def of_sha_256(start_daemon: StartDaemon) -> Daemon:
    """Give a daemon whose callers use SHA-256 alone; a wrong password waits five seconds."""
    algorithms = 'digest_algorithms = ["SHA-256"]'
    radius = 'listen = ["127.0.0.1"]\nreject_delay_seconds = 5'
    return start_daemon(nas=nas("gw", "127.0.0.1", algorithms), radius=radius)


def test_a_caller_is_challenged_by_the_first_algorithm_of_its_nas_and_proves_itself_by_it(
    of_sha_256: Daemon,
) -> None:
    user = of_sha_256.client()
    with of_sha_256.switch() as switch:
        asked = packed({USER_NAME: user.encode(), METHOD: b"INVITE", URI: OURS})
        told = dict(switch.ask(switch.access(asked, password=None, call=new_call())).sent)
        secret = sha256(f"{user}:{told[REALM].decode()}:secret".encode()).hexdigest()
        subject = sha256(b"INVITE:" + OURS).hexdigest()
        text = f"{secret}:{told[NONCE].decode()}:00000001:mine:auth:{subject}"
        parts = digest(user=user, realm=told[REALM], nonce=told[NONCE]) | {QOP: b"auth", CNONCE: b"mine"}
        parts |= {NONCE_COUNT: b"00000001", ALGORITHM: b"sha-256"}
        parts[RESPONSE] = sha256(text.encode()).hexdigest().encode()
        answer = switch.ask(switch.access(packed(parts), password=None, call=new_call(), user=user))

    assert told[ALGORITHM] == b"SHA-256"
    assert answer.accepted
    assert len(dict(answer.sent)[RESPONSE_AUTH]) == 64


def test_an_algorithm_that_is_not_taken_is_named_in_the_log_and_by_explain_and_is_no_guess(
    of_sha_256: Daemon,
) -> None:
    user, call = of_sha_256.client(), new_call()
    with of_sha_256.switch() as switch:
        # It would be right, and comes at once: a password that is right is not to be looked for.
        asked = switch.access(packed(digest(user=user)), password=None, call=call, user=user)
        switch.send(asked)
        answer = switch.answer(asked, 3.0)

    assert answer is not None
    assert judged(answer) == expected(Denial.UNSUPPORTED_DIGEST)
    because = 'Digest algorithm "MD5" is none of digest_algorithms of this NAS (SHA-256)'
    [line] = of_sha_256.logs("access_request", call_id=call)
    assert (line["reason"], line["because"]) == ("unsupported_digest", because)
    assert because in of_sha_256.billing.run("explain", call)[1]


@pytest.mark.parametrize("moment", [0, 2**40 - 1], ids=["1970", "far ahead"])
def test_who_uses_an_old_nonce_of_ours_is_asked_anew_b_037(daemon: Daemon, moment: int) -> None:
    with daemon.switch() as switch:
        nonce = new_nonce(switch.secret, moment, b"")
        answer = switch.ask(switch.access(packed(digest(nonce=nonce)), password=None, call=new_call()))
    told = dict(answer.sent)

    assert answer.code is Code.ACCESS_CHALLENGE
    assert told[STALE] == b"true"
    assert told[NONCE] != nonce


def test_who_replays_what_another_caller_answered_is_asked_anew_b_037(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        asked = packed({USER_NAME: b"alice", METHOD: b"INVITE", URI: OURS})
        challenge = switch.ask(switch.access(asked, password=None, call=new_call()))
        response = _answer_to(dict(challenge.sent))
        call = new_call()
        answers = [
            switch.ask(switch.access(response, password=None, call=name)) for name in (call, call, new_call())
        ]

    assert [answer.code for answer in answers] == [
        Code.ACCESS_ACCEPT,
        Code.ACCESS_ACCEPT,
        Code.ACCESS_CHALLENGE,
    ]
    assert dict(answers[2].sent)[STALE] == b"true"
    assert change.by("radiusd_denials_total") == 0
    assert change.by("radiusd_replies_total", nas="gw", code="access_challenge") == 2


def test_a_registration_that_was_overheard_is_believed_under_no_other_name_b_037(daemon: Daemon) -> None:
    with daemon.switch() as switch:
        asked = packed({USER_NAME: b"alice", METHOD: b"REGISTER", URI: OURS})
        challenge = switch.ask(switch.access(asked, password=None, call=new_call()))
        response = packed(digest(method=b"REGISTER", nonce=dict(challenge.sent)[NONCE]))
        call = new_call()
        codes = [
            switch.ask(switch.access(response, password=None, call=name)).code
            for name in (call, call, new_call())
        ]

    assert codes == [Code.ACCESS_ACCEPT, Code.ACCESS_ACCEPT, Code.ACCESS_CHALLENGE]


REPLAYS = 12


def test_no_worker_believes_what_has_proven_another_call_to_another_b_037(start_daemon: StartDaemon) -> None:
    """Each question comes from a port of its own, and so to any of the workers."""
    daemon = start_daemon(radius='listen = ["127.0.0.1"]\nworkers = 3')
    with ExitStack() as stack:
        switches = [stack.enter_context(daemon.switch()) for _ in range(1 + REPLAYS)]
        response = _overheard(switches[0])
        one_by_one = Counter(
            switch.ask(switch.access(response, password=None, call=new_call())).code for switch in switches
        )
        response = _overheard(switches[0])
        questions = [switch.access(response, password=None, call=new_call()) for switch in switches]
        # Every worker has questions before any of them can be decided.
        with locked_balance(daemon.url, "Alice Telecom"):
            for switch, question in zip(switches, questions, strict=True):
                switch.send(question)
            time.sleep(0.4)
        answers = [switch.answer(question) for switch, question in zip(switches, questions, strict=True)]

    assert one_by_one == {Code.ACCESS_ACCEPT: 1, Code.ACCESS_CHALLENGE: REPLAYS}
    assert Counter(answer and answer.code for answer in answers) == one_by_one
    assert daemon.billing.client("Alice Telecom")["capacity"]["in_use"] == 2
    assert len(daemon.logs("access_request", outcome="proof_used")) == 2 * REPLAYS


def _overheard(switch: Switch) -> bytes:
    """Return what Alice answers to a challenge."""
    asked = packed({USER_NAME: b"alice", METHOD: b"INVITE", URI: OURS})
    return _answer_to(dict(switch.ask(switch.access(asked, password=None, call=new_call())).sent))


@pytest.mark.parametrize(
    ("realm", "password", "verdict"),
    [
        (b"sip.example", "secret", ACCEPT),
        (b"other.example", "secret", Denial.ACCOUNT_OFF),
        (b"other\0\xff.example", "secret", Denial.ACCOUNT_OFF),
        (b"SIP.example", "secret", Denial.ACCOUNT_OFF),
        (b"other.example", "wrong", Denial.BAD_PASSWORD),
    ],
)
def test_callers_of_another_realm_do_not_come_by_a_switch_that_has_its_own_b_037(
    daemon: Daemon, realm: bytes, password: str, verdict: Denial | None
) -> None:
    call = new_call()
    with daemon.switch("127.0.0.32") as switch:
        attributes = packed(digest(realm=realm, password=password))
        answer = switch.ask(switch.access(attributes, password=None, call=call))

    assert judged(answer) == expected(verdict)
    if verdict is Denial.ACCOUNT_OFF:
        assert "is none of this NAS" in daemon.billing.run("explain", call)[1]
        assert daemon.logs("suspicious", nas="one realm", reason="foreign_realm")


# --- B-040, B-041, B-053: money and rates ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("credit", "payment", "verdict"),
    [
        ("0", None, Denial.NO_MONEY),
        ("0", "-5", Denial.NO_MONEY),
        ("1", "-1", Denial.CREDIT_LIMIT),
        ("1", "-5", Denial.CREDIT_LIMIT),
        ("0.004", None, Denial.TOO_LITTLE),
        ("0.01", None, ACCEPT),
    ],
)
def test_money_is_enough_for_a_second_or_there_is_no_call_b_040(
    daemon: Daemon, credit: str, payment: str | None, verdict: Denial | None
) -> None:
    client = daemon.client(credit=credit)
    if payment is not None:
        daemon.billing("payment", client, payment)
    with daemon.switch() as switch:
        answer = switch.ask(switch.access(user=client, call=new_call()))

    assert judged(answer) == expected(verdict)
    assert answer.seconds == (1 if verdict is ACCEPT else None)


@pytest.mark.parametrize(
    ("number", "verdict"),
    [("390612345678", ACCEPT), ("442071234567", ACCEPT), ("33123456789", Denial.BLOCKED)],
    ids=["B-041 a price next to nothing", "B-053 no price", "B-053 a barred code"],
)
def test_no_money_buys_more_than_the_longest_call_b_041_b_053(
    daemon: Daemon, number: str, verdict: Denial | None
) -> None:
    client = daemon.client(credit="999999999", rates="Odd")
    with daemon.switch() as switch:
        answer = switch.ask(switch.access(user=client, called=number, call=new_call()))

    assert judged(answer) == expected(verdict)
    assert answer.seconds == (7200 if verdict is ACCEPT else None)


# --- B-049: names of the call ------------------------------------------------------------------------------

FORMS = {
    "bare": lambda guid: guid,
    "with its name": lambda guid: f"h323-conf-id={guid}",
    "capitals in four groups": lambda guid: " ".join(guid[at : at + 8] for at in range(0, 32, 8)).upper(),
    "dashes": lambda guid: f"{guid[:8]}-{guid[8:12]}-{guid[12:16]}-{guid[16:20]}-{guid[20:]}",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_call_is_known_however_its_name_is_written_b_049(daemon: Daemon, form: str) -> None:
    guid = new_call()

    assert _charged_as_one(daemon, [guid], [FORMS[form](guid)]) == guid


@pytest.mark.parametrize(
    "others", [[], [new_call()], [new_call(), new_call()]], ids=["31 digits", "two names", "three names"]
)
def test_a_name_that_is_no_guid_names_a_call_all_the_same_b_049(daemon: Daemon, others: list[str]) -> None:
    names = [new_call()[:31], *others]

    assert _charged_as_one(daemon, names, names) == names[0]


def _charged_as_one(daemon: Daemon, asked: list[str], told: list[str]) -> str:
    """Authorize and end a call under these names; the reservation goes when they are of one call."""
    client = daemon.client()
    with daemon.switch() as switch:
        questions = [encode("h323-conf-id", name) for name in asked]
        switch.ask(switch.access(*questions, encode("Acct-Session-Id", "first"), user=client))
        stop = [
            encode("Acct-Status-Type", STOP),
            encode("Acct-Session-Id", new_call()),
            encode("User-Name", client),
            encode("Called-Station-Id", "442071234567"),
            encode("Acct-Session-Time", 61),
        ]
        switch.ask(switch.accounting(*stop, *(encode("h323-conf-id", name) for name in told)))
    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    [xdr] = daemon.billing("xdrs", "--client", client)
    return str(xdr["call_id"])


def test_what_a_switch_says_of_itself_makes_it_no_other_b_051(daemon: Daemon) -> None:
    call = new_call()
    with daemon.switch() as switch:
        switch.ask(switch.access(encode("NAS-IP-Address", "127.0.0.8"), raw(61, b"\0\0\0\5"), call=call))

    assert [line["nas"] for line in daemon.logs("access_request", call_id=call)] == ["gw"]


# --- P-033, P-034, B-023: IPv6; P-088: the delay of refusals ----------------------------------------------


def test_a_switch_speaks_ipv6_and_is_answered_from_where_it_asked_p_033_p_034(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.change() as change, daemon.switch("::1", server="::1") as switch:
        accept = switch.ask(switch.access(user=client, call=call))
        stop = switch.ask(switch.record(STOP, call, user=client, seconds=61))

    assert accept.accepted
    assert (accept.source, stop.source) == (("::1", daemon.auth_port), ("::1", daemon.acct_port))
    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    assert change.by("radiusd_requests_total", nas="six") == 2


def test_ipv4_inside_ipv6_is_ipv4_p_033_b_023(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch("127.0.0.31") as switch:
        assert switch.ask(switch.access(call=new_call())).accepted
    assert change.by("radiusd_requests_total", nas="mapped", kind="access") == 1


def test_a_switch_may_be_denied_pings_and_is_served_all_the_same_p_120(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch("127.0.0.33") as switch:
        for port in switch.ports.values():
            assert switch.gets_no_answer(switch.status(), port, seconds=0.1)

        assert switch.ask(switch.access(call=new_call())).accepted
    assert change.by("radiusd_dropped_total", nas="no pings", reason="status_disabled") == 2
    assert change.by("radiusd_dropped_total") == 2


def test_only_a_wrong_proof_waits_and_its_copies_are_dropped_p_088(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(radius='listen = ["127.0.0.1"]\nreject_delay_seconds = 2')
    with daemon.change() as change, daemon.switch() as switch:
        wrong = switch.access(password="wrong", call=new_call())
        others = [
            switch.access(user="nobody", call=new_call()),
            switch.access(user="poor", call=new_call()),
            switch.access(called="15551234567", call=new_call()),
            switch.access(call=new_call()),
        ]
        for packet in (wrong, *others, wrong, wrong):
            switch.send(packet)
        answers = switch.answers([wrong, *others])
        again = switch.ask(wrong)

    assert list(answers)[-1] == wrong
    assert answers[wrong].return_code == "2"
    assert again.octets == answers[wrong].octets
    assert change.by("radiusd_dropped_total", nas="gw", reason="duplicate_inflight") == 2
    assert change.by("radiusd_denials_total", reason="bad_password") == 1
