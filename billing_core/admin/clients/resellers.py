"""Resellers as the tree that they are, with what is under way at each level."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, text

from billing_core.admin.changes.counted import COUNTED_SCOPES
from billing_core.admin.output import CommandError, Record
from billing_core.settings import nearest

COLUMNS = ("reseller", "capacity", "in_use", "clients", "clients_whole")

_INDENTATION = "  "

# A reseller's legs are those of his clients and of all resellers below him, as his capacity counts them.
_TREE = f"""
    WITH RECURSIVE tree(id, name, parent, capacity, path, ids) AS (
        SELECT id, name, CAST(NULL AS text), capacity, ARRAY[name], ARRAY[id]
        FROM reseller WHERE parent_id IS NULL
        UNION ALL
        SELECT reseller.id, reseller.name, tree.name, reseller.capacity,
            tree.path || reseller.name, tree.ids || reseller.id
        FROM tree JOIN reseller ON reseller.parent_id = tree.id
    ), counted AS (
        SELECT reseller_id, count(*) AS clients FROM client
        WHERE status <> 'deleted' AND reseller_id IS NOT NULL GROUP BY reseller_id
    ), whole AS (
        SELECT above.id, sum(counted.clients) AS clients
        FROM tree CROSS JOIN unnest(tree.ids) AS above(id) JOIN counted ON counted.reseller_id = tree.id
        GROUP BY above.id
    )
    SELECT tree.id, tree.name, tree.parent, tree.path, tree.capacity,
        CAST(COALESCE(legs.in_use, 0) AS bigint) AS in_use,
        COALESCE(counted.clients, 0) AS clients, CAST(COALESCE(whole.clients, 0) AS bigint) AS clients_whole
    FROM tree
    LEFT JOIN counted ON counted.reseller_id = tree.id
    LEFT JOIN whole ON whole.id = tree.id
    LEFT JOIN ({COUNTED_SCOPES}) AS legs ON legs.scope = 2 AND legs.owner_id = tree.id
    ORDER BY tree.path"""  # noqa: S608


def listed(connection: Connection, limit: int | None = None) -> Iterator[Record]:
    """Yield every reseller, each followed by those below him.

    `path` names those above him, too, from the top down to himself. `in_use` counts origination legs of
    all his clients, those of resellers below included, as `clients_whole` does with clients; `clients` are
    only his own. Deleted clients don't count. `reseller` is his name, indented for people.
    """
    rows = connection.execute(text(f"{_TREE} LIMIT :limit"), {"limit": limit})
    for row in rows:
        yield {**_record(row), "reseller": _INDENTATION * (len(row.path) - 1) + row.name}


def shown(connection: Connection, name: str) -> Record:
    """Return one reseller with the names of those right below him; raise CommandError if there is none."""
    rows = list(connection.execute(text(_TREE)))
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        raise CommandError(f'reseller "{name}" is not known{nearest(name, [row.name for row in rows])}')
    return {**_record(found), "resellers": [row.name for row in rows if row.parent == name]}


def _record(row: Row[Any]) -> Record:
    return {
        "id": row.id,
        "name": row.name,
        "parent": row.parent,
        "path": row.path,
        "capacity": row.capacity,
        "in_use": row.in_use,
        "clients": row.clients,
        "clients_whole": row.clients_whole,
    }
