"""radiusd.toml: the settings of the daemon, frozen; every fault is reported at once with its line."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field
from sqlalchemy.engine import URL

from billing_core.admin.mail.mail_settings import Mail, Webhook, mail_faults, mail_warnings
from billing_core.denial import Denial
from billing_core.limits import Limits as CallLimits
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
    read_secret,
    read_secret_file,
    repeated,
    section,
    validate,
    words,
    written,
)
from radiusd.dialects import DIALECTS
from radiusd.dialects.settings import DialectSettings, contradictions
from radiusd.nas import Nas, NasTable, Network, network
from radiusd.setting_values import (
    Endpoint,
    read_address,
    read_database_url,
    read_disconnect,
    read_endpoint,
    read_next_hop,
    read_owner_url,
    read_realm,
)

FILE_NAME = "radiusd.toml"
_SECRET_OCTETS_ADVISED = 16  # RFC 2865 section 3 prefers at least these.
_CALLS = CallLimits()


Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[int, Field(ge=1, le=31_536_000)]
ReturnCode = Annotated[int, Field(ge=1, le=65_535)]
DenialName = Annotated[Denial, one_of({denial.value: denial for denial in Denial})]


class Radius(Section):
    """Where packets come in, and how many of them a worker takes at a time."""

    listen: Annotated[
        Array[Annotated[str, written(read_address)]], Field(min_length=1), AfterValidator(different)
    ] = (
        "0.0.0.0",
        "::",
    )
    auth_port: Port = 1812
    acct_port: Port = 1813
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    batch_max: Annotated[int, Field(ge=1, le=10_000)] = 256
    reject_delay_seconds: Annotated[int, Field(ge=0, le=5)] = 1
    status_server: bool = True


class Radsec(Section):
    """RADIUS over TLS (RFC 6614) on the addresses of `radius.listen`, when there is a certificate.

    `key` is the certificate's, `authorities` those who sign the certificates of switches.
    """

    port: Port = 2083
    certificate: PathBeside | None = None
    key: PathBeside | None = None
    authorities: PathBeside | None = None

    def signing_key(self, name: str) -> bytes:
        """Return what only we know of the NAS *name*, which has no secret; without our key none connects."""
        try:
            own = self.key.read_bytes() if self.key else b""
        except OSError:
            return b""
        return hmac.digest(own, name.encode(), "sha256")


class Database(Section):
    """Where the truth is kept. `url` None is the embedded server in `directory`."""

    url: Annotated[URL | None, written(read_database_url)] = default("embedded", repr=False)
    owner_url: Annotated[URL, written(read_owner_url)] | None = Field(default=None, repr=False)
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

    listen: Annotated[Endpoint, written(read_endpoint)] = default("127.0.0.1:9812")


class Log(Section):
    """What is logged, and how; `auto` is `console` on a terminal, else `json`."""

    level: Annotated[str, words("debug", "info", "warning", "error")] = "info"
    format: Annotated[str, words("auto", "json", "console")] = "auto"


class Billing(Section):
    """The definitions files that `radiusd serve` applies when they have changed."""

    apply_on_start: Array[PathBeside] = default(("billing.toml",))


class NasSection(DialectSettings):
    """One `[[nas]]`. What it leaves out is as `Nas` and its dialect say: defaults stand in one place."""

    name: Name
    address: Annotated[Network, written(network)] | None = None
    certificate: Name | None = None
    secret: Annotated[bytes, written(read_secret)] | None = Field(default=None, repr=False)
    secret_file: Annotated[PathBeside, AfterValidator(read_secret_file)] | None = Field(
        default=None, repr=False
    )
    dialect: Annotated[str, words(*DIALECTS)]
    require_message_authenticator: bool | None = None
    limit_proxy_state: bool | None = None
    on_backend_failure: Annotated[str, words("silent", "reject")] | None = None
    return_codes: dict[DenialName, ReturnCode] | None = None
    sends_start: bool | None = None
    disconnect: Annotated[Endpoint, written(read_disconnect)] | None = None
    on_silence: Annotated[str, words("charge_known", "charge_granted")] | None = None
    timezone: Annotated[Timezone, AfterValidator(ZoneInfo)] | None = None
    trusted_names: bool | None = None
    routing: Annotated[str, written(read_next_hop)] | None = None
    realms: Annotated[Array[Annotated[str, written(read_realm)]], AfterValidator(different)] | None = None
    status_server: bool | None = None

    def nas(self, radius: Radius, radsec: Radsec) -> Nas:
        """Return the softswitch that the section describes; the others have what counts for all."""
        secret: Any = self.secret or self.secret_file or b""
        told = {
            key: getattr(self, key) for key in self.model_fields_set - {"address", "secret", "secret_file"}
        }
        differs = {key: told.pop(key) for key in sorted(told.keys() & DialectSettings.model_fields.keys())}
        told.setdefault("status_server", radius.status_server)
        key = secret or radsec.signing_key(self.name)
        return Nas(network=self.address, secret=secret, signing_key=key, differs=differs, **told)


class _File(Section):
    radius: Radius = section()
    radsec: Radsec = section()
    database: Database = section()
    limits: Limits = section()
    http: Http = section()
    log: Log = section()
    billing: Billing = section()
    mail: Mail = section()
    webhook: Webhook = section()
    nas: Array[NasSection] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of the daemon. `warnings` name what works but should be mended."""

    radius: Radius
    radsec: Radsec
    database: Database
    limits: Limits
    http: Http
    log: Log
    billing: Billing
    mail: Mail
    webhook: Webhook
    nas: NasTable
    warnings: tuple[Fault, ...]


