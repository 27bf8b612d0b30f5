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
from radiusd.radsec import Connection, TlsError, port_of, server_context
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


def test_no_more_connections_are_let_in_than_there_is_room_for_o_12(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        """A connection on which nobody says anything."""

        def __init__(self, line: socket.socket) -> None:
            self.socket = line
            self.has_packets, self.is_open = False, True

        def is_overdue(self, now: float) -> bool:
            return False

        def advance(self, now: float) -> None:
            self.is_open = bool(self.socket.recv(1))

        def close(self) -> None:
            self.socket.close()

    monkeypatch.setattr("radiusd.intake.CONNECTIONS_MAX", 3)
    near, far = zip(*(socket.socketpair() for _ in range(5)), strict=True)
    waiting = [Silent(line) for line in near]
    acceptor: Any = SimpleNamespace(socket=far[0], accept=lambda now: waiting.pop(0))
    intake = Intake([], [acceptor], [])
    knock = [far[0].fileno()]

    for _ in range(4):
        list(intake.doors(knock, 0.0))
    let_in = [line.fileno() != -1 for line in near[:4]]
    far[1].close()
    list(intake.doors([near[1].fileno()], 1.0))
    list(intake.doors(knock, 2.0))

    assert let_in == [True, True, True, False]
    assert near[4].fileno() != -1
    intake.close()
    assert [line.fileno() for line in near] == [-1] * 5
    for line in far:
        line.close()
