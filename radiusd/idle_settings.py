"""Settings that are written and have no effect beside the others: each is told, for somebody counts on it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from billing_core.settings import Document, Fault, KeyPath


class _Needs(NamedTuple):
    """Keys of a section that do nothing while another one of it is absent."""

    section: str
    absent: str
    keys: tuple[str, ...] = ()
    """None are all but the absent one."""


_NEEDS: Final = (
    _Needs("mail", "host"),
    _Needs("webhook", "url"),
    _Needs("radsec", "certificate", ("port",)),
)

# These are about packets by UDP, which a NAS without an address never sends.
_OF_UDP: Final = (
    "secret",
    "secret_file",
    "require_message_authenticator",
    "limit_proxy_state",
    "trusted_path",
)


def idle_settings(document: Document) -> Iterator[Fault]:
    """Yield a warning for each setting that has no effect, with what it needs."""
    for path, why in (*_of_sections(document), *_of_switches(document)):
        yield document.fault(path, f"has no effect: {why}")


def _of_sections(document: Document) -> Iterator[tuple[KeyPath, str]]:
    for needs in _NEEDS:
        written: Mapping[str, Any] = document.data.get(needs.section) or {}
        if needs.absent not in written:
            idle = [key for key in written if not needs.keys or key in needs.keys]
            yield from (((needs.section, key), f"{needs.section}.{needs.absent} is not set") for key in idle)
    database = document.data.get("database") or {}
    if database.get("url", "embedded") != "embedded" and "directory" in database:
        yield ("database", "directory"), "database.url names a database of your own"


def _of_switches(document: Document) -> Iterator[tuple[KeyPath, str]]:
    is_secure = "certificate" in (document.data.get("radsec") or {})
    for path, nas in document.tables("nas"):
        if not is_secure and "certificate" in nas:
            yield (*path, "certificate"), "nobody is served over TLS: set [radsec] certificate"
        if "address" not in nas:
            idle = [key for key in _OF_UDP if key in nas]
            yield from (((*path, key), "a NAS without address comes over TLS only") for key in idle)
        elif nas.get("require_message_authenticator") is not False and "limit_proxy_state" in nas:
            yield (*path, "limit_proxy_state"), "all requests must be signed (require_message_authenticator)"
