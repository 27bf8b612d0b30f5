"""RADIUS over TLS under attack: nobody keeps others out, whatever it holds or sends."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import trustme
from daemon_process import Daemon, StartDaemon, eventually, no_more_descriptors
from daemon_world import nas
from radius_switch import Switch

from radiusd.codec import encode
from radiusd.connections import KNOWN_MAX
from radiusd.wire import Code, request

PARTNER, OTHER, STRANGER = "127.0.0.31", "127.0.0.32", "127.0.0.33"
TLS_SECRET = b"radsec"
FLOOD_SECONDS = 4.0
_GROWTH_OCTETS = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give who signs the certificates of both sides."""
    return trustme.CA()


class Secure:
    """A daemon that is reached over TLS by two partners."""

    def __init__(self, daemon: Daemon, port: int, authority: trustme.CA) -> None:
        self.daemon = daemon
        self.port = port
        self._authority = authority
        self.udp = daemon.auth_port, daemon.acct_port
        self._contexts: dict[str, ssl.SSLContext] = {}

    def connection(self, name: str, address: str, hesitates_seconds: float = 0) -> ssl.SSLSocket:
        """Return a connection of the partner *name* that has shaken hands, after a while of silence."""
        if name not in self._contexts:
            self._contexts[name] = context = ssl.create_default_context()
            context.check_hostname = False
            self._authority.configure_trust(context)
            self._authority.issue_cert(f"{name}.example").configure_cert(context)
        line = self.line(address)
        time.sleep(hesitates_seconds)
        try:
            return self._contexts[name].wrap_socket(line)
        except OSError:
            line.close()
            raise

    def line(self, address: str) -> socket.socket:
        """Return a TCP connection on which nothing was said."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5, source_address=(address, 0))


def ping(identifier: int = 1) -> bytes:
    """Return a Status-Server of a switch that comes over TLS."""
    return request(Code.STATUS_SERVER, identifier, encode("NAS-Identifier", "gw"), TLS_SECRET)


def is_served(connection: ssl.SSLSocket) -> bool:
    """Tell whether a ping over TLS is answered."""
    connection.sendall(ping())
    return connection.recv(4096)[:1] == bytes([Code.ACCESS_ACCEPT])


@pytest.fixture
def secure(start_daemon: StartDaemon, authority: trustme.CA, tmp_path: Path) -> Secure:
    """Give a daemon with two partners that have a certificate, and an address each."""
    ours = authority.issue_cert("radius.example")
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    authority.cert_pem.write_to_path(tmp_path / "authorities.pem")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = {"certificate": "certificate", "key": "key", "authorities": "authorities"}
    files = "".join(f'{key} = "{tmp_path}/{name}.pem"\n' for key, name in names.items())
    partners = nas("partner", PARTNER, 'certificate = "partner.example"')
    others = nas("other", OTHER, 'certificate = "other.example"')
    daemon = start_daemon(nas=f"{partners}{others}[radsec]\nport = {port}\n{files}")
    return Secure(daemon, port, authority)


def test_a_stranger_is_turned_away_before_any_handshake(secure: Secure) -> None:
    with secure.line(STRANGER) as line:
        assert line.recv(1) == b""

    assert eventually(
        lambda: secure.daemon.sample().sum("radiusd_dropped_total", reason="unknown_client") == 1
    )


def test_a_partner_comes_from_its_own_addresses_only(secure: Secure) -> None:
    with pytest.raises((OSError, AssertionError)), secure.connection("partner", OTHER) as connection:
        assert is_served(connection)
    with secure.connection("partner", PARTNER) as connection:
        assert is_served(connection)


@contextmanager
def crowd(secure: Secure, address: str, many: int) -> Iterator[None]:
    """Keep many connections that say nothing, and renew those that are cut."""
    stopping = threading.Event()

    def hold() -> None:
        held: list[socket.socket] = []
        while not stopping.wait(0.02):
            for line in list(held):
                with suppress(BlockingIOError):
                    with suppress(ConnectionError):
                        line.recv(1)
                    held.remove(line)
                    line.close()
            # One of the crowd that does not get in is no failure.
            with suppress(OSError):
                while len(held) < many:
                    held.append(secure.line(address))
                    held[-1].setblocking(False)
        for line in held:
            line.close()

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        yield
    finally:
        stopping.set()
        holding.join()


@pytest.mark.parametrize("address", [PARTNER, OTHER])
def test_a_crowd_without_certificates_keeps_nobody_out(secure: Secure, address: str) -> None:
    with crowd(secure, address, 100):
        time.sleep(0.5)
        for _ in range(10):
            with secure.connection("partner", PARTNER, hesitates_seconds=0.2) as connection:
                assert is_served(connection)


def test_a_partner_with_every_connection_there_is_keeps_no_other_out(secure: Secure) -> None:
    with ExitStack() as kept:
        idle = [kept.enter_context(secure.connection("partner", PARTNER)) for _ in range(KNOWN_MAX + 8)]
        with secure.connection("other", OTHER) as connection:
            assert is_served(connection)
        assert is_served(idle[-1])
        assert idle[0].recv(1) == b""


def resident_octets(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


@contextmanager
def flood(secure: Secure, octets: bytes) -> Iterator[None]:
    """Send *octets* over one connection again and again, and read no answer."""
    stopping = threading.Event()
    connection = secure.connection("partner", PARTNER)
    connection.settimeout(0.2)

    def send() -> None:
        while not stopping.is_set():
            with suppress(OSError):
                connection.sendall(octets)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        stopping.set()
        sending.join()
        connection.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"".join(ping(number % 256) for number in range(512)),
        64 * request(Code.STATUS_SERVER, 7, encode("NAS-Identifier", "x" * 240) * 16, TLS_SECRET),
    ],
    ids=["small", "large"],
)
def test_one_that_sends_without_pause_takes_no_memory_and_no_time_of_others(
    secure: Secure, octets: bytes
) -> None:
    [worker] = secure.daemon.workers()
    before, answered = resident_octets(worker), 0
    until = time.monotonic() + FLOOD_SECONDS
    with flood(secure, octets), Switch(*secure.udp, address=OTHER) as switch:
        while time.monotonic() < until:
            answered += switch.ask(switch.status(), secure.udp[0], 2.0) is not None
            time.sleep(0.05)
        grown = resident_octets(worker) - before

    assert answered > 10
    assert grown < _GROWTH_OCTETS
    assert secure.daemon.workers() == [worker]


def test_without_a_descriptor_left_connections_wait_and_cost_nothing(secure: Secure) -> None:
    [worker] = secure.daemon.workers()
    served = []

    def come() -> None:
        with secure.connection("partner", PARTNER) as connection:
            served.append(is_served(connection))

    comes = threading.Thread(target=come)
    with no_more_descriptors(worker):
        comes.start()
        assert eventually(lambda: secure.daemon.lines("connection_not_accepted"))
        before = processor_seconds(worker)
        time.sleep(2)
        assert processor_seconds(worker) < before + 1, "it asks the kernel without a pause"
    comes.join(10)

    assert served == [True]
    [line] = secure.daemon.lines("connection_not_accepted")
    assert "Too many open files" in line["reason"]
    assert "limit of open files" in line["cure"]


def processor_seconds(pid: int) -> float:
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")
