"""Two roles: one owns and migrates, the other serves and can't rewrite what explains the money."""

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from sqlalchemy.engine import make_url

from billing_core.storage.connection import connect
from billing_core.storage.schema import extend, prepare

SERVING = "serving_role_of_a_test"


@pytest.fixture
def serving_url(postgres_server: Any) -> Iterator[str]:
    owner_url = postgres_server.create_database()
    with connect(owner_url, application="test").cursor() as cursor:
        cursor.execute(f"CREATE ROLE {SERVING} LOGIN")
    url = make_url(owner_url).set(username=SERVING).render_as_string(hide_password=False)
    prepare(url, owner_url)
    yield url
    with connect(owner_url, application="test").cursor() as cursor:
        cursor.execute(f"DROP OWNED BY {SERVING}; DROP ROLE {SERVING}")
    postgres_server.drop_database(owner_url)


@pytest.mark.parametrize("table", ["entry", "xdr", "entry_default", "xdr_default", "entry_reference"])
@pytest.mark.parametrize("change", ["UPDATE {} SET amount = 0", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_serving_role_may_not_rewrite_what_explains_the_money(
    serving_url: str, table: str, change: str
) -> None:
    with (
        connect(serving_url, application="test").cursor() as cursor,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        cursor.execute(change.format(table))


def test_the_serving_role_may_add_entries_and_change_balances(serving_url: str) -> None:
    with connect(serving_url, application="test").cursor() as cursor:
        cursor.execute("INSERT INTO entry (client_id, kind, amount, at) VALUES (1, 'payment', 5, now())")
        cursor.execute("UPDATE balance SET live = live + 5 WHERE client_id = 1")
        cursor.execute("SELECT count(*) FROM entry")

        assert cursor.fetchone() == (1,)


def test_the_serving_role_makes_no_partitions_and_needs_none(serving_url: str) -> None:
    with connect(serving_url, application="test").cursor() as cursor:
        pay = "INSERT INTO entry (client_id, kind, amount, at) VALUES (1, 'payment', 5, '2001-01-01')"
        cursor.execute(pay)

    assert extend(serving_url) == []


def test_the_serving_role_takes_numbers_for_what_it_adds(serving_url: str) -> None:
    with connect(serving_url, application="test").cursor() as cursor:
        cursor.execute("SELECT nextval('client_id_seq')")

        assert cursor.fetchone() == (1,)


def test_rights_that_were_changed_by_hand_are_put_right(serving_url: str) -> None:
    owner_url = make_url(serving_url).set(username="billing").render_as_string(hide_password=False)
    with connect(owner_url, application="test").cursor() as owner:
        owner.execute(f"GRANT UPDATE ON entry_default, closed_month TO {SERVING}")
        owner.execute(f"REVOKE INSERT ON client FROM {SERVING}")
        prepare(serving_url, owner_url)
        rights = "SELECT has_table_privilege(%s, %s, %s)"
        found = []
        for table, right in (("entry_default", "UPDATE"), ("closed_month", "UPDATE"), ("client", "INSERT")):
            owner.execute(rights, (SERVING, table, right))
            found += owner.fetchall()

    assert found == [(False,), (False,), (True,)]


def test_the_serving_role_owns_nothing(serving_url: str) -> None:
    with connect(serving_url, application="test").cursor() as cursor, pytest.raises(psycopg2.Error):
        cursor.execute("DROP TABLE entry")
