"""radiusd.toml: the settings of the daemon, frozen; every fault is reported at once with its line."""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field
from sqlalchemy.engine import URL

from billing_core.denial import Denial
from billing_core.limits import Limits as CallLimits
from billing_core.session import Leg
from billing_core.settings import (
    Array,
    Document,
    Fault,
    Name,
    PathBeside,
    Section,
    SettingsError,
    Timezone,
    default,
    different,
    one_of,
    read,
    repeated,
    section,
    validate,
    words,
    written,
)
from billing_core.storage.url import database_url
from radiusd.nas import DIALECTS, LEGS, Nas, NasTable, Network, network

FILE_NAME = "radiusd.toml"
_SECRET_OCTETS_MAX = 65_536
_SECRET_OCTETS_ADVISED = 16  # RFC 2865 section 3 prefers at least these.
_CALLS = CallLimits()


class Endpoint(NamedTuple):
    """An IP address and a TCP port; port 0 asks the system for a free one."""

    address: str
    port: int


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f'"{text}" is not an IP address; names are not looked up') from None


def _endpoint(text: str) -> Endpoint:
    """Read `127.0.0.1:9812` or `[::1]:9812`."""
    place = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})", text)
    if place is None or int(place[3]) > 65_535:
        raise ValueError(f'"{text}" is not an address and port, such as "127.0.0.1:9812" or "[::1]:9812"')
    return Endpoint(_address(place[1] or place[2]), int(place[3]))


def _database_url(text: str) -> URL | None:
    return None if text == "embedded" else database_url(text)


def _owner_url(text: str) -> URL | None:
    if text == "embedded":
        raise ValueError("must begin with postgresql://; the embedded database has its own owner")
    return _database_url(text)


def _secret(text: str) -> bytes:
    if not text:
        raise ValueError("must not be empty: anyone could sign with it; use 16 random characters or more")
    return text.encode()


def _secret_in(file: Path) -> bytes:
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


Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[int, Field(ge=1, le=31_536_000)]
ReturnCode = Annotated[int, Field(ge=1, le=65_535)]
DenialName = Annotated[Denial, one_of({denial.value: denial for denial in Denial})]
LegName = Annotated[Leg, one_of({leg.value: leg for leg in (Leg.ORIGINATION, Leg.TERMINATION)})]


class Radius(Section):
    """Where packets come in, and how many of them a worker takes at a time."""

    listen: Annotated[
        Array[Annotated[str, written(_address)]], Field(min_length=1), AfterValidator(different)
    ] = (
        "0.0.0.0",
        "::",
    )
    auth_port: Port = 1812
    acct_port: Port = 1813
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    batch_max: Annotated[int, Field(ge=1, le=10_000)] = 256


class Database(Section):
    """Where the truth is kept. `url` None is the embedded server in `directory`."""

    url: Annotated[URL | None, written(_database_url)] = default("embedded", repr=False)
    owner_url: Annotated[URL, written(_owner_url)] | None = Field(default=None, repr=False)
    directory: PathBeside = default("../var/postgres")


class Limits(Section):
    """How long calls and silences may last, in seconds."""

    max_call_seconds: Seconds = _CALLS.max_call_seconds
    implausible_seconds: Seconds = _CALLS.implausible_seconds
    start_timeout_seconds: Seconds = _CALLS.start_timeout_seconds
    silence_margin_seconds: Annotated[int, Field(ge=0, le=86_400)] = _CALLS.silence_margin_seconds
    sweep_seconds: Seconds = 10

    @property
    def calls(self) -> CallLimits:
        """Return the part of the limits that decides about calls."""
        return CallLimits(**{limit.name: getattr(self, limit.name) for limit in fields(CallLimits)})


class Http(Section):
    """Where metrics and health are served."""

    listen: Annotated[Endpoint, written(_endpoint)] = default("127.0.0.1:9812")


class Log(Section):
    """What is logged, and how; `auto` is `console` on a terminal, else `json`."""

    level: Annotated[str, words("debug", "info", "warning", "error")] = "info"
    format: Annotated[str, words("auto", "json", "console")] = "auto"


class Billing(Section):
    """The definitions files that `radiusd serve` applies when they have changed."""

    apply_on_start: Array[PathBeside] = default(("billing.toml",))


class NasSection(Section):
    """One `[[nas]]`. What it leaves out is as `Nas` says, so the defaults stand in one place."""

    name: Name
    address: Annotated[Network, written(network)]
    secret: Annotated[bytes, written(_secret)] | None = Field(default=None, repr=False)
    secret_file: Annotated[PathBeside, AfterValidator(_secret_in)] | None = Field(default=None, repr=False)
    dialect: Annotated[str, words(*DIALECTS)]
    require_message_authenticator: bool | None = None
    limit_proxy_state: bool | None = None
    on_backend_failure: Annotated[str, words("silent", "reject")] | None = None
    return_codes: dict[DenialName, ReturnCode] | None = None
    sends_start: bool | None = None
    on_silence: Annotated[str, words("charge_known", "charge_granted")] | None = None
    timezone: Annotated[Timezone, AfterValidator(ZoneInfo)] | None = None
    legs: (
        Annotated[dict[Annotated[str, words(*LEGS)], LegName], AfterValidator(lambda legs: {**LEGS, **legs})]
        | None
    ) = None

    def nas(self) -> Nas:
        """Return the softswitch that the section describes."""
        secret: Any = self.secret or self.secret_file
        policies = self.model_fields_set - {"address", "secret", "secret_file"}
        return Nas(network=self.address, secret=secret, **{key: getattr(self, key) for key in policies})


