"""How single values of radiusd.toml are written: each function reads one, or raises ValueError."""

import grp
import pwd
import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated, NamedTuple

from pydantic import Field
from sqlalchemy.engine import URL

from billing_core.storage.url import database_url

Seconds = Annotated[int, Field(ge=1, le=31_536_000)]

_REALM_OCTETS_MAX = 253
_DISCONNECT_PORT = 3799  # RFC 5176 section 2.3.


class Endpoint(NamedTuple):
    """An IP address and a TCP port; port 0 asks the system for a free one."""

    address: str
    port: int


def read_user(text: str) -> str:
    """Read the name of a user of this machine that is not root; raise ValueError."""
    try:
        found = pwd.getpwnam(text)
    except KeyError:
        raise ValueError(f'this machine has no user "{text}"; add it: useradd --system {text}') from None
    if found.pw_uid == 0:
        raise ValueError(f'"{text}" is root; name another, or leave user out')
    return text


def read_group(text: str) -> str:
    """Read the name of a group of this machine; raise ValueError."""
    try:
        return grp.getgrnam(text).gr_name
    except KeyError:
        raise ValueError(f'this machine has no group "{text}"; add it: groupadd --system {text}') from None


def read_address(text: str) -> str:
    """Return an IP address in its usual form; raise ValueError for anything else."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f'"{text}" is not an IP address; names are not looked up') from None


def read_endpoint(text: str) -> Endpoint:
    """Read `127.0.0.1:9812` or `[::1]:9812`."""
    place = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})", text)
    if place is None or int(place[3]) > 65_535:
        raise ValueError(f'"{text}" is not an address and port, such as "127.0.0.1:9812" or "[::1]:9812"')
    return Endpoint(read_address(place[1] or place[2]), int(place[3]))


def read_host(text: str) -> str:
    """Read a name that a browser or Prometheus may call us by; raise ValueError."""
    if re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*", text) is None:
        raise ValueError(f'"{text}" is not a host name, such as "radius.example.com"; ports do not count')
    return text.lower()


def read_disconnect(text: str) -> Endpoint:
    """Read `192.0.2.10`, `192.0.2.10:3799` or `[2001:db8::10]:3799`."""
    has_port = text.count(":") == 1 or text.startswith("[")
    with suppress(ValueError):
        endpoint = read_endpoint(text) if has_port else Endpoint(read_address(text), _DISCONNECT_PORT)
        if endpoint.port and not ip_address(endpoint.address).is_unspecified:
            return endpoint
    raise ValueError(
        f'"{text}" is not where a switch takes Disconnect-Requests: an IP address, and a port unless it is'
        f' {_DISCONNECT_PORT}, such as "192.0.2.10", "192.0.2.10:1700" or "[2001:db8::10]:1700"'
    )


def read_database_url(text: str) -> URL | None:
    """Return where the database is, None for the embedded one; raise ValueError."""
    return None if text == "embedded" else database_url(text)


def read_owner_url(text: str) -> URL | None:
    """Return where the owner of the tables connects; raise ValueError."""
    if text == "embedded":
        raise ValueError("must begin with postgresql://; the embedded database has its own owner")
    return read_database_url(text)


def read_next_hop(text: str) -> str:
    """Read `host` or `host:port`, as Sippy B2BUA takes a route."""
    if re.fullmatch(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?", text) is None or len(text) > 200:
        raise ValueError(f'"{text}" is not a host, or host and port, such as "192.0.2.1:5060"')
    return text


def read_realm(text: str) -> str:
    """Read a realm of Digest, which must fit into its attribute."""
    if not text.isprintable() or '"' in text or not 1 <= len(text.encode()) <= _REALM_OCTETS_MAX:
        raise ValueError(f'is not a realm of 1 to {_REALM_OCTETS_MAX} octets, such as "sip.example.com"')
    return text
