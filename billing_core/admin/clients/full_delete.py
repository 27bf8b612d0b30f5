"""A client removed for good, with everything that was his: what stays is that it happened, and his audit.

It takes the role that owns the tables. Workers learn of it by the audit, and whoever of them still decides
on him finds no balance to lock.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, text, update

from billing_core.admin.clients import clients
from billing_core.admin.definitions.audit import Author, Owners, write_audit
from billing_core.admin.definitions.difference import Change, Diff
from billing_core.admin.found import found_client
from billing_core.admin.locks import locked_catalogue, moment
from billing_core.admin.output import CommandError, Record
from billing_core.capacity import Scope
from billing_core.money import plain
from billing_core.storage.columns import metadata
from billing_core.storage.partitions import is_owner
from billing_core.storage.tables import REMOVED, catalogue

_HIS = [
    table.name
    for table in reversed(metadata.sorted_tables)
    if "client_id" in table.c and table.name != "audit"
]
_ONLY_ADDED_TO = ("xdr", "entry", "decision", "mail", "event")
"""What turns only add rows to: the many old ones can go before his balance is locked."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """What a client has: his money in his currency, and how many rows of each kind."""

    name: str
    status: str
    currency: str
    live: Decimal
    fixed: Decimal
    reserved: Decimal
    held: Decimal
    legs_up: int
    accounts: int
    entries: int
    xdrs: int

    def __str__(self) -> str:
        """Write what he has as one line."""
        money = f"live {plain(self.live)} {self.currency}, fixed {plain(self.fixed)} {self.currency}"
        rows = f"{self.accounts} accounts, {self.entries} entries, {self.xdrs} xDRs, {self.legs_up} legs up"
        return f"{self.status}, {money}, {rows}"

    def record(self) -> Record:
        """Return it for a JSON document."""
        return asdict(self)


def belongings(connection: Connection, name: str) -> Belongings:
    """Return what a client has; raise CommandError if there is none of that name."""
    shown = clients.shown(connection, name)
    balance = shown["balance"]
    counts = {table: _count(connection, table, shown["id"]) for table in ("account", "entry", "xdr")}
    return Belongings(
        name,
        shown["status"],
        shown["currency"],
        balance["live"],
        balance["fixed"],
        balance["reserved"],
        balance["held"],
        _legs_up(connection, shown["id"]),
        counts["account"],
        counts["entry"],
        counts["xdr"],
    )


def _count(connection: Connection, table: str, client_id: int) -> int:
    count = f"SELECT count(*) FROM {table} WHERE client_id = :id"  # noqa: S608
    return int(connection.execute(text(count), {"id": client_id}).scalar_one())


def _legs_up(connection: Connection, client_id: int) -> int:
    count = "SELECT count(*) FROM session WHERE closed_at IS NULL AND client_id = :id"
    return int(connection.execute(text(count), {"id": client_id}).scalar_one())


def full_delete(owner: Engine, name: str, author: Author, *, force: bool) -> Belongings:
    """Remove a client and everything of his, in one transaction; return what he had.

    Raises CommandError for a role that does not own the tables, for one who is not known, and for one whose
    calls are up unless *force* is given.
    """
    with owner.begin() as connection:
        if not is_owner(connection):
            raise CommandError(
                f'client "{name}": only the owner of the tables can remove him; set database.owner_url'
            )
        version = locked_catalogue(connection) + 1
        client_id = found_client(connection, name).id
        had = belongings(connection, name)
        removal = _Removal(connection, client_id, name)
        removal.begin()
        if (legs := removal.legs_up()) and not force:
            raise CommandError(
                f'client "{name}" has {legs} legs up; wait for their end (see: billing calls), or remove him'
                " with --force: what they cost is then charged to nobody"
            )
        if had.held and not force:
            raise CommandError(
                f'client "{name}" has calls that hold {plain(had.held)} {had.currency} until you decide'
                " what they cost (see: billing xdrs --reason overrun), or remove it with --force: what they"
                " cost is then charged to nobody"
            )
        removal.finish()
        changes = (Change("client", name, REMOVED, str(had), None, client_id),)
        owners: Owners = {("client", name, None): (client_id, client_id)}
        write_audit(connection, Diff(version, changes), author, moment(connection), owners)
        connection.execute(update(catalogue).values(version=version))
        removal.give_places_back()
    return had


class _Removal:
    """The steps of removing one client, in the order in which turns lock."""

    def __init__(self, connection: Connection, client_id: int, name: str) -> None:
        self._connection = connection
        self._client_id = client_id
        self._values = {"id": client_id, "name": name}
        self._places = 0
        self._resellers: list[int] = []

    def begin(self) -> None:
        """Delete what turns never touch again, and then keep turns from deciding on him."""
        self._run("SELECT set_config('billing.removes_client', 'on', true)")
        for table in _ONLY_ADDED_TO:
            self._delete(table)
        self._run("SELECT FROM balance WHERE client_id = :id FOR UPDATE")

    def legs_up(self) -> int:
        """Return how many legs of his are up; from now on there is no other."""
        return _legs_up(self._connection, self._client_id)

    def finish(self) -> None:
        """Delete everything else."""
        self._resellers = list(self._run(_RESELLERS).scalars())
        self._places = self._run(_PLACES).scalar_one()
        self._run(_LEGS)
        for statement in (_XDRS_OF_LEGS, _DISCONNECTS, _COUNTERS, _BLOCKS):
            self._run(statement)
        for table in _ONLY_ADDED_TO:
            self._delete(table)
        self._run(_KEPT_KEYS)
        for table in _HIS:
            self._delete(table)
        self._run("DELETE FROM client WHERE id = :id")

    def give_places_back(self) -> None:
        """Let the legs that were up count for his resellers no more; counters are locked last, in order."""
        if self._places and self._resellers:
            values = {"ids": self._resellers, "scope": Scope.RESELLER.value, "places": self._places}
            self._connection.execute(text(_LOCK_COUNTERS), values)
            self._connection.execute(text(_GIVE_BACK), values)

    def _delete(self, table: str) -> None:
        self._run(f"DELETE FROM {table} WHERE client_id = :id")  # noqa: S608

    def _run(self, statement: str) -> Any:
        return self._connection.execute(text(statement), self._values)


_RESELLERS = """
    WITH RECURSIVE chain(id, parent_id) AS (
        SELECT reseller.id, reseller.parent_id FROM reseller JOIN client ON client.reseller_id = reseller.id
        WHERE client.id = :id
        UNION
        SELECT reseller.id, reseller.parent_id FROM reseller JOIN chain ON reseller.id = chain.parent_id
    ) SELECT id FROM chain"""

_PLACES = """
    SELECT count(*) FROM session
    WHERE closed_at IS NULL AND leg = 'origination' AND client_id = :id"""

_LEGS = """
    CREATE TEMPORARY TABLE removed_leg ON COMMIT DROP AS
    SELECT leg_key, generation FROM session WHERE client_id = :id"""

# The first record of a leg may be from before it was known whose it is.
_XDRS_OF_LEGS = """
    DELETE FROM xdr USING removed_leg
    WHERE xdr.leg_key = removed_leg.leg_key AND xdr.generation = removed_leg.generation"""

_DISCONNECTS = """
    DELETE FROM disconnect USING removed_leg
    WHERE disconnect.leg_key = removed_leg.leg_key AND disconnect.generation = removed_leg.generation"""

_COUNTERS = f"""
    DELETE FROM capacity_counter WHERE scope = {Scope.ACCOUNT.value}
        AND owner_id IN (SELECT id FROM account WHERE client_id = :id)"""  # noqa: S608

_BLOCKS = "DELETE FROM block WHERE kind = 'client' AND value = :name"

# A key that others used before him goes on to count its generations, as a leg of nobody that never was.
_KEPT_KEYS = """
    UPDATE session SET client_id = NULL, account_id = NULL, state = 2, closed_at = COALESCE(closed_at, now()),
        reserved = 0, reserved_seconds = NULL, posted = 0, revision = 0, calling = '', called = '',
        decision = NULL
    WHERE client_id = :id AND generation > 0
        AND EXISTS (SELECT FROM xdr WHERE xdr.leg_key = session.leg_key)"""

_LOCK_COUNTERS = """
    SELECT FROM capacity_counter WHERE scope = :scope AND owner_id = ANY(:ids)
    ORDER BY scope, owner_id FOR UPDATE"""

_GIVE_BACK = """
    UPDATE capacity_counter SET in_use = in_use - :places WHERE scope = :scope AND owner_id = ANY(:ids)"""