class _File(Section):
    radius: Radius = section()
    database: Database = section()
    limits: Limits = section()
    http: Http = section()
    log: Log = section()
    billing: Billing = section()
    nas: Array[NasSection] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of the daemon. `warnings` name what works but should be mended."""

    radius: Radius
    database: Database
    limits: Limits
    http: Http
    log: Log
    billing: Billing
    nas: NasTable
    warnings: tuple[Fault, ...]


def load(directory: Path) -> Config:
    """Read radiusd.toml in *directory*; raise SettingsError with every fault."""
    if not directory.is_dir():
        message = f"no such directory; name it with --config DIR, or begin with: cp -r {sample()} {directory}"
        raise SettingsError([Fault(directory, 0, "", message)])
    document = read(directory / FILE_NAME)
    file = validate(_File, document, _ports, _durations, _owner, _names, _networks, _secrets, _open_doors)
    softswitches = [entry.nas() for entry in file.nas]
    return Config(
        radius=file.radius,
        database=file.database,
        limits=file.limits,
        http=file.http,
        log=file.log,
        billing=file.billing,
        nas=NasTable(softswitches),
        warnings=tuple(_warnings(document, softswitches)),
    )


def sample() -> Path:
    """Return the directory of the sample settings: in an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "config_sample"
    return installed if installed.is_dir() else package.parent / "config"


# --- what no single value tells: values that are faulty by themselves are None here -------------------


def _setting(document: Document, table: type[Section], name: str, key: str) -> Any:
    """Return a value of a section as written, or its default; None when it is faulty."""
    return (document.data.get(name) or {}).get(key, table.model_fields[key].default)


def _ports(document: Document) -> Iterator[Fault]:
    auth_port, acct_port = (_setting(document, Radius, "radius", key) for key in ("auth_port", "acct_port"))
    if auth_port and auth_port == acct_port:
        yield document.fault(("radius", "acct_port"), f"{acct_port} is auth_port too; give each its own")


def _durations(document: Document) -> Iterator[Fault]:
    longest = _setting(document, Limits, "limits", "max_call_seconds")
    implausible = _setting(document, Limits, "limits", "implausible_seconds")
    if longest and implausible and implausible < longest:
        message = f"{implausible} is less than max_call_seconds, {longest}: an allowed call would go unbilled"
        yield document.fault(("limits", "implausible_seconds"), message)


def _owner(document: Document) -> Iterator[Fault]:
    database = document.data.get("database") or {}
    if "owner_url" in database and database.get("url", "embedded") == "embedded":
        message = 'goes with a url of its own; the database is "embedded", which has its own owner'
        yield document.fault(("database", "owner_url"), message)


def _names(document: Document) -> Iterator[Fault]:
    names = (((*path, "name"), nas.get("name")) for path, nas in document.tables("nas"))
    for path, first in repeated(names):
        yield document.fault(path, f"is the name of the NAS on line {document.line_of(first)} too")


def _networks(document: Document) -> Iterator[Fault]:
    networks = (
        ((*path, "address"), network(nas["address"]))
        for path, nas in document.tables("nas")
        if nas.get("address")
    )
    for path, first in repeated(networks):
        yield document.fault(path, f"is the address of the NAS on line {document.line_of(first)} too")


def _secrets(document: Document) -> Iterator[Fault]:
    for path, nas in document.tables("nas"):
        match ("secret" in nas, "secret_file" in nas):
            case (False, False):
                yield document.fault((*path, "secret"), "missing; give secret or secret_file")
            case (True, True):
                yield document.fault((*path, "secret_file"), "stands beside secret; keep one of them")


def _open_doors(document: Document) -> Iterator[Fault]:
    """Anyone at all, with unsigned requests, is not a policy but a mistake (CVE-2024-3596)."""
    for path, nas in document.tables("nas"):
        is_signed = nas.get("require_message_authenticator") is not False
        if is_signed or nas.get("limit_proxy_state") is not False or not nas.get("address"):
            continue
        if network(nas["address"]).prefixlen == 0:
            message = (
                "lets every address send forged requests; name networks, or require Message-Authenticator"
            )
            yield document.fault((*path, "address"), message)


def _warnings(document: Document, softswitches: list[Nas]) -> Iterator[Fault]:
    if not softswitches:
        yield document.fault((), "there is no [[nas]]: every packet will be dropped as a stranger's")
    for place, nas in enumerate(softswitches):
        if len(nas.secret) < _SECRET_OCTETS_ADVISED:
            message = f"has {len(nas.secret)} octets; {_SECRET_OCTETS_ADVISED} or more resist guessing"
            yield document.fault(("nas", place, "secret"), message)
