"""/metrics, /healthz and /readyz, for whoever watches."""

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from radiusd.setting_values import Endpoint

Answer = tuple[int, str, bytes]


class HttpPortError(Exception):
    """The address for metrics is taken or not ours."""


class HttpServer:
    """Answers the three paths from a thread."""

    def __init__(self, endpoint: Endpoint, is_ready: Callable[[], bool], own: Collector) -> None:
        """Listen at *endpoint*; *own* collects what the supervisor itself measures."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(own)
        answers: dict[str, Callable[[], Answer]] = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/healthz": lambda: _text(200, "alive"),
            "/readyz": lambda: _text(200, "ready") if is_ready() else _text(503, "not ready"),
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(self.path.partition("?")[0])
                status, kind, body = answer() if answer else _text(404, "see /metrics, /healthz, /readyz")
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Stay silent: a scrape every second is no news."""

        class Server(ThreadingHTTPServer):
            address_family = _family(endpoint)
            daemon_threads = True

        try:
            self._server = Server((endpoint.address, endpoint.port), Handler)
        except OSError as error:
            raise HttpPortError(
                f"can't listen on TCP {endpoint.address} port {endpoint.port}: {error.strerror}: "
                "set another http.listen"
            ) from error
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def _family(endpoint: Endpoint) -> int:
    return socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET


def _text(status: int, words: str) -> Answer:
    return status, "text/plain; charset=utf-8", f"{words}\n".encode()
