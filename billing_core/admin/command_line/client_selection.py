"""Which clients a command is about, in which order, and how many: a flag for every field, to be combined."""

from collections.abc import Mapping

from billing_core.admin.command_line.arguments import LIMIT, Argument, argument, count
from billing_core.admin.definitions.client_fields import COMPUTED, FIELDS, Kind, flag

WHERE = "where"
"""What begins the names under which the flags of a selection are parsed."""

STATUSES = ("active", "stop", "deleted", "all")
ROWS = 20
"""How many rows a page has for people."""

_SAYS: Mapping[Kind, str] = {
    Kind.TEXT: "TEXT",
    Kind.WORD: "WORD",
    Kind.REFERENCE: "NAME",
    Kind.LIST: "A,B",
    Kind.MONEY: "A[..B]",
    Kind.COUNT: "N[..M]",
    Kind.DATE: "DATE[..DATE]",
    Kind.FLAG: "true|false",
    Kind.SECRET: "true|false",
}
_HELP = {
    "name": "how their names begin",
    "under": "their reseller is this one, or below it",
    "role": "orig, term or both, by their accounts that are on",
    "tags": "they have all of these tags",
    "panel.password": "they have one, or none",
}
_KINDS = {
    "name": Kind.TEXT,
    **COMPUTED,
    "under": Kind.REFERENCE,
    **{key: field.kind for key, field in FIELDS.items() if key != "status"},
}


def _status(default: str) -> Argument:
    help = "only clients of this status (default: %(default)s)"
    return argument("--status", dest=f"{WHERE} status", choices=STATUSES, default=default, help=help)


def _where(key: str, kind: Kind) -> Argument:
    return argument(flag(key), dest=f"{WHERE} {key}", metavar=_SAYS[kind], help=_HELP.get(key))


def selection(status: str = STATUSES[0]) -> tuple[Argument, ...]:
    """Return the flags of a selection that has clients of *status* where the flag for that is not given."""
    return (
        argument(f"{WHERE} begins", nargs="?", metavar="NAME", help="how the clients' names begin"),
        _status(status),
        *(_where(key, kind) for key, kind in _KINDS.items()),
    )


STATUS = _status(STATUSES[0])

PAGING = (
    argument(
        "--sort", default="name", metavar="FIELD", help="by this field; -FIELD begins with the greatest"
    ),
    argument("--rows", type=count, metavar="N", help=f"N rows a page (default: {ROWS}, with --json all)"),
    argument("--page", type=count, metavar="N", help="this page instead of the first"),
    LIMIT,
)

SIGNED = frozenset({"--sort", *(flag(key) for key, kind in _KINDS.items() if kind is Kind.MONEY)})
"""Flags whose value may begin with a minus: argparse would take `-10..0` for another flag."""
