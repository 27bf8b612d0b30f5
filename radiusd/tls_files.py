"""The certificates and keys of RADIUS over TLS (RFC 6614), read by path and handed over by content."""

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from radiusd.config import Radsec


class TlsError(Exception):
    """The certificates in the settings can't be used; the message names the file."""


class TlsFiles(NamedTuple):
    """The contents of the files that RADIUS over TLS takes."""

    certificate: bytes
    key: bytes
    authorities: bytes


def tls_files(settings: Radsec) -> TlsFiles | None:
    """Return what is in the files that *settings* name; None when they have no certificate.

    Raises TlsError, also where servers can't use them.
    """
    if settings.certificate is None or settings.key is None or settings.authorities is None:
        return None
    files = settings.certificate, settings.key, settings.authorities
    server_context(*files)
    return TlsFiles(*(file.read_bytes() for file in files))


def handed_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what servers need, by the contents of *files*. Raises TlsError."""
    with ExitStack() as opened:
        return server_context(*(opened.enter_context(_in_memory(octets)) for octets in files))


@contextmanager
def _in_memory(octets: bytes) -> Iterator[Path]:
    """Give a file of that content that nobody else sees: OpenSSL takes a key by its path only."""
    descriptor = os.memfd_create("radiusd-tls")
    try:
        os.write(descriptor, octets)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def server_context(certificate: Path, key: Path, authorities: Path) -> ssl.SSLContext:
    """Return what servers need: our certificate and key, and the *authorities* that sign our switches'.

    Raises TlsError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Shaking hands again and again is work for us alone.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # RFC 6614 section 2.3: both sides show a certificate, always.
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{certificate}: this certificate and its key {key} can't be used: {error}") from error
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{authorities}: these authorities can't be used: {error}") from error
    return context
