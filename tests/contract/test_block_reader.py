"""What is blocked reaches a worker's catalogue with the version that it bears, and leaves it again."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from calls import NOON, at
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.block import BlockKind
from billing_core.catalogue import Catalogue
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.connection import connect


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    with closing(connect(migrated_url, application="test")) as opened:
        yield opened


def change(connection: Connection, statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        cursor.execute("UPDATE catalogue SET version = version + 1")


def block(connection: Connection, kind: BlockKind, value: str, expires_at: object = None) -> None:
    change(
        connection,
        "INSERT INTO block (kind, value, reason, who, created_at, expires_at)"
        " VALUES (%s, %s, 'fraud', 'test', %s, %s)",
        kind.value,
        value,
        NOON,
        expires_at,
    )


def test_a_block_is_read_and_forgotten_when_it_is_removed(connection: Connection) -> None:
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    block(connection, BlockKind.CODE, "4420", at(60))
    reader.read_all(connection)

    found = catalogue.blocks.barring((), "442071234567", NOON)
    assert found is not None
    assert (found.kind, found.value, found.expires_at, found.reason) == (
        BlockKind.CODE,
        "4420",
        at(60),
        "fraud",
    )

    change(connection, "UPDATE block SET removed_at = %s", NOON)
    reader.read_all(connection)

    assert not catalogue.blocks


def test_all_kinds_of_blocks_are_known(connection: Connection) -> None:
    catalogue = Catalogue()
    for kind in BlockKind:
        block(connection, kind, "1")

    CatalogueReader(catalogue).read_all(connection)

    assert {kind for kind, _ in catalogue.blocks.found} == {kind.value for kind in BlockKind}
