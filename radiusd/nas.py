"""The softswitches that may ask us, and finding one by the address a packet came from.

The source address alone chooses the secret (RFC 2865 section 3), never an attribute of the packet.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from zoneinfo import ZoneInfo

from billing_core.denial import Denial
from billing_core.settings import address
from radiusd.dialects import DIALECTS
from radiusd.dialects.dialect import Dialect
from radiusd.dialects.settings import differing
from radiusd.digest import ALGORITHMS

TLS_SECRET = b"radsec"

_REMEMBERED_MAX = 4096

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Nas:
    """A softswitch, or networks of equal ones: its secret, how it speaks and what we grant it."""

    name: str
    networks: tuple[Network, ...]
    secret: bytes = field(repr=False)
    dialect: str
    require_message_authenticator: bool = True
    limit_proxy_state: bool = True
    on_backend_failure: str = "silent"
    return_codes: Mapping[Denial, int] = field(default_factory=dict, hash=False)
    sends_start: bool = False
    disconnect: tuple[str, int] | None = None
    on_silence: str = "charge_known"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    trusted_names: bool = False
    trusted_path: bool = False
    """Nobody else can send as it, so what it asks unsigned is believed."""
    same_as: str | None = None
    """The name of the NAS that is the same switch; what concerns its calls is then as there."""
    numbers_change: bool = False
    overrun: str = "hold"
    patience_seconds: float = 2.0
    """How long it waits for an answer before it goes on to its next server."""
    unheard_seconds: int | None = None
    auth_port: int | None = None
    acct_port: int | None = None
    """Ports that nobody else may use; None is to share those of all."""
    routing: str | None = None
    certificate: str | None = None
    realms: tuple[str, ...] = ()
    digest_algorithms: tuple[str, ...] = ALGORITHMS
    """Those that its callers may use; challenges of ours ask for the first."""
    status_server: bool = True
    signing_key: bytes = field(default=b"", repr=False)
    """Signs what we give out and get back: the secret, unless it has only that of TLS, which all know."""
    differs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The fields of its dialect in which it differs from its family."""
    speaks: Dialect = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out once how it speaks, and leave out of `differs` what is as in its family."""
        object.__setattr__(self, "signing_key", self.signing_key or self.secret)
        family = DIALECTS[self.dialect]
        object.__setattr__(self, "differs", differing(family, self.differs))
        object.__setattr__(self, "speaks", replace(family, **self.differs) if self.differs else family)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of; how it speaks is worked out again."""
        return _made, ({entry.name: getattr(self, entry.name) for entry in fields(self) if entry.init},)

    @property
    def switch(self) -> str:
        """Return the name under which its calls are known, by whichever NAS of the switch they come."""
        return self.same_as or self.name

    def is_at(self, source: str) -> bool:
        """Tell whether it may send from that address; one that has none, and comes over TLS, from any."""
        if not self.networks:
            return True
        found = address(source)
        return any(found.version == network.version and found in network for network in self.networks)

    def allows_realm(self, realm: bytes) -> bool:
        """Tell whether callers of this *realm* of Digest may come by this switch; without a list all may."""
        return not self.realms or realm in [allowed.encode() for allowed in self.realms]


def _made(values: Mapping[str, Any]) -> Nas:
    return Nas(**values)


class NasTable:
    """All softswitches; no two have the same network."""

    def __init__(self, entries: Iterable[Nas]) -> None:
        """Sort *entries* so that the longest prefix is looked at first."""
        self._entries = tuple(entries)
        by_shift: dict[tuple[int, int], dict[int, Nas]] = {}
        for network, nas in ((network, entry) for entry in self._entries for network in entry.networks):
            shift = network.max_prefixlen - network.prefixlen
            level = by_shift.setdefault((network.version, shift), {})
            prefix = int(network.network_address) >> shift
            assert prefix not in level, f"two softswitches at {network}"
            level[prefix] = nas
        self._levels = sorted(by_shift.items(), key=lambda level: level[0])
        # RFC 6614 section 2.3: over TLS the secret is the same for all, for the certificate proves who it is;
        # and nobody can send but who has it.
        self._by_certificate = {
            nas.certificate.lower(): replace(nas, secret=TLS_SECRET, trusted_path=True)
            for nas in self._entries
            if nas.certificate
        }
        self.owners = {
            number: nas
            for nas in self._entries
            for number in (nas.auth_port, nas.acct_port)
            if number is not None
        }
        """Whose alone a UDP port is."""
        # A switch sends from few addresses; strangers must not make the memory grow.
        self._remembered = lru_cache(maxsize=_REMEMBERED_MAX)(self._search)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the entries."""
        return NasTable, (self._entries,)

    def __iter__(self) -> Iterator[Nas]:
        """Iterate in the order of the settings."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return how many softswitches are known."""
        return len(self._entries)

    def by_certificate(self, names: Iterable[str]) -> Nas | None:
        """Return the softswitch whose certificate has one of these names; the first that is known counts."""
        found = (self._by_certificate.get(name.lower()) for name in names)
        return next((nas for nas in found if nas is not None), None)

    def may_come_by_tls(self, address: str) -> bool:
        """Tell whether some switch with a certificate may connect from *address*."""
        return any(nas.is_at(address) for nas in self._by_certificate.values())

    def find(self, address: str) -> Nas | None:
        """Return the softswitch at *address*, or None for a stranger: the longest prefix wins.

        IPv4 in IPv6 is IPv4, a scope id is ignored. Raise ValueError when it is no IP address.
        """
        return self._remembered(address)

    def _search(self, source: str) -> Nas | None:
        found = address(source)
        number = int(found)
        for (version, shift), level in self._levels:
            if version == found.version and (nas := level.get(number >> shift)):
                return nas
        return None


def network(text: str) -> Network:
    """Return the network that *text* writes as an address or in CIDR form; raise ValueError.

    A network inside ::ffff:0:0/96 is the IPv4 network it means, so that it meets IPv4 packets.
    """
    host, slash, length = text.partition("/")
    plain = host.partition("%")[0] + slash + length
    try:
        found = ip_network(plain, strict=False)
    except ValueError:
        raise ValueError(f'"{text}" is not an IP address or network, such as 192.0.2.0/24') from None
    if slash and address(host) != address(str(found.network_address)):
        raise ValueError(f"{text} is inside a network; write {found} for all of it, or {host} alone")
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is not None and found.prefixlen >= 96:
        return IPv4Network((mapped, found.prefixlen - 96))
    return found
