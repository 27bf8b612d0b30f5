"""Passwords of the client panel: only an Argon2id hash is kept (RFC 9106)."""

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

# The choice for little memory of RFC 9106 section 4, which this library calls its default.
_HASHER = PasswordHasher()


def hashed(password: str) -> str:
    """Return the hash of a password, salted by chance."""
    return _HASHER.hash(password)


def is_of(kept: str | None, password: str) -> bool:
    """Tell whether *kept* is a hash of *password*."""
    if kept is None:
        return False
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def is_hash(text: str) -> bool:
    """Tell whether *text* is a hash as this module makes it."""
    try:
        return extract_parameters(text).type is Type.ID
    except InvalidHashError:
        return False
