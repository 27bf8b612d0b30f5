"""The `[[nas]]` of radiusd.toml: how a softswitch is written, and what no single value of it tells."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from billing_core.denial import Denial
from billing_core.settings import (
    Array,
    Document,
    Fault,
    KeyPath,
    Name,
    PathBeside,
    Timezone,
    different,
    nearest,
    one_of,
    read_secret,
    read_secret_file,
    repeated,
    words,
    written,
)
from radiusd.dialects import DIALECTS
from radiusd.dialects.settings import DialectSettings, contradictions
from radiusd.digest import ALGORITHMS
from radiusd.nas import Nas, Network, network
from radiusd.setting_values import Endpoint, Seconds, read_disconnect, read_next_hop, read_realm

ReturnCode = Annotated[int, Field(ge=1, le=65_535)]
OwnPort = Annotated[int, Field(ge=1, le=65_535)]
DenialName = Annotated[Denial, one_of({denial.value: denial for denial in Denial})]


def _listed(value: Any) -> list[Any]:
    """Return what may be written alone as if it stood in an array."""
    return value if isinstance(value, list) else [value]


def _some(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    if not networks:
        raise ValueError("must name at least 1")
    return networks


def _some_algorithm(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError(f"must name at least 1 of {', '.join(ALGORITHMS)}")
    return different(names)


Algorithm = Annotated[str, words(*ALGORITHMS)]
Networks = Annotated[
    Array[Annotated[Network, written(network)]], BeforeValidator(_listed), AfterValidator(_some)
]

# What is done with a call later, by whichever NAS of its switch it came: one place says it for all.
_OF_THE_SWITCH = ("disconnect", "on_silence")


class NasSection(DialectSettings):
    """One `[[nas]]`. What it leaves out is as `Nas` and its dialect say: defaults stand in one place."""

    name: Name
    address: Networks | None = None
    certificate: Name | None = None
    secret: Annotated[bytes, written(read_secret)] | None = Field(default=None, repr=False)
    secret_file: Annotated[PathBeside, AfterValidator(read_secret_file)] | None = Field(
        default=None, repr=False
    )
    dialect: Annotated[str, words(*DIALECTS)]
    same_as: Name | None = None
    auth_port: OwnPort | None = None
    acct_port: OwnPort | None = None
    require_message_authenticator: bool | None = None
    limit_proxy_state: bool | None = None
    on_backend_failure: Annotated[str, words("silent", "reject")] | None = None
    return_codes: dict[DenialName, ReturnCode] | None = None
    sends_start: bool | None = None
    unheard_seconds: Seconds | None = None
    disconnect: Annotated[Endpoint, written(read_disconnect)] | None = None
    on_silence: Annotated[str, words("charge_known", "charge_granted")] | None = None
    patience_seconds: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)] | None = None
    overrun: Annotated[str, words("hold", "charge")] | None = None
    numbers_change: bool | None = None
    timezone: Annotated[Timezone, AfterValidator(ZoneInfo)] | None = None
    trusted_names: bool | None = None
    trusted_path: bool | None = None
    routing: Annotated[str, written(read_next_hop)] | None = None
    digest_algorithms: Annotated[Array[Algorithm], AfterValidator(_some_algorithm)] | None = None
    realms: Annotated[Array[Annotated[str, written(read_realm)]], AfterValidator(different)] | None = None
    status_server: bool | None = None

    def nas(self, *, status_server: bool, key: bytes) -> Nas:
        """Return the softswitch that the section describes.

        *status_server* holds where it says nothing of it, *key* signs for it where it has no secret.
        """
        secret: Any = self.secret or self.secret_file or b""
        told = {
            key: getattr(self, key) for key in self.model_fields_set - {"address", "secret", "secret_file"}
        }
        differs = {key: told.pop(key) for key in sorted(told.keys() & DialectSettings.model_fields.keys())}
        told.setdefault("status_server", status_server)
        networks = self.address or ()
        return Nas(networks=networks, secret=secret, signing_key=secret or key, differs=differs, **told)


def alike(softswitches: Iterable[Nas]) -> list[Nas]:
    """Return *softswitches*, each doing with its calls what the NAS does that it is the same as."""
    by_name = {nas.name: nas for nas in softswitches}
    return [
        replace(nas, **{key: getattr(by_name[nas.switch], key) for key in _OF_THE_SWITCH})
        for nas in by_name.values()
    ]


# --- what no single value tells: values that are faulty by themselves are None here -------------------


def _names(document: Document) -> Iterator[Fault]:
    names = (((*path, "name"), nas.get("name")) for path, nas in document.tables("nas"))
    for path, first in repeated(names):
        yield document.fault(path, f"is the name of the NAS on line {document.line_of(first)} too")


def _networks(document: Document) -> Iterator[Fault]:
    places = (place for path, nas in document.tables("nas") for place in _addresses(path, nas))
    for path, first in repeated(places):
        yield document.fault(path, f"is the address of the NAS on line {document.line_of(first)} too")


def _addresses(path: KeyPath, nas: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Network]]:
    """Yield the networks of the NAS at *path*, each with its place."""
    for place, text in enumerate(_listed(nas["address"]) if nas.get("address") else ()):
        yield (*path, "address", place), network(text)


def _certificates(document: Document) -> Iterator[Fault]:
    names = (
        ((*path, "certificate"), nas["certificate"].lower())
        for path, nas in document.tables("nas")
        if nas.get("certificate")
    )
    for path, first in repeated(names):
        yield document.fault(path, f"is the certificate of the NAS on line {document.line_of(first)} too")


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


def _same_switches(document: Document) -> Iterator[Fault]:
    by_name = {nas["name"]: (path, nas) for path, nas in document.tables("nas") if nas.get("name")}
    for path, nas in document.tables("nas"):
        other = nas.get("same_as")
        if not other:
            continue
        if message := _no_switch(nas, by_name.get(other), by_name, document):
            yield document.fault((*path, "same_as"), message)
        for key in _OF_THE_SWITCH:
            if key in nas:
                message = f'is said once for a switch; move it to "{other}", which this NAS is the same as'
                yield document.fault((*path, key), message)


def _no_switch(
    nas: Mapping[str, Any],
    found: tuple[KeyPath, Mapping[str, Any]] | None,
    names: Iterable[str],
    document: Document,
) -> str | None:
    """Say why *nas* and the one that was *found* under its `same_as` are not one switch."""
    name = nas["same_as"]
    if name == nas.get("name"):
        return "names this NAS itself; name the other NAS of the switch"
    if found is None:
        return f'"{name}" is no NAS{nearest(name, names)}'
    path, other = found
    if "same_as" in other:
        return f'"{name}" is itself the same as another; name that one here, too'
    secrets = [_secret(entry, document.file.parent) for entry in (nas, other)]
    if None not in secrets and (secrets[0] != secrets[1] or not secrets[0]):
        return (
            f"one switch has one secret; give this NAS the secret of the one on line {document.line_of(path)}"
        )
    return None


def _secret(nas: Mapping[str, Any], directory: Path) -> bytes | None:
    """Return the secret of a NAS, nothing when it has none, None when it is faulty by itself."""
    if "secret" in nas:
        return nas["secret"] and read_secret(nas["secret"])
    if "secret_file" in nas:
        return nas["secret_file"] and read_secret_file(directory / nas["secret_file"])
    return b""


def _open_doors(document: Document) -> Iterator[Fault]:
    """Anyone at all, with unsigned requests, is not a policy but a mistake (CVE-2024-3596)."""
    for path, nas in document.tables("nas"):
        is_guarded = nas.get("limit_proxy_state") is not False and nas.get("trusted_path") is not True
        if not _takes_unsigned(nas) or is_guarded:
            continue
        for place, found in _addresses(path, nas):
            if found.prefixlen == 0:
                message = (
                    "lets every address send forged requests; name networks, or require Message-Authenticator"
                )
                yield document.fault(place, message)


def _takes_unsigned(nas: Mapping[str, Any]) -> bool:
    """Tell whether a NAS asks by UDP and need not sign; over TLS nobody else can ask."""
    return nas.get("require_message_authenticator") is False and bool(nas.get("address"))


def undecided_paths(document: Document) -> Iterator[Fault]:
    """Name each NAS that takes unsigned questions, and does not say whether others can send them."""
    for path, nas in document.tables("nas"):
        if _takes_unsigned(nas) and "trusted_path" not in nas:
            message = (
                "missing; its questions may lack Message-Authenticator, so whoever can send from its address"
                " can ask as it: set trusted_path = true if nobody else can, or false if its callers come by"
                " password or Digest only (until then others are refused)"
            )
            yield document.fault((*path, "trusted_path"), message)


def _dialects(document: Document) -> Iterator[Fault]:
    for path, nas in document.tables("nas"):
        dialect = DIALECTS.get(nas.get("dialect") or "")
        if dialect is not None:
            for key, message in contradictions(dialect, nas):
                yield document.fault((*path, key), message)


NAS_CHECKS: tuple[Callable[[Document], Iterable[Fault]], ...] = (
    _names,
    _networks,
    _certificates,
    _secrets,
    _same_switches,
    _open_doors,
    _dialects,
)
