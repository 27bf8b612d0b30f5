"""Keeps a worker's catalogue up to date, a bounded piece at a time, so that no turn waits for it.

A rate table of one piece is compiled here, at once. A larger one is compiled by a process of its own, and
until its file is there the worker goes on with what it has.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.catalogue import Catalogue
from billing_core.client import Account
from billing_core.compiled_rates import CompiledRates, compiled
from billing_core.exchange import ExchangeRate, exchange
from billing_core.money import Rounding
from billing_core.rate_table import RateTable
from billing_core.storage.compiled_files import CompiledFiles
from billing_core.storage.connection import translated
from billing_core.storage.definition_rows import CLIENT_COLUMNS, blocks_of, client_of, time_profile_of
from billing_core.storage.rates_compiler import OPEN_RATES, fetched_rates
from billing_core.storage.tables import REMOVED

# So many rows are read between two turns: some 10 ms of work.
_CLIENTS_AT_ONCE = 300
_RATES_AT_ONCE = 1500

_VERSION = "SELECT version FROM catalogue"

_REMOVED = f"""
    SELECT object_id FROM audit
    WHERE object_kind = 'client' AND field = '{REMOVED}' AND version > %s"""  # noqa: S608

_LIMITED_RESELLERS = "SELECT id FROM reseller WHERE capacity IS NOT NULL"

_CLIENTS = f"""
    SELECT {", ".join(CLIENT_COLUMNS)}, changed_in,
        ARRAY(WITH RECURSIVE chain(id, parent_id, depth) AS (
            SELECT r.id, r.parent_id, 0 FROM reseller r WHERE r.id = client.reseller_id
            UNION ALL
            SELECT r.id, r.parent_id, depth + 1 FROM reseller r JOIN chain ON r.id = chain.parent_id
        ) SELECT id FROM chain ORDER BY depth)
    FROM client WHERE (changed_in, id) > (%s, %s) AND changed_in <= %s ORDER BY changed_in, id LIMIT %s"""  # noqa: S608

_ACCOUNTS = """
    SELECT id, client_id, name, password, ip, ani, tech_prefix, capacity, orig, term, price_per_minute_max
    FROM account WHERE client_id = ANY(%s) ORDER BY id"""

_TABLES = """
    SELECT id, name, currency, changed_in, parent_id, rounding_places, rounding_mode, duration_rounding
    FROM rate_table WHERE changed_in > %s ORDER BY changed_in, id"""

_TABLE_CHANGE = "SELECT changed_in FROM rate_table WHERE id = %s"

_TIME_PROFILES = "SELECT name, spans FROM time_profile"

_EXCHANGE_RATES = 'SELECT currency, "into", factor, effective_from FROM exchange_rate'

_BLOCKS = "SELECT kind, value, expires_at, reason FROM block WHERE removed_at IS NULL"


class CatalogueReader:
    """Follows the definitions in the database; the catalogue's version is the last one wholly in use."""

    def __init__(self, catalogue: Catalogue, files: CompiledFiles | None = None) -> None:
        """Fill *catalogue*, beginning with nothing; without *files* every table is compiled right here."""
        self._catalogue = catalogue
        self._files = files
        self._work: Iterator[None] | None = None
        self._is_waiting = False
        self._is_complete = False
        self._wanted = 0
        self._tables_read: dict[int, int] = {}
        self._last_client = (0, 0)

    @property
    def version(self) -> int:
        """Return the version that is wholly in use."""
        return self._catalogue.version

    @property
    def followed_version(self) -> int:
        """Return the version that was taken over last, or is being taken over, piece by piece."""
        return self._wanted

    @property
    def is_complete(self) -> bool:
        """Tell whether all definitions have been read once, be they older by now."""
        return self._is_complete

    @property
    def is_behind(self) -> bool:
        """Tell whether there is more to do at once; waiting for a file is nothing to do."""
        return self._work is not None and not self._is_waiting

    def step(self, connection: Connection) -> bool:
        """Take over a bounded piece of what changed; return whether nothing is left to take over."""
        with translated():
            if self._work is None or self._is_waiting:
                version = self._select(connection, _VERSION)[0][0]
                if version == self._catalogue.version:
                    self._rest()
                    return True
                if version != self._wanted or self._work is None:
                    # If more changed while we wait for a file, that more need not wait.
                    self._wanted = version
                    self._work = self._take_over(connection, version)
            self._is_waiting = False
            try:
                next(self._work)
            except StopIteration:
                self._work = None
            except BaseException:
                self._work = None
                raise
        return False

    def read_all(self, connection: Connection, is_over: Callable[[], bool] = lambda: False) -> None:
        """Take over everything that changed, or stop when *is_over* says so."""
        while not is_over() and not self.step(connection):
            if self._is_waiting and self._files is not None:
                self._files.pause()

    def close(self) -> None:
        """Stop whoever works for us."""
        if self._files is not None:
            self._files.close()

    def _rest(self) -> None:
        """Nothing is left to do."""
        self._work = None
        self._is_waiting = False
        self._is_complete = True
        if self._files is not None:
            self._files.is_compiling()  # Somebody must see that it ended.

    def _take_over(self, connection: Connection, version: int) -> Iterator[None]:
        """Read rate tables first, so that no client ever meets one that is not there."""
        changed = self._select(connection, _TABLES, self._catalogue.version)
        changed = [row for row in changed if self._tables_read.get(row[0]) != row[3]]
        # When one changes while it is read, the next step begins again with the newer version.
        large = yield from self._take_over_small(connection, changed)
        if large is None:
            return
        others = self._take_over_others(connection, version)
        if all(row[0] in self._catalogue.rate_tables for row in large):
            yield from others  # They know these tables, if not yet with these rates.
        while large:
            rates = yield from self._compiled([(row[0], row[3]) for row in large])
            self._put(rates, *large.pop(0))
        yield from others
        self._catalogue.version = version
        self._is_complete = True

    def _take_over_others(self, connection: Connection, version: int) -> Iterator[None]:
        """Take over everything but rate tables."""
        while len(self._read_clients(connection, version)) == _CLIENTS_AT_ONCE:
            yield
        for (client_id,) in self._select(connection, _REMOVED, self._catalogue.version):
            self._catalogue.remove_client(client_id)
        self._read_small_tables(connection)
        limited = self._select(connection, _LIMITED_RESELLERS)
        self._catalogue.limited_resellers = frozenset(id for (id,) in limited)

    def _take_over_small(
        self, connection: Connection, changed: Sequence[tuple[Any, ...]]
    ) -> Generator[None, None, list[tuple[Any, ...]] | None]:
        """Take over what can be read at once, and return the rest; None when a table changed meanwhile."""
        large, read = [], 0
        for row in changed:
            if read >= _RATES_AT_ONCE:
                yield
                read = 0
            rates = self._rates(connection, row[0])
            if rates is None:
                large.append(row)
            elif self._select(connection, _TABLE_CHANGE, row[0]) == [(row[3],)]:
                self._put(rates, *row)
            else:
                return None
            read += _RATES_AT_ONCE if rates is None else len(rates)
        return large

    def _read_small_tables(self, connection: Connection) -> None:
        profiles = self._select(connection, _TIME_PROFILES)
        self._catalogue.time_profiles = {name: time_profile_of(name, spans) for name, spans in profiles}
        rates = self._select(connection, _EXCHANGE_RATES)
        self._catalogue.exchange = exchange(ExchangeRate(*row) for row in rates)
        self._catalogue.blocks = blocks_of(self._select(connection, _BLOCKS))

    def _put(
        self,
        rates: CompiledRates,
        table_id: int,
        name: str,
        currency: str,
        changed_in: int,
        parent_id: int | None,
        *rounding: Any,
    ) -> None:
        """Put a table to use, whole."""
        table = RateTable(table_id, name, currency, rates, parent_id, Rounding(*rounding))
        self._catalogue.put_rate_table(table)
        self._tables_read[table_id] = changed_in
        if self._files is not None:
            self._files.remove_before(table_id, changed_in)

    def _rates(self, connection: Connection, table_id: int) -> CompiledRates | None:
        """Return a table's rates as they are now; None if they are many, and there are files for that."""
        with connection.cursor() as cursor:
            cursor.execute("BEGIN;" + OPEN_RATES, (table_id,))
            try:
                rates = fetched_rates(cursor, _RATES_AT_ONCE)
                first = list(islice(rates, _RATES_AT_ONCE))
                is_large = len(first) == _RATES_AT_ONCE and self._files is not None
                return None if is_large else compiled(chain(first, rates))
            finally:
                cursor.execute("ROLLBACK")

    def _compiled(self, wanted: Sequence[tuple[int, int]]) -> Generator[None, None, CompiledRates]:
        """Wait for the file of the first table *wanted*; should it change, the next step begins again."""
        assert self._files is not None
        while (rates := self._files.find(*wanted[0])) is None:
            self._files.compile(wanted)
            self._is_waiting = True
            yield
        return rates

    def _read_clients(self, connection: Connection, version: int) -> Sequence[tuple[Any, ...]]:
        """Read the next clients up to *version*: a newer one's rate table may not have been read."""
        found = self._select(connection, _CLIENTS, *self._last_client, version, _CLIENTS_AT_ONCE)
        accounts: dict[int, list[Account]] = {row[0]: [] for row in found}
        for account in self._select(connection, _ACCOUNTS, list(accounts)):
            accounts[account[1]].append(Account(*account))
        for *fields, _, reseller_ids in found:
            client = client_of(dict(zip(CLIENT_COLUMNS, fields, strict=True)), reseller_ids)
            self._catalogue.put_client(client, accounts[client.id])
        if found:
            self._last_client = (found[-1][-2], found[-1][0])
        return found

    def _select(self, connection: Connection, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()
