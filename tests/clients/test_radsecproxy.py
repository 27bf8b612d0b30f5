"""Debian's radsecproxy brings radclient's packets to us over TLS, with certificates on both sides."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
import trustme
from radclient import radclient
from served import SECRET, Daemon, program, served

NUMBER = "447700900123"
_START_SECONDS = 10

SETTINGS = """
[[nas]]
name = "far away"
certificate = "proxy.example.com"
dialect = "cisco"
"""

PROXY = """
ListenUDP 127.0.0.1:{auth_port}
ListenUDP 127.0.0.1:{acct_port}
LogLevel 2
LogDestination file:///{folder}/proxy.log
tls default {{
    CACertificateFile {folder}/{authorities}
    CertificateFile {folder}/{name}.pem
    CertificateKeyFile {folder}/{name}.key
}}
client 127.0.0.1 {{
    type udp
    secret {secret}
}}
server radius {{
    host 127.0.0.1
    port {radsec_port}
    type tls
    tls default
    secret radsec
    statusServer on
    certificateNameCheck off
}}
realm * {{
    server radius
    accountingServer radius
}}
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
    authority.cert_pem.write_to_path(folder / "authorities")
    for name in ("radius", "proxy", "unknown"):
        _certify(authority, folder, name)
    _certify(others, folder, "forged")
    radsec = (
        f'certificate = "{folder}/radius.pem"\nkey = "{folder}/radius.key"\n'
        f'authorities = "{folder}/authorities"\n'
    )
    with served(SETTINGS, radsec=f"{radsec}port = 0\n") as daemon:
        port = re.search(r"radsec (\d+)/tcp", daemon.ready_line)
        assert port is not None
        yield Far(daemon, folder, int(port[1]))


@contextmanager
def proxy(far: Far, name: str) -> Iterator[tuple[int, int]]:
    """Run radsecproxy with the certificate of that name; give the two ports where it takes UDP."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        auth_port, acct_port = one.getsockname()[1], other.getsockname()[1]
    written = PROXY.format(
        auth_port=auth_port,
        acct_port=acct_port,
        folder=far.folder,
        authorities="authorities",
        name=name,
        secret=SECRET,
        radsec_port=far.port,
    )
    (far.folder / f"{name}.conf").write_text(written)
    running = subprocess.Popen(
        [program("radsecproxy", "radsecproxy"), "-f", "-c", str(far.folder / f"{name}.conf")]
    )
    try:
        yield auth_port, acct_port
    finally:
        running.terminate()
        running.wait(_START_SECONDS)


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


def test_a_call_through_a_tls_proxy_is_charged_to_the_last_digit_p_141(far: Far) -> None:
    before = live(far)
    with proxy(far, "proxy") as (auth_port, acct_port):
        accepted = ask(
            auth_port, "auth", "Message-Authenticator = 0x00", *call("tls-1"), 'User-Password = "secret-1001"'
        )
        started = ask(acct_port, "acct", "Acct-Status-Type = Start", *call("tls-1"))
        stopped = ask(acct_port, "acct", "Acct-Status-Type = Stop", "Acct-Session-Time = 31", *call("tls-1"))

    assert "Received Access-Accept" in accepted
    assert "Session-Timeout" in accepted
    assert "Received Accounting-Response" in started
    assert "Received Accounting-Response" in stopped
    # 31 seconds at 0.0550 a minute, at least 30 and then whole 6 seconds: 36 are billed.
    assert live(far) - before == Decimal("-0.033")
    assert 'radiusd_requests_total{kind="accounting",nas="far away"}' in far.daemon.get("/metrics")


@pytest.mark.parametrize("name", ["unknown", "forged"])
def test_without_a_certificate_that_we_know_nobody_gets_an_answer_p_141(far: Far, name: str) -> None:
    with proxy(far, name) as (auth_port, _):
        told = ask(
            auth_port,
            "auth",
            "Message-Authenticator = 0x00",
            *call(f"tls-{name}"),
            'User-Password = "secret-1001"',
            retries=2,
        )

    assert "Received Access-Accept" not in told


def test_a_connection_that_says_nothing_true_is_closed_p_140(far: Far) -> None:
    with socket.create_connection(("127.0.0.1", far.port), timeout=5) as stranger:
        stranger.sendall(b"\x01\x01\x00\x14" + bytes(16))
        # Hung up on, in one way or the other; TimeoutError would say that he was not.
        with suppress(ConnectionResetError):
            while stranger.recv(4096):
                pass

    assert far.daemon.get("/healthz")
