"""/metrics, /healthz and /readyz, for whoever watches: few connections, none of them for long.

Whatever happens to one connection is that one's affair: nothing here may end the daemon, nor use up what it
needs for calls.
"""

import json
import socket
import threading
from collections.abc import Callable, Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from radiusd import clock
from radiusd.machine import HTTP_CONNECTIONS_MAX
from radiusd.readiness import Readiness

EXCHANGE_SECONDS: Final = 10.0
"""So long may a connection last, from its first octet to the last, however it is spread."""

_SILENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.1

log = structlog.get_logger()


class Answer(NamedTuple):
    """A status, the kind of the body, and the body."""

    status: int
    kind: str
    body: bytes


class HttpServer:
    """Answers the three paths from threads of its own."""

    def __init__(
        self,
        opened: socket.socket,
        readiness: Callable[[], Readiness],
        own: Collector,
        hosts: Collection[str] = (),
    ) -> None:
        """Answer at *opened* whoever asks for it by address, as localhost or by one of *hosts*.

        *own* collects what the supervisor itself measures.
        """
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(own)
        answers: dict[str, Callable[[], Answer]] = {
            "/metrics": lambda: Answer(200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/healthz": lambda: _text(200, "alive"),
            "/readyz": lambda: _ready(readiness()),
        }

        class Handler(_Handler):
            def answer(self) -> Answer:
                if fault := _host_fault(self.headers.get_all("Host", []), hosts):
                    return _text(421, fault)
                known = answers.get(self.path.partition("?")[0])
                return known() if known else _text(404, "see /metrics, /healthz, /readyz")

        self._server = _Server(opened, Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve, name="http", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Reads one request and answers it; HTTP/1.0 ends every connection after that."""

    timeout = _SILENCE_SECONDS

    def answer(self) -> Answer:
        """Return what is answered."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer with the body."""
        self._give(self.answer(), with_body=True)

    def do_HEAD(self) -> None:
        """Answer as GET does, without the body (RFC 9110 section 9.3.2)."""
        self._give(self.answer(), with_body=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request that we know, in a line of text."""
        self._give(_text(405 if code == 501 else code, message or "not understood"), with_body=True)

    def _give(self, answer: Answer, *, with_body: bool) -> None:
        # Neither our name nor our version goes out: that helps nobody who watches.
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Stay silent: a scrape every second is no news."""


class _Server(ThreadingHTTPServer):
    """Takes connections, each in a thread, and cuts those that last too long."""

    daemon_threads = True

    def __init__(self, opened: socket.socket, handler: type[_Handler]) -> None:
        self._connections: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        super().__init__(opened.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = opened

    def serve(self) -> None:
        """Serve until told to stop; a round that fails is told, and another begins."""
        while not self._is_closed:
            try:
                self.serve_forever(_LOOK_SECONDS)
            except Exception:
                log.exception("http_failed")
                self._pause()

    def _pause(self) -> None:
        threading.Event().wait(_PAUSE_SECONDS)

    def shutdown(self) -> None:
        """Stop serving."""
        self._is_closed = True
        super().shutdown()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take the next connection; without descriptors wait a moment, or we would ask all the time."""
        try:
            return super().get_request()
        except OSError as error:
            log.warning("http_not_accepted", reason=str(error))
            self._pause()
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; where none can be had, hang up."""
        with self._lock:
            self._connections[request] = clock.monotonic_seconds()
            # For one more, the oldest is cut: who asks quickly is answered, who waits is not.
            crowded = list(self._connections)[:-HTTP_CONNECTIONS_MAX]
        for oldest in crowded:
            _cut(oldest)
        try:
            super().process_request(request, client_address)
        except (RuntimeError, MemoryError) as error:
            log.warning("http_not_answered", reason=str(error))
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """End a connection, however its request went."""
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Now and then cut the connections that have lasted too long."""
        before = clock.monotonic_seconds() - EXCHANGE_SECONDS
        with self._lock:
            overdue = [request for request, began in self._connections.items() if began < before]
        for request in overdue:
            _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that leave; tell of anything else in one line."""
        log.exception("http_failed", source=client_address[0])

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer one request; a client that left, or was cut, is no fault of anybody."""
        try:
            super().finish_request(request, client_address)
        except (OSError, ValueError):
            return  # ValueError: written to after it was closed.


def _cut(connection: socket.socket) -> None:
    """End both directions, which wakes the thread that waits for it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # It has just ended by itself.


def _host_fault(told: Collection[str], hosts: Collection[str]) -> str | None:
    """Say what is wrong with the Host header: a page elsewhere must not read us by a name that it made ours.

    HTTP/1.0 may have none (RFC 9112 section 3.2).
    """
    for host in told:
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        if not (_is_address(name) or name.lower() in ("localhost", *hosts)):
            return f"not served as {json.dumps(name)}: use an IP address, or add the name to http.hosts"
    return None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _ready(readiness: Readiness) -> Answer:
    body = {"ready": readiness.is_ready, "reasons": [reason._asdict() for reason in readiness.reasons]}
    return Answer(200 if readiness.is_ready else 503, "application/json", json.dumps(body).encode() + b"\n")


def _text(status: int, words: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", f"{words}\n".encode())
