"""What no single value of a definitions file tells: names defined twice, parts that belong together.

Each check is given the document with None in place of each value that is faulty by itself.
"""

from collections.abc import Iterator
from typing import Any

from billing_core.admin.definitions.client_definition import named_fields
from billing_core.admin.definitions.definition_values import ip, moment, number
from billing_core.client import Policy
from billing_core.settings import Document, Fault, KeyPath, repeated

_NAMED = ("reseller", "time_profile", "rate_table", "template", "client", "watch")

# Of a client's concurrency: the part that a policy needs, which no other policy has.
_POLICY_PARTS = {Policy.SHARE.value: "calls", Policy.SLICE.value: "seconds"}


def names(document: Document) -> Iterator[Fault]:
    """Find names that two things of one kind have."""
    for kind in _NAMED:
        found = (((*path, "name"), table.get("name")) for path, table in document.tables(kind))
        for path, first in repeated(found):
            yield document.fault(path, f"is the name of the {kind} on line {document.line_of(first)} too")


def unset_fields(document: Document) -> Iterator[Fault]:
    """Find what cannot be unset."""
    for kind in ("template", "client"):
        for path, table in document.tables(kind):
            for word in table.get("unset") or ():
                at = (*path, "unset")
                if told := _unset_fault(table, word):
                    yield document.fault(at, told)


def _unset_fault(table: dict[str, Any], word: str) -> str:
    try:
        keys = named_fields(word)
    except ValueError as error:
        return str(error)
    is_set = any(_value(table, key) is not None for key in keys)
    return f'"{word}" is both set and unset; remove one' if is_set else ""


def fields_of_templates(document: Document) -> Iterator[Fault]:
    """Find what a template cannot set: everybody would log in by one name."""
    for path, template in document.tables("template"):
        for part in ("login", "password", "password_hash"):
            if part in (template.get("panel") or {}):
                yield document.fault(
                    (*path, "panel", part), "is a client's own; a template cannot set it for many"
                )


def _value(table: dict[str, Any], key: str) -> Any:
    """Return what a table says of a field, or of a part of a section."""
    name, _, part = key.partition(".")
    value = table.get(name)
    return value.get(part) if part and isinstance(value, dict) else value


def panel_passwords(document: Document) -> Iterator[Fault]:
    """Find a password beside the hash of one: which of them holds would be left to chance."""
    for path, client in document.tables("client"):
        panel = client.get("panel") or {}
        if panel.get("password") and panel.get("password_hash"):
            yield document.fault((*path, "panel", "password_hash"), "stands beside password; keep one")


def exchange_rates(document: Document) -> Iterator[Fault]:
    """Find factors of a currency into itself, and two that hold from the same moment on."""
    keys: list[tuple[KeyPath, tuple[Any, ...] | None]] = []
    for path, rate in document.tables("exchange_rate"):
        currency, into, since = (rate.get(key) for key in ("currency", "into", "effective_from"))
        if currency and currency == into:
            yield document.fault((*path, "into"), f'is "{currency}" like `currency`; name another one')
        is_whole = currency and into and since is not None
        keys.append((path, (currency, into, moment(since)) if is_whole else None))
    for path, first in repeated(keys):
        yield document.fault(
            path,
            f"has the currencies and the date of the one on line {document.line_of(first)};"
            " keep one, or give it another effective_from",
        )


def concurrency(document: Document) -> Iterator[Fault]:
    """Find policies without the part that they need, or with one that they do not."""
    for path, client in (*document.tables("template"), *document.tables("client")):
        section = client.get("concurrency") or {}
        policy = section.get("policy")
        if policy is None:
            continue
        at = (*path, "concurrency")
        for owner, part in _POLICY_PARTS.items():
            if policy == owner and part not in section:
                yield document.fault((*at, part), f'missing; policy "{policy}" needs {part}')
            if policy != owner and part in section:
                yield document.fault(
                    (*at, part), f'belongs to policy "{owner}", not to "{policy}"; remove it'
                )


def _accounts(document: Document) -> Iterator[tuple[KeyPath, dict[str, Any], dict[str, Any]]]:
    """Yield each account with its path and its client."""
    for path, client in document.tables("client"):
        for place, account in enumerate(client.get("account") or ()):
            yield (*path, "account", place), client, account


def account_parts(document: Document) -> Iterator[Fault]:
    """Find accounts by which no call can be recognised."""
    for path, _client, account in _accounts(document):
        if "name" in account and "password" not in account:
            yield document.fault((*path, "password"), "missing; an account with a name needs a password")
        if "password" in account and "name" not in account:
            yield document.fault((*path, "name"), "missing; a password belongs to an account with a name")
        if account.keys().isdisjoint(("name", "password", "ip", "ani")):
            yield document.fault(path, "recognises no call; give a name and password, an ip or an ani")


def _marks(account: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a call of the account is recognised by, in the form in which calls are compared."""
    if name := account.get("name"):
        yield "name", name
    if own_ip := account.get("ip"):
        yield "ip", ip(own_ip)
    if ani := account.get("ani"):
        yield "ani", number(ani)


def ambiguous_accounts(document: Document) -> Iterator[Fault]:
    """Find accounts that one call would fit equally well: who pays would be left to chance."""
    first: dict[tuple[str, str, str, str], tuple[KeyPath, str]] = {}
    for path, client, account in _accounts(document):
        prefix = account.get("tech_prefix", "")
        legs = [leg for leg, on in (("orig", True), ("term", False)) if account.get(leg, on)]
        if client.get("status") == "deleted" or prefix is None:
            continue
        for kind, value in _marks(account):
            keys = [(kind, value, prefix, leg) for leg in legs]
            label = f'account {kind} "{value}" of client "{client.get("name")}"'
            if other := next((first[key] for key in keys if key in first), None):
                yield document.fault((*path, kind), _ambiguity(document, label, *other))
            for key in keys:
                first.setdefault(key, (path, label))


def _ambiguity(document: Document, label: str, other: KeyPath, other_label: str) -> str:
    line = document.line_of(other)
    at = f" (line {line})" if line else ""
    return (
        f"{label} and {other_label}{at} fit the same calls; give one another tech_prefix, or switch one off"
    )
