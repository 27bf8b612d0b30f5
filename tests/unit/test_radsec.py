"""RADIUS over TLS: packets come whole, bad ones end the connection, certificates name the switch."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from radiusd.intake import Intake
from radiusd.radsec import Connection, port_of
from radiusd.tls_files import TlsError, server_context
from radiusd.wire import Code, Port, request

SECRET = b"radsec"
PACKET = request(Code.ACCESS_REQUEST, 1, b"\x01\x05bob", SECRET)
WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    directory = tmp_path_factory.mktemp("tls")
    ours = authority.issue_cert("radius.example.com")
    ours.private_key_pem.write_to_path(directory / "key")
    ours.cert_chain_pems[0].write_to_path(directory / "certificate")
    authority.cert_pem.write_to_path(directory / "authorities")
    return server_context(directory / "certificate", directory / "key", directory / "authorities")


class Peer:
    """A switch on one end of a line whose other end is ours."""

    def __init__(self, context: ssl.SSLContext, trusted: trustme.CA, issuer: trustme.CA | None) -> None:
        near, far = socket.socketpair()
        for end in (near, far):
            end.setblocking(False)
        ours = context.wrap_socket(near, server_side=True, do_handshake_on_connect=False)
        self.connection = Connection(ours, ("192.0.2.1", 40000), 0.0)
        client = ssl.create_default_context()
        client.check_hostname = False
        trusted.configure_trust(client)
        if issuer:
            issuer.issue_cert("switch.example.com", common_name="Switch 1").configure_cert(client)
        self.socket = client.wrap_socket(far, do_handshake_on_connect=False)

    def shake_hands(self) -> None:
        for _ in range(10):
            with suppress(*WANTS):
                self.socket.do_handshake()
            self.connection.advance(1.0)

    def send(self, octets: bytes) -> None:
        self.socket.send(octets)
        self.connection.advance(2.0)

    def packets(self) -> list[bytes]:
        found = []
        while datagram := self.connection.receive():
            found.append(datagram.octets)
        return found


@pytest.fixture
def peer(context: ssl.SSLContext, authority: trustme.CA) -> Iterator[Peer]:
    peer = Peer(context, authority, authority)
    peer.shake_hands()
    yield peer
    peer.socket.close()
    peer.connection.close()


def test_a_certificate_names_the_switch_p_141(peer: Peer) -> None:
    assert peer.connection.names == ("switch.example.com", "Switch 1")
    assert peer.connection.is_open


@pytest.mark.parametrize("issuer", [None, trustme.CA()])
def test_without_a_certificate_of_our_authorities_nobody_gets_in_p_141(
    context: ssl.SSLContext, authority: trustme.CA, issuer: trustme.CA | None
) -> None:
    stranger = Peer(context, authority, issuer)
    with suppress(ssl.SSLError):
        stranger.shake_hands()

    assert not stranger.connection.is_open
    assert not stranger.connection.names
    stranger.socket.close()
    stranger.connection.close()


def test_packets_come_whole_however_they_are_cut_p_140(peer: Peer) -> None:
    stream = PACKET * 3
    for place in range(0, len(stream), 7):
        peer.send(stream[place : place + 7])

    assert peer.packets() == [PACKET] * 3


@pytest.mark.parametrize("length", [0, 19, 4097, 65535])
def test_a_length_that_no_packet_has_ends_the_connection_p_140(peer: Peer, length: int) -> None:
    peer.send(PACKET)
    peer.send(b"\x01\x01" + length.to_bytes(2) + b"x" * 40)

    assert peer.packets() == [PACKET]
    assert not peer.connection.is_open


def test_a_reply_goes_back_on_the_same_connection(peer: Peer) -> None:
    peer.send(PACKET)
    datagram = peer.connection.receive()
    assert datagram is not None

    assert peer.connection.send(b"a reply", datagram)
    assert peer.socket.recv(100) == b"a reply"


def test_who_never_reads_his_replies_is_cut_off(peer: Peer) -> None:
    peer.send(PACKET)
    datagram = peer.connection.receive()
    assert datagram is not None
    sent = 0
    while peer.connection.send(b"x" * 4096, datagram):
        sent += 1
        assert sent < 10_000

    assert not peer.connection.is_open


def test_who_hangs_up_is_gone(peer: Peer) -> None:
    with suppress(*WANTS):
        peer.socket.unwrap()
    peer.socket.close()
    peer.connection.advance(3.0)

    assert not peer.connection.is_open


def test_patience_has_an_end(context: ssl.SSLContext, authority: trustme.CA, peer: Peer) -> None:
    silent = Peer(context, authority, authority)

    assert not silent.connection.is_overdue(9.0)
    assert silent.connection.is_overdue(11.0)
    assert not peer.connection.is_overdue(600.0)
    assert peer.connection.is_overdue(1000.0)
    silent.socket.close()
    silent.connection.close()


def test_one_connection_carries_both_services() -> None:
    assert port_of(PACKET) is Port.AUTHENTICATION
    assert port_of(request(Code.ACCOUNTING_REQUEST, 1, b"", SECRET)) is Port.ACCOUNTING


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "certificate").write_text("nonsense")

    with pytest.raises(TlsError, match="certificate: this certificate and its key"):
        server_context(tmp_path / "certificate", tmp_path / "key", tmp_path / "authorities")


def test_a_connection_reads_its_share_of_a_turn_and_the_rest_waits_p_140(peer: Peer) -> None:
    sent = 0
    with suppress(*WANTS):
        while sent < 5_000:
            peer.socket.send(PACKET * 8)
            sent += 8

    peer.connection.advance(2.0)
    first = len(peer.packets())
    assert len(PACKET) * first <= 2 * 65_536
    assert 0 < first < sent

    found = first
    for _ in range(5_000):
        peer.connection.advance(3.0)
        found += len(peer.packets())
    assert found == sent


def test_a_connection_whose_packets_wait_is_read_no_further(peer: Peer) -> None:
    with suppress(*WANTS):
        while True:
            peer.socket.send(PACKET * 64)
            peer.connection.advance(2.0)

    assert 256 <= len(peer.packets()) < 1_000


def test_what_openssl_has_read_is_not_forgotten(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radiusd.radsec._TURN_OCTETS", 10)
    monkeypatch.setattr("radiusd.radsec._READ_OCTETS", 10)
    peer.send(PACKET)

    turns = 0
    while peer.connection.has_more:
        turns += 1
        peer.connection.advance(2.0)

    assert turns == -(-len(PACKET) // 10) - 1
    assert peer.packets() == [PACKET]


def test_what_the_kernel_had_no_room_for_goes_out_once_there_is_room_p_140(peer: Peer) -> None:
    near, far = socket.socketpair()
    waiting: list[Connection | None] = [peer.connection, None]
    acceptor: Any = SimpleNamespace(socket=near, accept=lambda now: waiting.pop(0))
    intake = Intake([], [acceptor], [])
    list(intake.doors([near.fileno()], 0.0))
    peer.send(PACKET)
    datagram = peer.connection.receive()
    assert datagram is not None
    replies = 0
    while not peer.connection.has_unsent:
        assert peer.connection.send(b"x" * 4096, datagram)
        replies += 1

    # What it sends before it takes its replies wakes nobody, for it is not read.
    peer.socket.send(PACKET)
    assert intake.wait(0) == []

    received = 0
    for _ in range(1000):
        with suppress(*WANTS):
            while received < replies * 4096:
                received += len(peer.socket.recv(65_536))
        list(intake.doors(intake.wait(0), 3.0))
    assert received == replies * 4096
    assert peer.packets() == [PACKET]
    intake.close()
    near.close()
    far.close()


class Line:
    """A connection of which only its socket is real."""

    def __init__(self, near: socket.socket, source: str, name: str = "") -> None:
        self.socket = near
        self.source = (source, 1)
        self.names = (name,) if name else ()
        self.heard_at, self.has_spoken = 0.0, False
        self.has_packets, self.has_more, self.has_unsent, self.is_open = False, False, False, True

    def is_overdue(self, now: float) -> bool:
        return False

    def advance(self, now: float) -> None:
        self.names, self.heard_at = ("partner",), now

    def hang_up(self) -> None:
        self.is_open = False

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def knock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a function that lets connections from these addresses knock at a small intake, and returns it."""
    monkeypatch.setattr("radiusd.connections.UNKNOWN_OF_SOURCE_MAX", 2)
    monkeypatch.setattr("radiusd.connections.KNOWN_MAX", 2)
    pairs: list[tuple[socket.socket, socket.socket]] = []

    def arrive(*sources: str) -> tuple[Intake, list[Line]]:
        lines = []
        for source in sources:
            pairs.append(socket.socketpair())
            lines.append(Line(pairs[-1][0], source))
        waiting: list[Line | None] = [*lines, None]
        bell = socket.socketpair()
        pairs.append(bell)
        acceptor: Any = SimpleNamespace(socket=bell[0], accept=lambda now: waiting.pop(0))
        intake = Intake([], [acceptor], [], lambda line: line.source[0] != "198.51.100.1")
        list(intake.doors([bell[0].fileno()], 0.0))
        return intake, lines

    yield arrive
    for ends in pairs:
        for end in ends:
            end.close()


def test_who_holds_many_without_a_certificate_gives_way_to_itself_o_12(knock: Any) -> None:
    intake, lines = knock("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1")

    assert [line.socket.fileno() != -1 for line in lines] == [False, False, True, True, True]
    intake.close()
    assert all(line.socket.fileno() == -1 for line in lines)


def test_an_address_that_no_switch_may_come_from_never_shakes_hands(knock: Any) -> None:
    intake, lines = knock("198.51.100.1", "192.0.2.1")

    assert [line.socket.fileno() != -1 for line in lines] == [False, True]
    intake.close()


def test_one_that_has_shaken_hands_makes_room_among_those_that_have(knock: Any) -> None:
    intake, lines = knock("192.0.2.1", "192.0.2.2", "192.0.2.3")

    for now, line in enumerate(lines):
        list(intake.doors([line.socket.fileno()], float(now)))

    assert [line.socket.fileno() != -1 for line in lines] == [False, True, True]
    intake.close()
