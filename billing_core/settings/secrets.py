"""Secrets in settings: written there, or in a file that not everybody may read."""

import stat
from pathlib import Path

_SECRET_OCTETS_MAX = 65_536


def read_secret(text: str) -> bytes:
    """Return a secret as octets; raise ValueError when it is empty."""
    if not text:
        raise ValueError("must not be empty: anyone could sign with it; use 16 random characters or more")
    return text.encode()


def read_secret_file(file: Path) -> bytes:
    """Return the secret that *file* holds, without the line end behind it."""
    try:
        mode = file.stat().st_mode
        octets = file.read_bytes() if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    if mode & stat.S_IROTH:
        raise ValueError(f"{file} can be read by everyone; run: chmod o-rwx {file}")
    secret = octets.removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(secret) <= _SECRET_OCTETS_MAX:
        raise ValueError(f"{file} must be a regular file of 1 to {_SECRET_OCTETS_MAX:,} octets")
    return secret
