"""Calls that the daemon has its switches end, as a switch that takes Disconnect-Requests sees it."""

import hmac
import signal
import socket
import time
from collections.abc import Iterator
from hashlib import md5
from typing import Any

import pytest
from daemon_process import Daemon, Settings, StartDaemon, eventually, sql, start
from daemon_world import NASES, nas
from postgres import PostgresServer
from radius_switch import INTERIM, PATIENCE_SECONDS, SECRET, START, STOP, new_call

from radiusd import wire
from radiusd.codec import Attributes, encode
from radiusd.wire import HEADER_OCTETS, MESSAGE_AUTHENTICATOR, Code

ADDRESSES = [f"127.0.0.{number}" for number in range(10, 17)]
ACK, NAK = Code.DISCONNECT_ACK, Code.DISCONNECT_NAK
SESSION_UNKNOWN, ADMINISTRATIVELY_PROHIBITED = 503, 501


class Ender:
    """The side of a switch that takes Disconnect-Requests."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.nas = f"cutting {address}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.port = self.socket.getsockname()[1]
        self.packet = b""
        self.source = ("", 0)

    def asked(self, seconds: float = PATIENCE_SECONDS) -> Attributes:
        """Wait for a request, which must be genuine, and return its attributes."""
        self.socket.settimeout(seconds)
        self.packet, self.source = self.socket.recvfrom(65_536)
        head, body = self.packet[:4], self.packet[HEADER_OCTETS:]
        assert head[0] == 40
        assert int.from_bytes(head[2:4]) == len(self.packet)
        # RFC 5176 section 2.3, and section 3.4 for the Message-Authenticator, which is first.
        assert self.packet[4:HEADER_OCTETS] == md5(head + bytes(16) + body + SECRET.encode()).digest()
        assert body[:2] == bytes((MESSAGE_AUTHENTICATOR, 18))
        unsigned = head + bytes(16) + body[:2] + bytes(16) + body[18:]
        assert body[2:18] == hmac.digest(SECRET.encode(), unsigned, "md5")
        return Attributes(_split(body))

    def answer(self, code: Code, cause: int | None = None, secret: str = SECRET) -> None:
        """Answer the last request."""
        attributes = b"" if cause is None else encode("Error-Cause", cause)
        authenticator = self.packet[4:HEADER_OCTETS]
        reply = wire.sign_reply(code, self.packet[1], authenticator, attributes, secret.encode())
        self.socket.sendto(reply, self.source)

    def is_left_alone(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            self.socket.recvfrom(65_536)
        except TimeoutError:
            return True
        return False


def _split(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        found.append((body[0], body[2 : body[1]]))
        body = body[body[1] :]
    return found


@pytest.fixture(scope="module")
def enders() -> Iterator[list[Ender]]:
    """Give a switch for each test, since what one leaves unanswered it is asked again."""
    opened = [Ender(address) for address in ADDRESSES]
    yield list(opened)
    for ender in opened:
        ender.socket.close()


@pytest.fixture
def ender(enders: list[Ender]) -> Ender:
    return enders.pop()


@pytest.fixture(scope="module")
def daemon(
    postgres_server: PostgresServer,
    defined_url: str,
    enders: list[Ender],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Daemon]:
    """Give a daemon that knows all these switches."""
    url = postgres_server.create_database(defined_url)
    known = NASES + "".join(
        nas(ender.nas, ender.address, f'disconnect = "{ender.address}:{ender.port}"') for ender in enders
    )
    started = start(tmp_path_factory.mktemp("daemon"), Settings(url, nas=known))
    yield started
    assert started.stop() == 0
    postgres_server.drop_database(url)


def call_under_way(daemon: Daemon, ender: Ender, client: str, call: str) -> Any:
    with daemon.switch(ender.address) as switch:
        accept = switch.ask(switch.access(encode("NAS-Identifier", "box-1"), user=client, call=call))
        started = switch.record(START, call, encode("NAS-Identifier", "box-1"), user=client)
        switch.ask(started)
    return accept


def stop_client(daemon: Daemon, client: str) -> None:
    sql(daemon.url, "UPDATE client SET status = 'stop' WHERE name = %s", client)


def counted(daemon: Daemon, ender: Ender, outcome: str) -> bool:
    return eventually(
        lambda: daemon.sample().sum("radiusd_disconnects_total", nas=ender.nas, outcome=outcome) == 1
    )


def test_the_call_of_a_stopped_client_is_named_in_every_way_and_charged_from_its_stop(
    daemon: Daemon, ender: Ender
) -> None:
    client, call = daemon.client(credit="10"), "0123456789abcdef0123456789abcdef"
    accept = call_under_way(daemon, ender, client, call)
    stop_client(daemon, client)
    asked = ender.asked()
    ender.answer(ACK)
    [done] = daemon.logs("disconnect_done", call_id=call)

    assert asked.text("User-Name") == client
    assert asked.text("Acct-Session-Id") == f"session {call}"
    assert asked.text("h323-conf-id") == "01234567 89ABCDEF 01234567 89ABCDEF"
    assert asked.raws("Class") == accept.attributes.raws("Class")
    assert asked.text("NAS-Identifier") == "box-1"
    assert abs((asked.integer("Event-Timestamp") or 0) - time.time()) < 60
    assert (done["nas"], done["call_id"], done["reason"]) == (ender.nas, call, "client_stopped")
    assert counted(daemon, ender, "acknowledged")
    # Acknowledged is not over: the call is charged from its Stop, and not asked for again.
    assert daemon.billing.money(client) == ("0", "10", 1)
    with daemon.switch(ender.address) as switch:
        switch.ask(switch.record(STOP, call, accept.classes, user=client, seconds=30))
    assert daemon.billing.money(client) == ("-0.3", "0", 0)
    assert daemon.billing.is_sound()


def test_a_call_that_the_switch_does_not_know_is_settled_as_one_that_fell_silent_p_131(
    daemon: Daemon, ender: Ender
) -> None:
    client, call = daemon.client(credit="10"), new_call()
    call_under_way(daemon, ender, client, call)
    stop_client(daemon, client)
    ender.asked()
    ender.answer(NAK, SESSION_UNKNOWN)

    daemon.logs("leg_fell_silent", call_id=call)
    assert counted(daemon, ender, "unknown_call")
    assert daemon.billing.money(client) == ("0", "0", 0)
    assert daemon.billing.is_sound()


def test_a_switch_that_refuses_is_alarmed_and_the_call_goes_on_p_131(daemon: Daemon, ender: Ender) -> None:
    client, call = daemon.client(credit="10"), new_call()
    call_under_way(daemon, ender, client, call)
    stop_client(daemon, client)
    ender.asked()
    # A stranger, or a switch with another secret, can't answer for it.
    ender.answer(ACK, secret="not-the-secret")
    ender.answer(NAK, ADMINISTRATIVELY_PROHIBITED)

    [failed] = daemon.logs("disconnect_failed", call_id=call)
    assert (failed["level"], failed["outcome"], failed["error_cause"]) == ("warning", "refused", 501)
    assert counted(daemon, ender, "refused")
    assert daemon.billing.money(client) == ("0", "10", 1)


def test_a_call_that_goes_on_is_asked_for_again_whatever_its_switch_said_r_29(
    daemon: Daemon, ender: Ender
) -> None:
    client, call = daemon.client(credit="10"), new_call()
    accept = call_under_way(daemon, ender, client, call)
    stop_client(daemon, client)
    ender.asked()
    ender.answer(NAK, ADMINISTRATIVELY_PROHIBITED)
    daemon.logs("disconnect_failed", call_id=call)
    sql(daemon.url, "UPDATE disconnect SET next_at = now() WHERE done_at IS NULL AND nas = %s", ender.nas)
    ender.asked()
    ender.answer(ACK)
    daemon.logs("disconnect_done", call_id=call)
    with daemon.switch(ender.address) as switch:
        switch.ask(switch.record(INTERIM, call, accept.classes, user=client, seconds=1))
    sql(daemon.url, "UPDATE disconnect SET next_at = now() WHERE done_at IS NULL AND nas = %s", ender.nas)
    asked = ender.asked()

    assert asked.text("Acct-Session-Id") == f"session {call}"
    failed = daemon.logs("disconnect_failed", call_id=call)
    assert [(line["outcome"], line["attempt"]) for line in failed] == [("refused", 1), ("ignored", 3)]
    assert counted(daemon, ender, "ignored")


def test_a_silent_switch_is_asked_again_with_the_same_octets_p_130(daemon: Daemon, ender: Ender) -> None:
    client = daemon.client(credit="10")
    call_under_way(daemon, ender, client, new_call())
    stop_client(daemon, client)
    ender.asked()
    first = ender.packet
    ender.asked()

    assert ender.packet == first


def test_a_slice_that_ran_dry_ends_its_call(daemon: Daemon, ender: Ender) -> None:
    slices = 'concurrency = { policy = "slice", seconds = 10 }'
    client, calls = daemon.client(credit="0.25", more=slices), [new_call() for _ in range(3)]
    accepts = [call_under_way(daemon, ender, client, call) for call in calls]
    assert [accept.seconds for accept in accepts] == [25, 15, 5]
    assert daemon.billing.money(client)[1] == "0.25"
    sql(
        daemon.url,
        "UPDATE session SET opened_at = opened_at - interval '8 s', look_at = now() WHERE call_id = %s",
        calls[0],
    )
    asked = ender.asked()

    assert (
        asked.text("Acct-Session-Id"),
        daemon.logs("disconnect_asked", call_id=calls[0])[0]["reason"],
    ) == (
        f"session {calls[0]}",
        "slice_ran_dry",
    )
    assert daemon.billing.is_sound()


def test_a_switch_is_asked_once_its_settings_say_where(start_daemon: StartDaemon, ender: Ender) -> None:
    daemon = start_daemon(nas=NASES + nas(ender.nas, ender.address))
    client = daemon.client(credit="10")
    call_under_way(daemon, ender, client, new_call())
    stop_client(daemon, client)
    assert ender.is_left_alone(1.2)
    text = daemon.settings.text() + f'disconnect = "{ender.address}:{ender.port}"\n'
    daemon.configure(text)
    daemon.signal(signal.SIGHUP)

    assert ender.asked().text("User-Name") == client
