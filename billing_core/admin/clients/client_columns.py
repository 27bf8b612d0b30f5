"""What is kept or computed of a client, as SQL of `CLIENTS`: rows of `client` and what belongs to them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    and_,
    case,
    func,
    null,
    select,
)

from billing_core.admin.definitions.client_fields import FIELDS, IN_COMPANY, PLAIN, Kind
from billing_core.storage.tables import account, balance, client, rate_table, reseller, template

Expression = ColumnElement[Any]

NAMED_BY = {
    "reseller": reseller,
    "template": template,
    "rate_table": rate_table,
    "term_rate_table": rate_table,
}
"""The tables of what references name."""


_named = {key: table.alias(f"named_{key}") for key, table in NAMED_BY.items()}


def _joined() -> FromClause:
    joined: FromClause = client.outerjoin(balance, balance.c.client_id == client.c.id)
    for key, named in _named.items():
        joined = joined.outerjoin(named, named.c.id == client.c[FIELDS[key].column])
    return joined


CLIENTS = _joined()
"""What every query of clients is from; PostgreSQL leaves out what of it a query does not need."""


def with_leg(leg: str) -> Expression:
    """Return the condition to have an account that is switched on for `orig` or for `term`."""
    return select(account.c.id).where(account.c.client_id == client.c.id, account.c[leg]).exists()


def _role() -> Expression:
    orig, term = with_leg("orig"), with_leg("term")
    return case((and_(orig, term), "both"), (orig, "orig"), (term, "term"))


def _part_of_company(key: str) -> Expression:
    field = FIELDS[key]
    kept: Expression = client.c.company[field.column].astext
    return func.coalesce(kept.cast(Boolean), False) if field.kind is Kind.FLAG else kept


COLUMNS: Mapping[str, Expression] = {
    "id": client.c.id,
    "name": client.c.name,
    "available": case((client.c.postpaid, null()), else_=balance.c.live + client.c.credit),
    "live": balance.c.live,
    "reserved": balance.c.reserved,
    "in_use": balance.c.in_use,
    "term_in_use": balance.c.term_in_use,
    "role": _role(),
    **{field.key: client.c[field.column] for field in PLAIN},
    **{key: named.c.name for key, named in _named.items()},
    **{field.key: _part_of_company(field.key) for field in IN_COMPANY},
}
"""All but the fixed balance, which is summed; a reference is the name that it refers to."""
