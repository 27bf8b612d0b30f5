"""Which records somebody decides about: one by its id, or all of a reason, a switch and a period."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from billing_core.admin.calls.xdr_ids import found_id
from billing_core.admin.found import found_client
from billing_core.admin.output import CommandError
from billing_core.session import LegId
from billing_core.xdr import Unbillable


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records are decided at once: of one reason and NAS, dated in a period, perhaps of one client."""

    reason: Unbillable
    nas: str
    since: datetime
    until: datetime | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A leg as it was selected: why its last record could not be charged, if so, and whose it is."""

    leg: LegId
    revision: int
    reason: Unbillable | None
    client_id: int | None


_CANDIDATE = """
    SELECT session.leg_key, session.generation, session.revision, session.client_id, xdr.reason,
        xdr.nas IS NULL AND session.revision > 0 AS was_dropped
    FROM session LEFT JOIN xdr USING (leg_key, generation, revision)
    WHERE session.leg_key = :leg_key AND session.generation = :generation"""

_CANDIDATES = """
    SELECT session.leg_key, session.generation, session.revision, session.client_id, xdr.reason
    FROM xdr JOIN session USING (leg_key, generation, revision)
    WHERE xdr.state = 'unbillable' AND xdr.reason = :reason AND xdr.nas = :nas AND xdr.dated_at >= :since
        AND (CAST(:until AS timestamptz) IS NULL OR xdr.dated_at < :until)
        AND (CAST(:client_id AS int) IS NULL OR xdr.client_id = :client_id)
    ORDER BY xdr.dated_at, session.leg_key, session.generation"""


def named(connection: Connection, written: str) -> Candidate:
    """Return the leg of an id, or of the beginning of one; raise CommandError when it can't be decided."""
    leg_key, generation = found_id(connection, written)
    values = {"leg_key": leg_key, "generation": generation}
    row = connection.execute(text(_CANDIDATE), values).one()
    if row.was_dropped:
        raise CommandError(
            f'record "{written}" was dropped with its month; book what is to be changed with'
            " `billing correction`"
        )
    return _candidate(row)


def selected(connection: Connection, selection: Selection) -> list[Candidate]:
    """Return the legs that a selection means, in order of time; raise CommandError for an unknown client."""
    client_id = None if selection.client is None else found_client(connection, selection.client).id
    values = {
        "reason": selection.reason.value,
        "nas": selection.nas,
        "since": selection.since,
        "until": selection.until,
        "client_id": client_id,
    }
    return [_candidate(row) for row in connection.execute(text(_CANDIDATES), values)]


def _candidate(row: Row[Any]) -> Candidate:
    reason = Unbillable(row.reason) if row.reason else None
    return Candidate((bytes(row.leg_key), row.generation), row.revision, reason, row.client_id)
