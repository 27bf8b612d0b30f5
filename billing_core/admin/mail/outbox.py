"""The outbox: what waits to be sent, by email or to the webhook, and the history of what was.

A mail is `waiting` until it is `sent`, or `failed`: refused for good, or tried too often. It is written when
it is sent, from its facts and from the client's address of that moment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, or_, select, update

from billing_core.admin import bulk
from billing_core.admin.found import unknown_client
from billing_core.admin.output import CommandError, Record, instant
from billing_core.notice import Notice
from billing_core.storage import notices as kept
from billing_core.storage import tables
from billing_core.storage.tables import client, event, mail

LIST_COLUMNS = ("id", "created_at", "kind", "channel", "client", "recipient", "subject", "state", "error")

_EVENTS_AT_ONCE = 1000

# The name of a client who is gone for good still stands in the facts.
_name = func.coalesce(client.c.name, mail.c.facts["client"].astext).label("client")


def put(connection: Connection, notices: Sequence[Notice]) -> None:
    """Write *notices* in the transaction that finds the money low: nothing is told that did not happen."""
    events = [dict(zip(kept.EVENT, kept.event_row(item), strict=True)) for item in notices]
    bulk.insert(connection, tables.event, events)
    mails = [
        dict(zip(kept.MAIL, kept.mail_row(item), strict=True)) for item in notices if kept.is_mailed(item)
    ]
    bulk.insert(connection, tables.mail, mails)


def put_blocked(
    connection: Connection, at: datetime, client_id: int, facts: Record, *, is_mailed: bool
) -> None:
    """Queue what is told of a block, in its transaction: an event, and a mail if *is_mailed*."""
    about = {"kind": "blocked", "client_id": client_id, "facts": facts}
    connection.execute(insert(event).values(at=at, **about))
    if is_mailed:
        connection.execute(insert(mail).values(created_at=at, next_at=at, channel="email", **about))


# --- the history -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which mails are looked for; what is absent does not matter.

    `recipient` is a part of the address, in either case of letters.
    """

    client: str | None = None
    kind: str | None = None
    state: str | None = None
    recipient: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


def listed(connection: Connection, wanted: Wanted) -> Iterator[Record]:
    """Yield the mails that are *wanted*, the newest first. Raises CommandError for a client nobody knows."""
    left_out = {"body", "facts", "claimed_until"}
    columns = [column for column in mail.columns if column.name not in left_out]
    statement = _mails(*columns).where(*_conditions(connection, wanted))
    for row in connection.execute(statement.order_by(mail.c.id.desc()).limit(wanted.limit)):
        yield _record(row)


def shown(connection: Connection, mail_id: int) -> Record:
    """Return everything about one mail; raise CommandError if there is none."""
    columns = [column for column in mail.columns if column.name != "claimed_until"]
    row = connection.execute(_mails(*columns).where(mail.c.id == mail_id)).first()
    if row is None:
        raise _no_such(mail_id)
    return _record(row)


def queue_again(connection: Connection, mail_id: int) -> Record:
    """Let a mail that failed, or that waits for its next attempt, be tried at once, and return it.

    Raises CommandError when there is none, when it was sent, or while it is being sent.
    """
    is_claimed = func.coalesce(mail.c.claimed_until > func.clock_timestamp(), False).label("is_claimed")
    locked = select(mail.c.state, mail.c.done_at, is_claimed).where(mail.c.id == mail_id).with_for_update()
    row = connection.execute(locked).first()
    if row is None:
        raise _no_such(mail_id)
    if row.state == "sent":
        raise CommandError(f"mail {mail_id} was sent at {instant(row.done_at)}; nobody gets it twice")
    if row.is_claimed:
        raise CommandError(
            f"mail {mail_id} is being sent; `billing mails show {mail_id}` tells what comes of it"
        )
    again = {"state": "waiting", "attempts": 0, "next_at": func.now(), "done_at": None}
    connection.execute(update(mail).where(mail.c.id == mail_id).values(again))
    return shown(connection, mail_id)


def waiting(connection: Connection) -> int:
    """Return how many mails wait."""
    return connection.execute(select(func.count()).where(mail.c.state == "waiting")).scalar_one()


def _mails(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns, _name).outerjoin(client, client.c.id == mail.c.client_id)


