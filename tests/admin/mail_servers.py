"""Servers on this machine that take mails and posts, and fail as they are told to."""

import asyncio
import email
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

LOGIN = (b"billing", b"quiet")


@dataclass
class Mailbox:
    """What a mail server took. `answers` are what it says to the next recipients, instead of yes.

    `after_data` is what it does once it has a text: "drop" the connection, or be "slow".
    """

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    after_data: list[str] = field(default_factory=list)
    connections: int = 0

    def ids(self) -> list[str]:
        return [mail["Message-ID"] for mail in self.mails]

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, name: str, lines: list[str]) -> Any:  # noqa: N802
        self.connections += 1
        session.host_name = name
        return lines

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        assert [mail["To"]] == envelope.rcpt_tos
        self.mails.append(mail)
        match self.after_data.pop(0) if self.after_data else "":
            case "drop":
                server.transport.abort()
            case "slow":
                await asyncio.sleep(1.5)
        return "250 OK"


@contextmanager
def smtp(context: ssl.SSLContext | None = None, **settings: Any) -> Iterator[Mailbox]:
    """Run a mail server; with *context* it wants STARTTLS, unless the settings say otherwise."""
    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        box.port = probe.getsockname()[1]
    if context is not None and "ssl_context" not in settings:
        settings |= {"tls_context": context, "require_starttls": True}
    server = Controller(box, hostname="127.0.0.1", port=box.port, ready_timeout=10, **settings)
    server.start()
    try:
        yield box
    finally:
        server.stop()


def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Let in who knows the login."""
    return AuthResult(success=(data.login, data.password) == LOGIN, handled=False)


@dataclass
class Posts:
    """What was posted: path, headers and body. `answers` are the next statuses, instead of 200."""

    url: str = ""
    posted: list[tuple[str, Any, bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, _, body in self.posted]


@contextmanager
def http_server(context: ssl.SSLContext | None = None) -> Iterator[Posts]:
    """Run a web server that takes posts."""
    posts = Posts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.posted.append((self.path, self.headers, body))
            status = posts.answers.pop(0) if posts.answers else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{posts.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    posts.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    try:
        yield posts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def dripping(first: bytes) -> Iterator[int]:
    """Run a server that says *first*, then an octet every 200 ms for ten seconds; give its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(first)
            for _ in range(50):
                if is_over.wait(0.2):
                    return
                connection.sendall(b"7")

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=[listening.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        is_over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