def load(directory: Path) -> Config:
    """Read radiusd.toml in *directory*; raise SettingsError with every fault."""
    if not directory.is_dir():
        message = f"no such directory; name it with --config DIR, or begin with: cp -r {sample()} {directory}"
        raise SettingsError([Fault(directory, 0, "", message)])
    document = read(directory / FILE_NAME)
    file = validate(
        _File,
        document,
        _ports,
        _durations,
        _owner,
        _names,
        _networks,
        _certificates,
        _secrets,
        _open_doors,
        _dialects,
        mail_faults,
    )
    softswitches = [entry.nas(file.radius, file.radsec) for entry in file.nas]
    return Config(
        radius=file.radius,
        radsec=file.radsec,
        database=file.database,
        limits=file.limits,
        http=file.http,
        log=file.log,
        billing=file.billing,
        mail=file.mail,
        webhook=file.webhook,
        nas=NasTable(softswitches),
        warnings=(*_warnings(document, softswitches), *mail_warnings(document, file.mail)),
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


def _certificates(document: Document) -> Iterator[Fault]:
    names = (
        ((*path, "certificate"), nas["certificate"].lower())
        for path, nas in document.tables("nas")
        if nas.get("certificate")
    )
    for path, first in repeated(names):
        yield document.fault(path, f"is the certificate of the NAS on line {document.line_of(first)} too")
    keys = ("certificate", "key", "authorities")
    radsec = document.data.get("radsec") or {}
    if not radsec.keys().isdisjoint(keys):
        for key in keys:
            if key not in radsec:
                yield document.fault(
                    ("radsec", key), "missing; RADIUS over TLS takes a certificate on both sides"
                )


def _secrets(document: Document) -> Iterator[Fault]:
    for path, nas in document.tables("nas"):
        if "address" not in nas and "certificate" not in nas:
            yield document.fault(
                (*path, "address"), "missing; give address, or certificate for RADIUS over TLS"
            )
        match ("secret" in nas, "secret_file" in nas):
            case (False, False) if "address" in nas:
                yield document.fault((*path, "secret"), "missing; give secret or secret_file")
            case (False, False) if "disconnect" in nas:
                message = "missing; Disconnect-Requests go by UDP and are signed with it, TLS or not"
                yield document.fault((*path, "secret"), message)
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


def _dialects(document: Document) -> Iterator[Fault]:
    for path, nas in document.tables("nas"):
        dialect = DIALECTS.get(nas.get("dialect") or "")
        if dialect is not None:
            for key, message in contradictions(dialect, nas):
                yield document.fault((*path, key), message)


def _warnings(document: Document, softswitches: list[Nas]) -> Iterator[Fault]:
    if not softswitches:
        yield document.fault((), "there is no [[nas]]: every packet will be dropped as a stranger's")
    for place, nas in enumerate(softswitches):
        if nas.network is not None and len(nas.secret) < _SECRET_OCTETS_ADVISED:
            message = f"has {len(nas.secret)} octets; {_SECRET_OCTETS_ADVISED} or more resist guessing"
            yield document.fault(("nas", place, "secret"), message)
