"""Debian's radsecproxy brings radclient's packets to us over TLS, with certificates on both sides."""

import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
import trustme
from phones import free_udp_port
from radclient import radclient
from served import REPOSITORY, SECRET, Daemon, program, served

from radiusd import wire
from radiusd.codec import encode
from radiusd.wire import Code

NUMBER = "447700900123"
_STOP_SECONDS = 10

SWITCHES_PAGE = (REPOSITORY / "docs" / "switches.md").read_text(encoding="utf-8")
OUR_SIDE, SWITCHS_SIDE = re.findall(r"^```\n(Listen.*?)^```", SWITCHES_PAGE, re.M | re.S)
[BEHIND_DTLS] = re.findall(
    r"^```toml\n(\[\[nas\]\]\nname = \"switch behind DTLS\".*?)^```", SWITCHES_PAGE, re.M | re.S
)

SETTINGS = f"""
[[nas]]
name = "far away"
certificate = "switch.example.com"
dialect = "cisco"
overrun = "charge"
{BEHIND_DTLS}
overrun = "charge"
"""


@dataclass(frozen=True, slots=True)
class Far:
    """A daemon that takes TLS, and the folder with everybody's certificates."""

    daemon: Daemon
    folder: Path
    port: int


def _certify(authority: trustme.CA, folder: Path, name: str) -> None:
    issued = authority.issue_cert(f"{name}.example.com")
    issued.private_key_pem.write_to_path(folder / f"{name}.key")
    issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("certificates")
    authority, others = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(folder / "authorities.pem")
    for name in ("radius", "switch", "unknown"):
        _certify(authority, folder, name)
    _certify(others, folder, "forged")
    radsec = (
        f'certificate = "{folder}/radius.pem"\nkey = "{folder}/radius.key"\n'
        f'authorities = "{folder}/authorities.pem"\n'
    )
    with served(SETTINGS, radsec=f"{radsec}port = 0\n") as daemon:
        port = re.search(r"radsec (\d+)/tcp", daemon.ready_line)
        assert port is not None
        yield Far(daemon, folder, int(port[1]))


@contextmanager
def proxy(far: Far, name: str, port: int, *, kind: str = "tls") -> Iterator[tuple[int, int]]:
    """Run radsecproxy on the switch's side, with the certificate of that name, as docs/switches.md says.

    It asks the server at *port*. Gives the two ports where it takes UDP.
    """
    auth_port, acct_port = free_udp_port("127.0.0.1"), free_udp_port("127.0.0.1")
    written = changed(
        SWITCHS_SIDE,
        {
            "127.0.0.1:1812": f"127.0.0.1:{auth_port}",
            "127.0.0.1:1813": f"127.0.0.1:{acct_port}",
            "/etc/radsecproxy/authorities.pem": f"{far.folder}/authorities.pem",
            "/etc/radsecproxy/switch.": f"{far.folder}/{name}.",
            "what-the-switch-has": SECRET,
            # No name server knows it here.
            "host radius.example.com": "host 127.0.0.1\n    certificateNameCheck off",
            "port 2083": f"port {port}",
            "type dtls": f"type {kind}",
            "secret radius/dtls": "secret radsec" if kind == "tls" else "secret radius/dtls",
        },
    )
    with running(far.folder / f"{name}-{kind}.conf", written):
        yield auth_port, acct_port


@contextmanager
def our_proxy(far: Far) -> Iterator[int]:
    """Run radsecproxy on our side, as docs/switches.md says; gives the port where it takes DTLS."""
    port = free_udp_port("127.0.0.1")
    written = changed(
        OUR_SIDE,
        {
            "*:2083": f"127.0.0.1:{port}",
            "/etc/radsecproxy/": f"{far.folder}/",
            "port 1812": f"port {far.daemon.auth_port}",
            "port 1813": f"port {far.daemon.acct_port}",
        },
    )
    with running(far.folder / "ours.conf", written):
        yield port


def changed(text: str, replacements: dict[str, str]) -> str:
    """Return *text* with each of these replaced, which must be there."""
    for before, after in replacements.items():
        assert before in text
        text = text.replace(before, after)
    return text


@contextmanager
def running(settings: Path, text: str) -> Iterator[None]:
    """Run radsecproxy with these settings until the end of the block."""
    settings.write_text(f"LogLevel 2\nLogDestination file:///{settings}.log\n{text}")
    started = subprocess.Popen([program("radsecproxy", "radsecproxy"), "-f", "-c", str(settings)])
    try:
        yield
    finally:
        started.terminate()
        started.wait(_STOP_SECONDS)


def ask(port: int, kind: str, *attributes: str, retries: int = 5) -> str:
    return radclient(port, kind, *attributes, retries=retries, seconds=1)


