"""Keeps a worker's catalogue up to date, a bounded piece at a time, so that no turn waits for it."""

from collections.abc import Generator, Iterator, Sequence
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.catalogue import Catalogue
from billing_core.client import (
    DEFAULT_CONCURRENCY,
    Account,
    BillBy,
    Client,
    Concurrency,
    LowBalance,
    Policy,
    Status,
)
from billing_core.exchange import ExchangeRate, exchange
from billing_core.money import Rounding
from billing_core.rate_table import Rate, RateTable, RateTableBuilder
from billing_core.storage.connection import translated
from billing_core.time_profile import Span, TimeProfile

# So many rows are read between two turns: some 10 ms of work.
_CLIENTS_AT_ONCE = 300
_RATES_AT_ONCE = 1500

_VERSION = "SELECT version FROM catalogue"

_LIMITED_RESELLERS = "SELECT id FROM reseller WHERE capacity IS NOT NULL"

_CLIENTS = """
    SELECT id, name, status, currency, postpaid, credit, bill_by, rate_table_id, capacity,
        term_rate_table_id, term_capacity, low_balance_threshold, low_balance_capacity, locale,
        changed_in, timezone, concurrency, concurrency_calls, concurrency_seconds, charge_max, refuse_losses,
        ARRAY(WITH RECURSIVE chain(id, parent_id, depth) AS (
            SELECT r.id, r.parent_id, 0 FROM reseller r WHERE r.id = client.reseller_id
            UNION ALL
            SELECT r.id, r.parent_id, depth + 1 FROM reseller r JOIN chain ON r.id = chain.parent_id
        ) SELECT id FROM chain ORDER BY depth)
    FROM client WHERE (changed_in, id) > (%s, %s) AND changed_in <= %s ORDER BY changed_in, id LIMIT %s"""

_ACCOUNTS = """
    SELECT id, client_id, name, password, ip, ani, tech_prefix, capacity, orig, term, price_per_minute_max
    FROM account WHERE client_id = ANY(%s) ORDER BY id"""

_TABLES = """
    SELECT id, name, currency, changed_in, parent_id, rounding_places, rounding_mode, duration_rounding
    FROM rate_table WHERE changed_in > %s ORDER BY changed_in, id"""

_TABLE_CHANGE = "SELECT changed_in FROM rate_table WHERE id = %s"

_RATES = """
    SELECT id, code, destination, price_per_minute, setup_fee, min_volume_seconds, interval_seconds,
        grace_seconds, effective_from, end_date, time_profile, number_length_min, number_length_max, blocked
    FROM rate WHERE rate_table_id = %s AND id > %s AND until_import IS NULL ORDER BY id LIMIT %s"""

_TIME_PROFILES = "SELECT name, spans FROM time_profile"

_EXCHANGE_RATES = 'SELECT currency, "into", factor, effective_from FROM exchange_rate'