def _record(row: Row[Any]) -> Record:
    """Return a mail as it is told: only one that waits has a next attempt."""
    is_waiting = row.state == "waiting"
    return {**row._mapping, "next_at": row.next_at if is_waiting else None}


def _no_such(mail_id: int) -> CommandError:
    return CommandError(f"there is no mail {mail_id}; `billing mails list` shows all")


def _conditions(connection: Connection, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.client is not None:
        yield _of_client(connection, wanted.client)
    if wanted.kind is not None:
        yield mail.c.kind == wanted.kind
    if wanted.state is not None:
        yield mail.c.state == wanted.state
    if wanted.recipient is not None:
        yield mail.c.recipient.icontains(wanted.recipient, autoescape=True)
    if wanted.since is not None:
        yield mail.c.created_at >= wanted.since
    if wanted.until is not None:
        yield mail.c.created_at < wanted.until


def _of_client(connection: Connection, name: str) -> ColumnElement[bool]:
    known = connection.execute(select(client.c.id).where(client.c.name == name)).scalar()
    by_facts: ColumnElement[bool] = mail.c.facts["client"].astext == name
    if known is not None:
        return or_(mail.c.client_id == known, mail.c.client_id.is_(None) & by_facts)
    if connection.execute(select(mail.c.id).where(by_facts).limit(1)).first() is None:
        raise unknown_client(connection, name)
    return by_facts


# --- for whoever sends -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail that is due, claimed by who sends it; `company` is of the client as he is now.

    None is a client who is gone for good.
    """

    id: int
    created_at: datetime
    kind: str
    client_id: int | None
    event_id: int | None
    facts: dict[str, Any]
    attempts: int
    company: dict[str, Any] | None


def post_events(connection: Connection) -> int:
    """Make mails for the webhook of events that have none, and return how many."""
    # The last place of a minute counts events until the minute is over.
    is_whole = or_(
        event.c.place.is_(None),
        event.c.place <= kept.SINGLY_A_MINUTE,
        event.c.minute <= func.now() - timedelta(minutes=1),
    )
    unposted = (
        select(event.c.id).where(~event.c.is_posted, is_whole).order_by(event.c.id).limit(_EVENTS_AT_ONCE)
    )
    chosen = unposted.with_for_update(skip_locked=True)
    posted = update(event).where(event.c.id.in_(chosen)).values(is_posted=True)
    columns = (event.c[name] for name in ("id", "at", "kind", "client_id", "facts"))
    rows = connection.execute(posted.returning(*columns, event.c["count"].label("stands_for"))).all()
    mails = [
        {
            "created_at": row.at,
            "next_at": func.now(),
            "kind": row.kind,
            "channel": "webhook",
            "client_id": row.client_id,
            "event_id": row.id,
            "facts": row.facts | ({"count": row.stands_for} if row.stands_for > 1 else {}),
        }
        for row in sorted(rows, key=lambda row: row.id)
    ]
    if mails:
        connection.execute(insert(mail).values(mails))
    return len(mails)


def take(connection: Connection, channel: str, claim_seconds: float) -> Waiting | None:
    """Claim the mail of that channel that is due longest, past those that others are sending.

    Commit before it is sent. The claim ends with `note`, or by itself should the sender die.
    """
    now = func.clock_timestamp()
    statement = (
        select(
            mail.c.id,
            mail.c.created_at,
            mail.c.kind,
            mail.c.client_id,
            mail.c.event_id,
            mail.c.facts,
            mail.c.attempts,
            client.c.company,
        )
        .outerjoin(client, client.c.id == mail.c.client_id)
        .where(mail.c.state == "waiting", mail.c.channel == channel, mail.c.next_at <= func.now())
        .where(or_(mail.c.claimed_until.is_(None), mail.c.claimed_until <= now))
        .order_by(mail.c.next_at, mail.c.id)
        .limit(1)
        .with_for_update(of=mail, skip_locked=True)
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    claim = {"claimed_until": now + timedelta(seconds=claim_seconds)}
    connection.execute(update(mail).where(mail.c.id == row.id).values(claim))
    return Waiting(*row)


def note(connection: Connection, mail_id: int, **values: object) -> None:
    """Write down what came of an attempt to send a mail."""
    counted = {"attempts": mail.c.attempts + 1, "claimed_until": None, **values}
    connection.execute(update(mail).where(mail.c.id == mail_id).values(counted))