def call(session: str) -> tuple[str, ...]:
    return (
        'User-Name = "1001"',
        f'Called-Station-Id = "{NUMBER}"',
        'Calling-Station-Id = "442079460000"',
        f'Acct-Session-Id = "{session}"',
    )


def live(far: Far) -> Decimal:
    return Decimal(far.daemon.billing("clients", "show", "Customer A")["balance"]["live"])


def charged(far: Far, ports: tuple[int, int], session: str) -> Decimal:
    """Place a call of 31 seconds through a proxy, and return by how much the balance changed."""
    before = live(far)
    auth_port, acct_port = ports
    proof = ("Message-Authenticator = 0x00", 'User-Password = "secret-1001"')
    accepted = ask(auth_port, "auth", *call(session), *proof)
    started = ask(acct_port, "acct", "Acct-Status-Type = Start", *call(session))
    stopped = ask(acct_port, "acct", "Acct-Status-Type = Stop", "Acct-Session-Time = 31", *call(session))
    assert "Received Access-Accept" in accepted
    assert "Session-Timeout" in accepted
    assert "Received Accounting-Response" in started
    assert "Received Accounting-Response" in stopped
    return live(far) - before


# 31 seconds at 0.0550 a minute, at least 30 and then whole 6 seconds: 36 are billed.
COST = Decimal("-0.033")


def test_a_call_through_a_tls_proxy_is_charged_to_the_last_digit_p_141(far: Far) -> None:
    with proxy(far, "switch", far.port) as ports:
        assert charged(far, ports, "tls-1") == COST

    assert 'radiusd_requests_total{kind="accounting",nas="far away"}' in far.daemon.get("/metrics")


def test_a_call_through_dtls_and_a_proxy_of_ours_is_charged_to_the_last_digit_p_142(far: Far) -> None:
    with our_proxy(far) as port, proxy(far, "switch", port, kind="dtls") as ports:
        assert charged(far, ports, "dtls-1") == COST

    assert 'radiusd_requests_total{kind="accounting",nas="switch behind DTLS"}' in far.daemon.get("/metrics")


@pytest.mark.parametrize("name", ["unknown", "forged"])
def test_without_a_certificate_that_we_know_nobody_gets_an_answer_p_141(far: Far, name: str) -> None:
    with proxy(far, name, far.port) as (auth_port, _):
        assert not is_accepted(auth_port, name)


@pytest.mark.parametrize("name", ["unknown", "forged"])
def test_without_a_certificate_that_our_proxy_knows_nobody_gets_in_p_142(far: Far, name: str) -> None:
    with our_proxy(far) as port, proxy(far, name, port, kind="dtls") as (auth_port, _):
        assert not is_accepted(auth_port, name)


def is_accepted(auth_port: int, session: str) -> bool:
    proof = ("Message-Authenticator = 0x00", 'User-Password = "secret-1001"')
    return "Received Access-Accept" in ask(auth_port, "auth", *call(session), *proof, retries=2)


def test_a_connection_that_says_nothing_true_is_closed_p_140(far: Far) -> None:
    with socket.create_connection(("127.0.0.1", far.port), timeout=5) as stranger:
        stranger.sendall(b"\x01\x01\x00\x14" + bytes(16))
        # Hung up on, in one way or the other; TimeoutError would say that he was not.
        with suppress(ConnectionResetError):
            while stranger.recv(4096):
                pass

    assert far.daemon.get("/healthz")


@pytest.mark.parametrize(
    ("packet", "is_open"),
    [
        pytest.param(lambda: record(b"radsec"), True, id="a record that names no call"),
        pytest.param(lambda: record(b"another secret"), False, id="a record that is not genuine"),
    ],
)
def test_only_what_is_not_genuine_ends_a_connection_on_which_others_wait_p_140(
    far: Far, packet: Callable[[], bytes], is_open: bool
) -> None:
    context = ssl.create_default_context(cafile=str(far.folder / "authorities.pem"))
    context.load_cert_chain(far.folder / "switch.pem", far.folder / "switch.key")
    with (
        socket.create_connection(("127.0.0.1", far.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="radius.example.com") as secure,
    ):
        ping = wire.request(Code.STATUS_SERVER, 2, b"", b"radsec")
        answer = b""
        # Both come in one turn, in which a ping has no need to wait for anything but what was sent before it.
        secure.sendall(packet() + ping)
        # Hung up on, in one way or the other; TimeoutError would say that he was not.
        with suppress(ConnectionError, ssl.SSLError):
            answer = secure.recv(4096)

    assert wire.verify_reply(answer, ping[4:20], b"radsec") is is_open


def record(secret: bytes) -> bytes:
    """Return a Stop that does not say of which call."""
    return wire.request(Code.ACCOUNTING_REQUEST, 1, encode("Acct-Status-Type", 2), secret)
