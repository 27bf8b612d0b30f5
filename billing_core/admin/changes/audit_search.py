"""The audit as people search it: who changed which field of what, when, through what, from what to what."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from billing_core.admin.found import unknown_client
from billing_core.admin.output import CommandError, Record
from billing_core.admin.wildcards import pattern
from billing_core.settings import nearest
from billing_core.storage.tables import audit, client

COLUMNS = ("at", "version", "who", "through", "object", "name", "field", "before", "after")

_KINDS = (
    "reseller",
    "time_profile",
    "exchange_rate",
    "rate_table",
    "template",
    "watch",
    "client",
    "account",
    "block",
    "xdr",
)


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """What is looked for; what is absent does not matter.

    `object` is a kind and a name, `client` the name of one whom the changes concern: he may be gone. In
    `through` and `value` a `*` stands for anything; `through` needs only its beginning.
    """

    client: str | None = None
    object: tuple[str, str] | None = None
    field: str | None = None
    who: str | None = None
    through: str | None = None
    value: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    version: int | None = None


def found(connection: Connection, search: AuditSearch, limit: int | None = None) -> Iterator[Record]:
    """Yield the changes that fit, the oldest first; a *limit* leaves the newest.

    Raises CommandError for a client or a kind of object that never was.
    """
    statement = select(audit).where(*_conditions(connection, search))
    if limit is None:
        return _records(connection, statement.order_by(audit.c.id))
    newest = statement.order_by(audit.c.id.desc()).limit(limit)
    return reversed(list(_records(connection, newest)))


def _records(connection: Connection, statement: Select[tuple[object, ...]]) -> Iterator[Record]:
    for row in connection.execute(statement.execution_options(yield_per=1000)):
        yield {
            "at": row.at,
            "version": row.version,
            "who": row.who,
            "through": row.through,
            "object": row.object_kind,
            "name": row.object_name,
            "field": row.field,
            "before": row.before,
            "after": row.after,
        }


def _conditions(connection: Connection, search: AuditSearch) -> Iterator[ColumnElement[bool]]:
    if search.client is not None:
        yield _of_client(connection, search.client)
    for value, condition in (
        (search.object, lambda object: _of_object(*object)),
        (search.field, lambda field: audit.c.field == field),
        (search.who, lambda who: audit.c.who == who),
        (search.version, lambda version: audit.c.version == version),
        (search.through, lambda through: _fits(audit.c.through, f"{through}*")),
        (search.value, lambda text: or_(_fits(audit.c.before, text), _fits(audit.c.after, text))),
        (search.since, lambda since: audit.c.at >= since),
        (search.until, lambda until: audit.c.at < until),
    ):
        if value is not None:
            yield condition(value)


def _of_client(connection: Connection, name: str) -> ColumnElement[bool]:
    """Return the condition that a change concerns who is called so, or was when it was made."""
    named = and_(audit.c.object_kind == "client", audit.c.object_name == name)
    ids = set(connection.execute(select(client.c.id).where(client.c.name == name)).scalars())
    if not ids:
        then = connection.execute(select(audit.c.client_id).where(named).distinct()).scalars().all()
        if not then:
            raise unknown_client(connection, name)
        ids = {id for id in then if id is not None}
    return or_(audit.c.client_id.in_(ids), named)


def _of_object(kind: str, name: str) -> ColumnElement[bool]:
    if kind not in _KINDS:
        raise CommandError(f'--object: "{kind}" is no kind of object{nearest(kind, _KINDS)}')
    return and_(audit.c.object_kind == kind, audit.c.object_name == name)


def _fits(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column is *text*, in which `*` stands for anything."""
    return column.like(pattern(text))
