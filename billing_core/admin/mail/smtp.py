"""Mails over SMTP: what they are made of, and what the server says to them."""

import smtplib
import socket
import ssl
from contextlib import suppress
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from billing_core.admin.mail.delivery import Deferred, Outcome, Refused, Sent, one_line
from billing_core.admin.mail.line import Line
from billing_core.admin.mail.mail_settings import Mail
from billing_core.admin.mail.mail_templates import Letter

_PERMANENT = 500  # RFC 5321 section 4.2.1: codes from here on are refusals for good.
# But these are about us, not about the mail: it wants a login, or is about to close (RFC 4954 section 6).
_AWAY = frozenset({421, 530, 534, 535, 538})


class SmtpSender:
    """Sends over one connection as long as it lasts."""

    def __init__(self, settings: Mail) -> None:
        """Open nothing yet; *settings* name a host and who mails are from."""
        assert settings.host is not None
        assert settings.from_address is not None
        self._settings = settings
        self._host = settings.host
        self._from = settings.from_address
        self._line = Line(settings.timeout_seconds)
        self._server: smtplib.SMTP | None = None

    def send(self, letter: Letter, recipient: str, identity: str, written_at: datetime) -> Outcome:
        """Hand a mail over; *identity* is the same whenever the same mail is tried again."""
        try:
            message = self._message(letter, recipient, identity, written_at)
        except (ValueError, MessageError) as error:
            return Refused(f"no mail can be made of it: {one_line(str(error))}")
        with self._line.exchange():
            return self._hand_over(message, recipient)

    def _hand_over(self, message: EmailMessage, recipient: str) -> Outcome:
        try:
            server = self._connected()
        except (smtplib.SMTPException, OSError) as error:
            self._close()
            return Deferred(f"{self._place} takes no mail: {self._words(error)}", is_away=True)
        try:
            server.send_message(message, self._from.addr_spec, [recipient])
        except smtplib.SMTPRecipientsRefused as error:
            return self._answered(*error.recipients[recipient])
        except smtplib.SMTPResponseException as error:
            return self._answered(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            self._close()
            return Deferred(f"{self._place} was lost: {self._words(error)}", is_away=True)
        return Sent()

    def quit(self) -> None:
        """Take leave of the server, if there is a connection."""
        if self._server is not None:
            with suppress(smtplib.SMTPException, OSError), self._line.exchange():
                self._server.quit()
            self._close()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._line.close()

    @property
    def _place(self) -> str:
        return f"{self._host}:{self._settings.port}"

    def _answered(self, code: int, text: bytes | str) -> Outcome:
        reason = f"{self._place} answers {code} {one_line(text)}"
        if code in _AWAY:
            self._close()
            return Deferred(reason, is_away=True)
        return Refused(reason) if code >= _PERMANENT else Deferred(reason)

    def _connected(self) -> smtplib.SMTP:
        """Return the connection; the server has proven who it is before a password is sent."""
        if self._server is not None:
            return self._server
        settings = self._settings
        context = ssl.create_default_context(cafile=settings.authorities)
        server = self._server = _Smtp(self._line, context if settings.tls == "tls" else None)
        server.connect(self._host, settings.port)
        if settings.tls == "starttls":
            server.starttls(context=context)
        if settings.login is not None:
            server.login(*settings.login)
        return server

    def _words(self, error: Exception) -> str:
        """Return what went wrong, in words also where Python has none."""
        if self._line.was_cut:
            return "no answer in time"
        match error:
            case smtplib.SMTPResponseException():
                return f"{error.smtp_code} {one_line(error.smtp_error)}"
            case TimeoutError():
                return "no answer in time"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {error.verify_message}"
        return one_line(str(error)) or type(error).__name__

    def _message(self, letter: Letter, recipient: str, identity: str, written_at: datetime) -> EmailMessage:
        """Raise ValueError for what would break out of its header."""
        message = EmailMessage(policy=SMTP)
        message["From"] = self._from
        message["To"] = Address(addr_spec=recipient)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(written_at)
        message["Message-ID"] = f"<{identity}@{self._from.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice should answer.
        message.set_content(letter.body, cte="7bit" if letter.body.isascii() else "quoted-printable")
        return message


class _Smtp(smtplib.SMTP):
    """Talks over a line of ours, by TLS from the first octet when there is a context."""

    def __init__(self, line: Line, context: ssl.SSLContext | None) -> None:
        super().__init__()
        self._line = line
        self._context = context

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # starttls looks for the server's name here.
        self._host = host
        opened = self._line.open((host, port))
        return opened if self._context is None else self._context.wrap_socket(opened, server_hostname=host)
