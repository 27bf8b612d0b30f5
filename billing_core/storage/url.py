"""The URL of a database as an admin writes it."""

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


def database_url(text: str) -> URL:
    """Return the URL with its driver, or raise ValueError; no message may repeat it: it holds a password."""
    scheme = text.partition("://")[0]
    if "://" not in text or scheme not in ("postgresql", "postgresql+psycopg2"):
        raise ValueError('must be "embedded" or begin with postgresql://; there is no other database')
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("has a % that is not followed by two hex digits; write % itself as %25")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("cannot be read; write postgresql://user:password@host:5432/database") from None
    if "@" in f"{url.host}{url.database}":
        raise ValueError("has more than one @; write an @ inside the password as %40")
    if "password" in url.query:
        raise ValueError("has the password behind the ?, where logs would show it; write user:password@host")
    return url.set(drivername="postgresql+psycopg2")
