"""Blocks: numbers, codes, accounts and clients whose calls may not start, until removed or expired."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, func, insert, or_, select, update

from billing_core.admin.definitions.audit import Author, write_audit
from billing_core.admin.definitions.definition_values import ip, number
from billing_core.admin.definitions.difference import CREATED, Change, Diff
from billing_core.admin.found import found_client
from billing_core.admin.locks import locked_catalogue, moment
from billing_core.admin.output import CommandError, Record, instant
from billing_core.block import BlockKind
from billing_core.settings import nearest
from billing_core.storage.tables import account, block, catalogue

LIST_COLUMNS = ("id", "kind", "value", "reason", "who", "created_at", "expires_at")
PAST_COLUMNS = (*LIST_COLUMNS, "removed_at", "in_force")

_KIND = "block"


@dataclass(frozen=True, slots=True)
class NewBlock:
    """What shall be barred and why; `expires` is a moment, a time from now on, or absent: until removed."""

    kind: BlockKind
    value: str
    reason: str = ""
    expires: datetime | timedelta | None = None


def add(engine: Engine, wanted: NewBlock, author: Author) -> Record:
    """Bar calls from now on, and return the block.

    Raises CommandError for a value that can bar nothing: no number, nobody's name, an end that has passed.
    """
    with change(engine) as work:
        return added(work, wanted, author)


def added(work: "BlockChange", wanted: NewBlock, author: Author) -> Record:
    """Bar calls as part of a change that may do more; see `add`."""
    value = _VALUES[wanted.kind](work.connection, wanted.value)
    expires_at = work.now + wanted.expires if isinstance(wanted.expires, timedelta) else wanted.expires
    if expires_at is not None and expires_at <= work.now:
        raise CommandError(f"--expires {instant(expires_at)} has passed; name a moment after now")
    row = {
        "kind": wanted.kind.value,
        "value": value,
        "reason": wanted.reason,
        "who": author.who,
        "created_at": work.now,
        "expires_at": expires_at,
    }
    written = work.connection.execute(insert(block).values(row).returning(block.c.id)).scalar_one()
    name = f"{wanted.kind.value} {value}"
    told = [(field, row[field]) for field in ("reason", "expires_at") if row[field]]
    work.write([(name, CREATED, True), *((name, *item) for item in told)], author)
    return {"id": written, **row}


def is_blocked(work: "BlockChange", kind: BlockKind, value: str) -> bool:
    """Tell whether a block of this value is in force."""
    same = block.c.kind == kind.value, block.c.value == value
    return work.connection.execute(select(block.c.id).where(*same, _in_force(work.now))).first() is not None


def listed(connection: Connection, *, with_past: bool = False) -> Iterator[Record]:
    """Yield the blocks in force, the oldest first; *with_past* also those removed or expired."""
    in_force = _in_force(func.now())
    statement = select(block, in_force.label("in_force")).order_by(block.c.id)
    for row in connection.execute(statement if with_past else statement.where(in_force)):
        yield dict(row._mapping)


def remove(engine: Engine, block_id: int, author: Author) -> list[Record]:
    """Lift the block with this id, and return it; raise CommandError unless it is in force."""
    return _removed(engine, block.c.id == block_id, str(block_id), author)


def remove_value(engine: Engine, kind: BlockKind, value: str, author: Author) -> list[Record]:
    """Lift all blocks in force of this value, and return them; raise CommandError if there is none.

    Whether the name still exists does not matter: a block may have outlived it.
    """
    wanted = (block.c.kind == kind.value) & block.c.value.in_(_comparable(kind, value))
    return _removed(engine, wanted, f'{kind.value} "{value}"', author)


def _removed(engine: Engine, wanted: ColumnElement[bool], name: str, author: Author) -> list[Record]:
    with change(engine) as work:
        statement = update(block).where(wanted, _in_force(work.now)).values(removed_at=work.now)
        rows: list[Record] = [
            dict(row._mapping) for row in work.connection.execute(statement.returning(block))
        ]
        if not rows:
            raise CommandError(f"there is no block {name} in force; `billing block list` shows all that are")
        work.write([(f"{row['kind']} {row['value']}", "removed", True) for row in rows], author)
    return rows


def _in_force(now: object) -> ColumnElement[bool]:
    return block.c.removed_at.is_(None) & or_(block.c.expires_at.is_(None), block.c.expires_at > now)


# --- what a value may be ----------------------------------------------------------------------------


def _number(_connection: Connection, value: str) -> str:
    try:
        return number(value)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _client(connection: Connection, value: str) -> str:
    found_client(connection, value)
    return value


def _account(connection: Connection, value: str) -> str:
    """Return the label of an account; it may be written as any number or address that is equal."""
    label = func.coalesce(account.c.name, account.c.ip, account.c.ani)
    wanted = _comparable(BlockKind.ACCOUNT, value)
    found = set(connection.execute(select(label).where(label.in_(wanted))).scalars())
    for text in wanted:
        if text in found:
            return text
    labels = connection.execute(select(label).distinct()).scalars()
    raise CommandError(f'account "{value}" is not known{nearest(value, labels)}')


_VALUES: dict[BlockKind, Callable[[Connection, str], str]] = {
    BlockKind.NUMBER: _number,
    BlockKind.CODE: _number,
    BlockKind.ACCOUNT: _account,
    BlockKind.CLIENT: _client,
}

_FORMS: dict[BlockKind, tuple[Callable[[str], str], ...]] = {
    BlockKind.NUMBER: (number,),
    BlockKind.CODE: (number,),
    BlockKind.ACCOUNT: (str, ip, number),
    BlockKind.CLIENT: (str,),
}


def _comparable(kind: BlockKind, value: str) -> list[str]:
    """Return the forms in which *value* may be stored, the likeliest first."""
    found = []
    for form in _FORMS[kind]:
        try:
            found.append(form(value))
        except ValueError:
            continue
    return found


# --- one change of the definitions ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BlockChange:
    """A transaction that has locked the row of `catalogue`, as whoever changes definitions does."""

    connection: Connection
    version: int
    now: datetime

    def write(self, fields: list[tuple[str, str, object]], author: Author) -> None:
        """Audit what was done and count the version up, by which workers notice."""
        changes = tuple(Change(_KIND, name, field, None, value) for name, field, value in fields)
        write_audit(self.connection, Diff(self.version, changes), author, self.now)
        self.connection.execute(update(catalogue).values(version=self.version))


@contextmanager
def change(engine: Engine) -> Iterator[BlockChange]:
    """Begin to change blocks; what is done is committed at the end, as one version."""
    with engine.begin() as connection:
        version = locked_catalogue(connection)
        yield BlockChange(connection, version + 1, moment(connection))
