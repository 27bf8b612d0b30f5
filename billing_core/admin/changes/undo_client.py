"""A change of one client taken back: his fields, what he set himself, and his accounts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from billing_core.admin.changes.client_edits import Edit, account_table
from billing_core.admin.changes.undo_values import (
    Notes,
    Verdict,
    Was,
    client_value,
    in_order,
    secret_verdict,
    value,
    verdict,
    whole,
    whole_words,
)
from billing_core.admin.definitions.audit import audited
from billing_core.admin.definitions.client_fields import FIELDS, WHOLE_SECTIONS, Kind
from billing_core.admin.definitions.definition import Fields
from billing_core.admin.definitions.difference import CREATED, OWN, label
from billing_core.admin.definitions.inventory import Item
from billing_core.admin.output import items
from billing_core.client import Status

Since = Collection[tuple[str, int | None, str]]
"""The fields that later versions changed: each by its kind, the id of its object, and its name."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A client as he is now, with what a change gave him: by field, and by account and field.

    `since` matters for fields of which the audit does not tell the values: secrets, and those that became
    his own or his template's without another value. Only `wanted` fields of his go back.
    """

    name: str
    client: Item
    accounts: Sequence[Item]
    since: Since
    wanted: frozenset[str]
    fields: dict[str, Was] = field(default_factory=dict)
    of_accounts: dict[int | None, dict[str, Was]] = field(default_factory=dict)

    @property
    def own(self) -> tuple[set[str], set[str]]:
        """Return which fields became the client's own, and which ceased to be."""
        was = self.fields.get(OWN)
        before, after = ({*items((was and text) or "")} for text in (was and was.before, was and was.after))
        return (after - before) & self.wanted, (before - after) & self.wanted


def undone(changed: Changed, notes: Notes) -> Edit | None:
    """Return the edit that gives a client what he had; None when there is nothing to give."""
    if CREATED in changed.fields:
        if changed.client.fields["status"] == Status.DELETED:
            return None
        notes.told.append(f"client {changed.name} was new, and nobody is removed by this: he becomes deleted")
        return Edit(changed.name, {"status": Status.DELETED.value})
    values, unset = _fields(changed, notes)
    accounts = _accounts(changed, notes)
    if not values and not unset and accounts is None:
        return None
    return Edit(changed.name, values, unset, accounts=accounts)


def _fields(changed: Changed, notes: Notes) -> tuple[Fields, tuple[str, ...]]:
    """Return what to set and what to unset."""
    became_own, given_up = changed.own
    values: Fields = {}
    unset = set()
    for key in in_order(changed.fields.keys() | became_own | given_up):
        current = changed.client.fields[key]
        text = audited(current)
        was = changed.fields.get(key) or Was("client", changed.name, key, text, text)
        if not notes.judged(_judged(changed, was), was, changed.name, current):
            continue
        if key in became_own:
            unset.add(key)
        elif key in given_up or key in changed.client.own:
            # All others follow from the template, which goes back by itself.
            values[key] = client_value(key, was.before)
    return whole(values, changed.client.fields, WHOLE_SECTIONS), whole_words(unset)


def _judged(changed: Changed, was: Was) -> Verdict:
    key, client = was.field, changed.client
    became_own, given_up = changed.own
    is_back = key in client.own if key in given_up else key not in client.own
    is_changed_since = ("client", client.id, key) in changed.since
    if key not in changed.fields:
        if is_back:
            return Verdict.ALREADY
        return Verdict.LEFT if is_changed_since else Verdict.BACK
    if FIELDS[key].kind is Kind.SECRET:
        return secret_verdict(was, client.fields[key], is_changed_since=is_changed_since)
    found = verdict(was, client.fields[key])
    is_other = is_back and key in became_own | given_up
    return Verdict.LEFT if found is Verdict.BACK and is_other else found


# --- accounts ---------------------------------------------------------------------------------------


def _accounts(changed: Changed, notes: Notes) -> Sequence[Fields] | None:
    """Return all accounts as they were; None when none of them changes."""
    now = [account_table(account) for account in changed.accounts]
    then = [
        _account(changed, account, table, notes) for account, table in zip(changed.accounts, now, strict=True)
    ]
    return then if then != now else None


def _account(changed: Changed, account: Item, table: Fields, notes: Notes) -> Fields:
    fields = changed.of_accounts.get(account.id, {})
    name = f"{changed.name}/{label(account)}"
    if CREATED in fields:
        notes.told.append(f"account {name} was new: it stays, switched off")
        return {**table, "orig": False, "term": False}
    then = dict(table)
    for key, was in fields.items():
        current = account.fields[key]
        found = verdict(was, current)
        if key == "password":
            is_changed_since = ("account", account.id, key) in changed.since
            found = secret_verdict(was, current, is_changed_since=is_changed_since)
        if notes.judged(found, was, name, current):
            then[key] = value(key, was.before)
    if (then.get("name") is None) != (then.get("password") is None):
        notes.told.append(f"account {name}: name stays, since a name without its password recognises no call")
        then["name"] = table.get("name")
    return {key: found for key, found in then.items() if found is not None}
