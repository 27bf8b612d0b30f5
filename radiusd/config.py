"""radiusd.toml: the settings of the daemon, frozen; every fault is reported at once with its line."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from sqlalchemy.engine import URL

from billing_core.admin.mail.mail_settings import Mail, Webhook, mail_faults, mail_warnings
from billing_core.limits import Limits as CallLimits
from billing_core.settings import (
    Array,
    Document,
    Fault,
    PathBeside,
    Section,
    SettingsError,
    default,
    different,
    read,
    section,
    validate,
    words,
    written,
)
from radiusd.idle_settings import idle_settings
from radiusd.nas import Nas, NasTable
from radiusd.nas_section import NAS_CHECKS, NasSection, alike, undecided_paths
from radiusd.own_ports import own_port_faults
from radiusd.setting_values import (
    Endpoint,
    Seconds,
    read_address,
    read_database_url,
    read_endpoint,
    read_group,
    read_host,
    read_owner_url,
    read_user,
)

FILE_NAME = "radiusd.toml"
_SECRET_OCTETS_ADVISED = 16  # RFC 2865 section 3 prefers at least these.
_CALLS = CallLimits()


Port = Annotated[int, Field(ge=0, le=65_535)]
Margin = Annotated[int, Field(ge=0, le=86_400)]


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
    """How long calls and silences may last, and how exactly, in seconds."""

    max_call_seconds: Seconds = _CALLS.max_call_seconds
    implausible_seconds: Seconds = _CALLS.implausible_seconds
    start_timeout_seconds: Seconds = _CALLS.start_timeout_seconds
    silence_margin_seconds: Margin = _CALLS.silence_margin_seconds
    overrun_slack_seconds: Margin = _CALLS.overrun_slack_seconds
    sweep_seconds: Seconds = 10
    keep_refusals_days: Annotated[int, Field(ge=1, le=36_500)] = 90

    @property
    def calls(self) -> CallLimits:
        """Return the part of the limits that decides about calls."""
        return CallLimits(**{limit.name: getattr(self, limit.name) for limit in fields(CallLimits)})


class Http(Section):
    """Where metrics and health are served."""

    listen: Annotated[Endpoint, written(read_endpoint)] = default("127.0.0.1:9812")
    hosts: Annotated[Array[Annotated[str, written(read_host)]], AfterValidator(different)] = ()


class Log(Section):
    """What is logged, and how; `auto` is `console` on a terminal, else `json`."""

    level: Annotated[str, words("debug", "info", "warning", "error")] = "info"
    format: Annotated[str, words("auto", "json", "console")] = "auto"


class Billing(Section):
    """The definitions files that `radiusd serve` applies when they have changed."""

    apply_on_start: Array[PathBeside] = default(("billing.toml",))


class _File(Section):
    user: Annotated[str, written(read_user)] | None = None
    group: Annotated[str, written(read_group)] | None = None
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
    """All settings of the daemon. `warnings` name what works but should be mended.

    `undecided` names what refuses callers until somebody decides about it: an upgrade must not stop a start.
    """

    user: str | None
    group: str | None
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
    undecided: tuple[Fault, ...]


def load(directory: Path, *, strict: bool = False) -> Config:
    """Read radiusd.toml in *directory*; raise SettingsError with every fault.

    When *strict*, what is undecided is a fault, too.
    """
    if not directory.is_dir():
        message = f"no such directory; name it with --config DIR, or begin with: cp -r {sample()} {directory}"
        raise SettingsError([Fault(directory, 0, "", message)])
    document = read(directory / FILE_NAME)
    undecided = (undecided_paths,) if strict else ()
    file = validate(_File, document, *_CHECKS, *NAS_CHECKS, own_port_faults, *undecided, mail_faults)
    softswitches = alike(
        entry.nas(status_server=file.radius.status_server, key=file.radsec.signing_key(entry.name))
        for entry in file.nas
    )
    return Config(
        user=file.user,
        group=file.group,
        radius=file.radius,
        radsec=file.radsec,
        database=file.database,
        limits=file.limits,
        http=file.http,
        log=file.log,
        billing=_billing(document, file),
        mail=file.mail,
        webhook=file.webhook,
        nas=NasTable(softswitches),
        warnings=(
            *_warnings(document, softswitches),
            *mail_warnings(document, file.mail),
            *idle_settings(document),
        ),
        undecided=tuple(undecided_paths(document)),
    )


def _billing(document: Document, file: _File) -> Billing:
    """Return what is applied at start: a database of one's own gets no clients unless somebody says so.

    Those of the sample have passwords that everybody knows.
    """
    is_said = "apply_on_start" in (document.data.get("billing") or {})
    return file.billing if is_said or file.database.url is None else Billing(apply_on_start=())


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


def _radsec(document: Document) -> Iterator[Fault]:
    keys = ("certificate", "key", "authorities")
    radsec = document.data.get("radsec") or {}
    if not radsec.keys().isdisjoint(keys):
        for key in keys:
            if key not in radsec:
                yield document.fault(
                    ("radsec", key), "missing; RADIUS over TLS takes a certificate on both sides"
                )


def _group(document: Document) -> Iterator[Fault]:
    if "group" in document.data and "user" not in document.data:
        yield document.fault(("group",), "goes with user; name the user that the daemon becomes, too")


_CHECKS = (_group, _ports, _durations, _owner, _radsec)


def _warnings(document: Document, softswitches: list[Nas]) -> Iterator[Fault]:
    if not softswitches:
        yield document.fault((), "there is no [[nas]]: every packet will be dropped as a stranger's")
    for place, nas in enumerate(softswitches):
        if nas.networks and len(nas.secret) < _SECRET_OCTETS_ADVISED:
            message = f"has {len(nas.secret)} octets; {_SECRET_OCTETS_ADVISED} or more resist guessing"
            yield document.fault(("nas", place, "secret"), message)
