"""What the audit says of a field that changed, against what it is by now: whether it can go back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from billing_core.admin.changes.client_edits import written
from billing_core.admin.definitions.audit import audited
from billing_core.admin.definitions.client_fields import FIELDS, WHOLE_SECTIONS
from billing_core.admin.definitions.definition import Fields
from billing_core.admin.output import items, readable


@dataclass(frozen=True, slots=True)
class Was:
    """A field to which a change gave another value, both as the audit writes them."""

    kind: str
    name: str
    field: str
    before: str | None
    after: str | None
    object_id: int | None = None
    client_id: int | None = None


class Verdict(Enum):
    """Whether a field goes back, is back already, was changed since, or can never come back."""

    BACK = auto()
    ALREADY = auto()
    LEFT = auto()
    LOST = auto()


@dataclass(slots=True)
class Notes:
    """What is told of an undo: `left` is what somebody changed since, `told` what cannot come back."""

    left: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def judged(self, verdict: Verdict, was: Was, name: str, current: Any) -> bool:
        """Note why a field stays as it is; tell whether it goes back."""
        object = f"{was.kind} {readable(name)}"
        if verdict is Verdict.LEFT:
            now, then = audited(current) or "none", was.after or "none"
            self.left.append(f"{object}: {was.field} was changed since: it is {now}, and was made {then}")
        elif verdict is Verdict.LOST:
            self.told.append(f"{object}: {was.field} stays, since no secret is kept in the audit")
        return verdict is Verdict.BACK


def verdict(was: Was, current: Any) -> Verdict:
    """Judge a field by the value that it has now."""
    text = audited(current)
    if text == was.before:
        return Verdict.ALREADY
    return Verdict.BACK if text == was.after else Verdict.LEFT


def secret_verdict(was: Was, current: Any, *, is_changed_since: bool) -> Verdict:
    """Judge a secret, of which nobody knows what it was; that there was none can come back."""
    if current is None and was.before is None:
        return Verdict.ALREADY
    if is_changed_since:
        return Verdict.LEFT
    return Verdict.BACK if was.before is None else Verdict.LOST


def client_value(key: str, text: str | None) -> Any:
    """Return a field of a client or template as a definitions file writes what the audit says."""
    return "" if text is None else written(key, text)


def whole(values: Fields, current: Mapping[str, Any], sections: Mapping[str, tuple[str, ...]]) -> Fields:
    """Return *values* with those parts of their sections that are only set together; nothing is absent."""
    found = dict(values)
    for parts in sections.values():
        if found.keys() & {*parts}:
            found |= {part: values.get(part, current.get(part)) for part in parts}
            found = {
                key: value for key, value in found.items() if key not in parts or value not in (None, "")
            }
    return found


def whole_words(keys: set[str]) -> tuple[str, ...]:
    """Return the words that name *keys* to be unset: of some sections only the whole can be."""
    section = {part: name for name, parts in WHOLE_SECTIONS.items() for part in parts}
    return tuple(sorted({section.get(key, key) for key in keys}))


def _flag(text: str) -> bool:
    return text == "true"


_PARSED: Mapping[str, Callable[[str], Any]] = {
    "capacity": int,
    "orig": _flag,
    "term": _flag,
    "rounding.places": int,
    "spans": items,
    "clients": items,
    "tags": items,
    "enabled": _flag,
    **dict.fromkeys(
        (
            "short_calls_max",
            "short_seconds",
            "failed_calls_max",
            "minutes",
            "block_minutes",
        ),
        int,
    ),
}


def value(name: str, text: str | None) -> Any:
    """Return a field of anything else as a definitions file writes what the audit says."""
    return None if text is None else _PARSED.get(name, str)(text)


def in_order(keys: set[str]) -> list[str]:
    """Return fields of clients in the order of their table."""
    return [key for key in FIELDS if key in keys]