class CatalogueReader:
    """Follows the definitions in the database; the catalogue's version is the last one wholly in use."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Fill *catalogue*, beginning with nothing."""
        self._catalogue = catalogue
        self._work: Iterator[None] | None = None
        self._tables_read: dict[int, int] = {}
        self._last_client = (0, 0)

    @property
    def version(self) -> int:
        """Return the version that is wholly in use."""
        return self._catalogue.version

    @property
    def is_behind(self) -> bool:
        """Tell whether a change has been taken over only in part."""
        return self._work is not None

    def step(self, connection: Connection) -> bool:
        """Take over a bounded piece of what changed; return whether nothing is left to take over."""
        with translated():
            if self._work is None:
                version = self._select(connection, _VERSION)[0][0]
                if version == self._catalogue.version:
                    return True
                self._work = self._take_over(connection, version)
            try:
                next(self._work)
            except StopIteration:
                self._work = None
            except BaseException:
                self._work = None
                raise
        return False

    def read_all(self, connection: Connection) -> None:
        """Take over everything that changed."""
        while not self.step(connection):
            pass

    def _take_over(self, connection: Connection, version: int) -> Iterator[None]:
        """Read rate tables first, so that no client ever meets one that is not there."""
        replaced: list[RateTable] = []
        for row in self._select(connection, _TABLES, self._catalogue.version):
            if self._tables_read.get(row[0]) == row[3]:
                continue
            before = self._catalogue.rate_tables.get(row[0])
            if not (yield from self._read_table(connection, *row)):
                return  # Changed while it was read: the next step begins again with the newer version.
            replaced += [before] if before else []
        while len(self._read_clients(connection, version)) == _CLIENTS_AT_ONCE:
            yield
        self._read_small_tables(connection)
        limited = self._select(connection, _LIMITED_RESELLERS)
        self._catalogue.limited_resellers = frozenset(id for (id,) in limited)
        self._catalogue.version = version
        for table in replaced:
            yield from _dismantle(table)

    def _read_small_tables(self, connection: Connection) -> None:
        profiles = self._select(connection, _TIME_PROFILES)
        self._catalogue.time_profiles = {name: TimeProfile(name, _spans(spans)) for name, spans in profiles}
        rates = self._select(connection, _EXCHANGE_RATES)
        self._catalogue.exchange = exchange(ExchangeRate(*row) for row in rates)

    def _read_table(
        self,
        connection: Connection,
        table_id: int,
        name: str,
        currency: str,
        changed_in: int,
        parent_id: int | None,
        *rounding: Any,
    ) -> Generator[None, None, bool]:
        """Read a rate table in pieces and put it to use whole; return False if it changed meanwhile."""
        builder = RateTableBuilder(table_id, name, currency, parent_id, Rounding(*rounding))
        for piece in self._rates(connection, table_id):
            builder.add(piece)
            if len(piece) == _RATES_AT_ONCE:
                yield
        if self._select(connection, _TABLE_CHANGE, table_id) != [(changed_in,)]:
            return False
        self._catalogue.put_rate_table(builder.build())
        self._tables_read[table_id] = changed_in
        return True

    def _rates(self, connection: Connection, table_id: int) -> Iterator[list[Rate]]:
        last_id = 0
        while found := self._select(connection, _RATES, table_id, last_id, _RATES_AT_ONCE):
            last_id = found[-1][0]
            yield [Rate(*row[1:]) for row in found]

    def _read_clients(self, connection: Connection, version: int) -> Sequence[tuple[Any, ...]]:
        """Read the next clients up to *version*: a newer one's rate table may not have been read."""
        found = self._select(connection, _CLIENTS, *self._last_client, version, _CLIENTS_AT_ONCE)
        accounts: dict[int, list[Account]] = {row[0]: [] for row in found}
        for account in self._select(connection, _ACCOUNTS, list(accounts)):
            accounts[account[1]].append(Account(*account))
        for row in found:
            self._catalogue.put_client(_client(row), accounts[row[0]])
        if found:
            self._last_client = (found[-1][14], found[-1][0])
        return found

    def _select(self, connection: Connection, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()


def _dismantle(table: RateTable) -> Iterator[None]:
    """Give back a replaced table's memory in pieces: all at once would hold up a turn as well."""
    while table.rates:
        for _ in range(min(len(table.rates), _RATES_AT_ONCE)):
            table.rates.popitem()
        yield


def _spans(spans: Sequence[tuple[Sequence[int], int, int]]) -> tuple[Span, ...]:
    return tuple(Span(frozenset(weekdays), begin, end) for weekdays, begin, end in spans)


def _concurrency(policy: str, calls: int | None, seconds: int | None) -> Concurrency:
    if policy == Policy.FULL.value:
        return DEFAULT_CONCURRENCY
    return Concurrency(Policy(policy), calls or 1, seconds or 60)


def _client(row: tuple[Any, ...]) -> Client:
    return Client(
        id=row[0],
        name=row[1],
        status=Status(row[2]),
        currency=row[3],
        postpaid=row[4],
        credit=row[5],
        bill_by=BillBy(row[6]),
        rate_table_id=row[7],
        capacity=row[8],
        term_rate_table_id=row[9],
        term_capacity=row[10],
        low_balance=LowBalance(row[11], row[12]) if row[11] is not None and row[12] is not None else None,
        locale=row[13],
        reseller_ids=tuple(row[21]),
        timezone=UTC if row[15] == "UTC" else ZoneInfo(row[15]),
        concurrency=_concurrency(*row[16:19]),
        charge_max=row[19],
        refuse_losses=row[20],
    )
