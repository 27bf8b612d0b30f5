"""`[mail]` and `[webhook]` of radiusd.toml: where what people are told is sent, and how often it is tried.

Without a host, and without a URL, nothing is sent that way, and what is to be sent waits.
"""

import re
import ssl
from collections.abc import Iterator
from dataclasses import replace
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from billing_core.admin.definitions.definition_values import email
from billing_core.settings import (
    Document,
    Fault,
    Name,
    PathBeside,
    Section,
    Text,
    default,
    read,
    read_secret,
    read_secret_file,
    section,
    validate,
    words,
    written,
)

_FILE_NAME = "radiusd.toml"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_FROM = re.compile(r'(?P<name>[^<>"]*[^<>" ]) +<(?P<named>[^<>]+)>|(?P<bare>[^<>]+)')


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f'"{text}" is not the name or address of a host, such as "mail.example.com"')
    return text


def _from_address(text: str) -> Address:
    if not text.isprintable():
        raise ValueError("has a character that cannot be shown, such as a line break; remove it")
    match = _FROM.fullmatch(text)
    if match is None:
        raise ValueError(
            f'"{text}" is not an email address, such as "billing@example.com", or a name with one, such as'
            ' "Example Telecom <billing@example.com>"'
        )
    return Address(match["name"] or "", addr_spec=email(match["named"] or match["bare"]))


def _url(text: str) -> str:
    """Return a URL that can be posted to; whoever writes it here may name any host."""
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not (is_good and text.isascii() and text.isprintable() and " " not in text):
        raise ValueError(f'"{text}" is not a URL such as "https://example.com/billing"')
    if parts.username is not None or parts.fragment:
        raise ValueError("must have no user and no fragment; a secret proves who posts")
    return text


def _login(text: str) -> str:
    if not (text and text.isascii()):
        raise ValueError("must be ASCII characters, as a login over SMTP has them")
    return text


def _password(file: Path) -> str:
    return _login(read_secret_file(file).decode("utf-8", "replace"))


def _authorities(file: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError as error:  # Of which ssl.SSLError is one.
        raise ValueError(f"{file} has no certificates in PEM: {error.strerror or error}") from None
    return file


# What tells that something is to be sent.
_NEEDING = frozenset({"from_address", "username", "password", "password_file", "secret", "secret_file"})

Authorities = Annotated[PathBeside, AfterValidator(_authorities)]
SecretFile = Annotated[PathBeside, AfterValidator(read_secret_file)]
Seconds = Annotated[int, Field(ge=1, le=86_400)]
Patience = Annotated[int, Field(ge=1, le=300)]


class Mail(Section):
    """The SMTP server that takes mails, and how often any way of sending is tried.

    `tls` is "starttls", "tls" from the first octet on, or "none"; `authorities` sign the server's
    certificate instead of those whom this machine trusts.
    """

    host: Annotated[str, written(_host)] | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    tls: Annotated[str, words("starttls", "tls", "none")] = "starttls"
    authorities: Authorities | None = None
    username: Annotated[Name, AfterValidator(_login)] | None = None
    password: Annotated[Text, AfterValidator(_login)] | None = Field(default=None, repr=False)
    password_file: Annotated[PathBeside, AfterValidator(_password)] | None = Field(default=None, repr=False)
    from_address: Annotated[Address, written(_from_address)] | None = None
    templates: PathBeside = default("mail")
    timeout_seconds: Patience = 30
    retry_seconds: Seconds = 60
    retry_seconds_max: Seconds = 3600
    attempts_max: Annotated[int, Field(ge=1, le=1000)] = 30

    @property
    def login(self) -> tuple[str, str] | None:
        """Return name and password, if the server wants them."""
        password = str(self.password_file or self.password)
        return (self.username, password) if self.username is not None else None


class Webhook(Section):
    """The URL that every event is posted to, and the secret that signs it."""

    url: Annotated[str, written(_url)] | None = None
    secret: Annotated[bytes, written(read_secret)] | None = Field(default=None, repr=False)
    secret_file: SecretFile | None = Field(default=None, repr=False)
    authorities: Authorities | None = None
    timeout_seconds: Patience = 10

    @property
    def key(self) -> bytes | None:
        """Return the secret, wherever it was written."""
        told: object = self.secret_file or self.secret
        return told if isinstance(told, bytes) else None


class MailSettings(Section):
    """Both."""

    mail: Mail = section()
    webhook: Webhook = section()


def load(directory: Path) -> MailSettings:
    """Read both sections of radiusd.toml in *directory*; raise SettingsError with every fault."""
    document = read(directory / _FILE_NAME)
    ours = {name: document.data[name] for name in MailSettings.model_fields if name in document.data}
    return validate(MailSettings, replace(document, data=ours), mail_faults)


def mail_faults(document: Document) -> Iterator[Fault]:
    """Yield what no single value of the two sections tells."""
    mail, webhook = document.data.get("mail") or {}, document.data.get("webhook") or {}
    for name, table, key in (("mail", mail, "host"), ("webhook", webhook, "url")):
        if key not in table and not _NEEDING.isdisjoint(table):
            yield document.fault((name, key), "missing; without it nothing is sent")
    if "host" in mail and "from_address" not in mail:
        yield document.fault(("mail", "from_address"), "missing; every mail is from somebody")
    for name, table, key in (("mail", mail, "password"), ("webhook", webhook, "secret")):
        if key in table and f"{key}_file" in table:
            yield document.fault((name, f"{key}_file"), f"stands beside {key}; keep one of them")
    has_password = "password" in mail or "password_file" in mail
    if ("username" in mail) != has_password:
        missing = "username" if has_password else "password"
        yield document.fault(("mail", missing), "missing; a login is a username and a password")
    yield from _retries(document)


def _retries(document: Document) -> Iterator[Fault]:
    mail = document.data.get("mail") or {}
    fields = Mail.model_fields
    first = mail.get("retry_seconds", fields["retry_seconds"].default)
    longest = mail.get("retry_seconds_max", fields["retry_seconds_max"].default)
    if first and longest and longest < first:
        yield document.fault(
            ("mail", "retry_seconds_max"), f"{longest} is less than retry_seconds, {first}: pauses only grow"
        )


def mail_warnings(document: Document, mail: Mail) -> Iterator[Fault]:
    """Yield what works but should be mended."""
    if mail.tls == "none" and mail.username is not None and mail.host not in _LOOPBACK:
        yield document.fault(("mail", "tls"), "sends the password readable; use starttls or tls")
