"""The HTTP port: few connections, none for long, and no names that a page elsewhere made ours."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.registry import Collector
from structlog.testing import capture_logs

from radiusd import http
from radiusd.http import HttpServer
from radiusd.readiness import Readiness, Reason
from radiusd.sockets import web

FULL = Reason("database", "full", "No space left on device")


class Nothing(Collector):
    """Measures nothing."""

    def collect(self) -> Iterator[None]:  # type: ignore[override]
        return iter(())


@pytest.fixture
def state() -> list[Readiness]:
    """Give what the server is told, to be changed."""
    return [Readiness()]


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: list[Readiness]) -> Iterator[int]:
    """Give the port of a server that also is `radius.example.com`, and waits for little."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(http, "EXCHANGE_SECONDS", 0.8)
    monkeypatch.setattr(http, "_LOOK_SECONDS", 0.1)
    server = HttpServer(web("127.0.0.1", 0), lambda: state[0], Nothing(), hosts=("radius.example.com",))
    yield server.port
    server.close()


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def told(connection: socket.socket) -> bytes:
    """Return everything that comes until the end."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def asked(port: int, request: str, host: str = "127.0.0.1") -> str:
    with closing(opened(port)) as connection:
        connection.sendall(f"{request} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return told(connection).decode()


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def test_health_says_that_the_daemon_runs(port: int) -> None:
    reply = asked(port, "GET /healthz")

    assert reply.startswith("HTTP/1.0 200 OK\r\n")
    assert reply.endswith("\r\n\r\nalive\n")


def test_readiness_is_told_with_every_reason(port: int, state: list[Readiness]) -> None:
    assert asked(port, "GET /readyz").endswith('\r\n\r\n{"ready": true, "reasons": []}\n')

    state[0] = Readiness((FULL,))
    reply = asked(port, "GET /readyz")

    assert reply.startswith("HTTP/1.0 503 ")
    assert reply.endswith(
        '{"ready": false, "reasons":'
        ' [{"part": "database", "state": "full", "detail": "No space left on device"}]}\n'
    )


def test_head_is_get_without_the_body(port: int) -> None:
    got, head = asked(port, "GET /healthz"), asked(port, "HEAD /healthz")

    def lines(reply: str) -> list[str]:
        return [line for line in reply.partition("\r\n\r\n")[0].split("\r\n") if not line.startswith("Date")]

    assert lines(head) == lines(got)
    assert head.endswith("\r\n\r\n")


def test_nobody_is_told_what_program_answers(port: int) -> None:
    replies = [asked(port, "GET /healthz"), asked(port, "POST /healthz"), asked(port, "nonsense")]

    assert not any("server:" in reply.lower() or "python" in reply.lower() for reply in replies)


def test_other_methods_are_told_which_are_served(port: int) -> None:
    reply = asked(port, "POST /metrics")

    assert reply.startswith("HTTP/1.0 405 ")
    assert "\r\nAllow: GET, HEAD\r\n" in reply


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:9812",
        "[::1]:9812",
        "[::1]",
        "localhost",
        "LOCALHOST:80",
        "radius.example.com:1",
    ],
)
def test_addresses_localhost_and_the_names_in_the_settings_are_served(port: int, host: str) -> None:
    assert asked(port, "GET /healthz", host).startswith("HTTP/1.0 200 ")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9812", "radius.example.com.evil.example", "", "127.0.0.1.nip.io"]
)
def test_other_names_are_refused_with_the_cure(port: int, host: str) -> None:
    reply = asked(port, "GET /metrics", host)

    assert reply.startswith("HTTP/1.0 421 ")
    assert "use an IP address, or add the name to http.hosts" in reply


def test_of_two_names_both_must_be_ours(port: int) -> None:
    reply = asked(port, "GET /healthz", "127.0.0.1\r\nHost: evil.example")

    assert reply.startswith("HTTP/1.0 421 ")


def test_who_never_ends_its_request_is_cut(port: int) -> None:
    with closing(opened(port)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-A: ")
        assert told(connection) == b""


def test_who_drips_its_request_is_cut_as_well(port: int) -> None:
    def drips(connection: socket.socket) -> bool:
        try:
            connection.sendall(b"x")
        except OSError:
            return False
        return True

    with closing(opened(port)) as connection:
        assert eventually(lambda: not drips(connection))


def test_who_does_not_take_the_reply_is_cut(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "generate_latest", lambda registry: bytes(50_000_000))
    with closing(opened(port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        time.sleep(1.2)
        assert len(told(connection)) < 50_000_000


def test_a_crowd_that_waits_gives_way_to_who_asks(port: int) -> None:
    crowd = [opened(port) for _ in range(3 * http.HTTP_CONNECTIONS_MAX)]
    try:
        assert asked(port, "GET /healthz").startswith("HTTP/1.0 200 ")
        first = crowd[0]
        first.settimeout(2)
        assert told(first) == b""
    finally:
        for connection in crowd:
            connection.close()


def test_who_leaves_is_no_news(port: int) -> None:
    with capture_logs() as lines:
        for _ in range(20):
            connection = opened(port)
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            # Closed so, the other end gets a reset, in the middle of whatever it does.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        assert asked(port, "GET /healthz").startswith("HTTP/1.0 200 ")

    assert lines == []


def test_a_fault_of_ours_is_one_line_and_ends_one_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(registry: object) -> bytes:
        raise RuntimeError("a metric file is damaged")

    monkeypatch.setattr(http, "generate_latest", fail)
    with capture_logs() as lines:
        assert asked(port, "GET /metrics") == ""
        assert eventually(lambda: bool(lines))

    assert [line["event"] for line in lines] == ["http_failed"]
    assert asked(port, "GET /healthz").startswith("HTTP/1.0 200 ")
