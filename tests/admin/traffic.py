"""Calls in the database of a test, placed through the same turn as real ones."""

from datetime import datetime, timedelta

from billing_command import Billing
from calls import NOON, report, request, start, stop

from billing_core.catalogue import Catalogue
from billing_core.charging import Charging, Outcome, Request
from billing_core.limits import Limits
from billing_core.report import Kind
from billing_core.session import Leg
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.postgres import PostgresStorage

DEFINITIONS = """
[[reseller]]
name = "Top"
capacity = 100
[[reseller]]
name = "Low"
parent = "Top"

[[rate_table]]
name = "Sold"
currency = "USD"
rates = "sold.csv"
[[rate_table]]
name = "Bought"
currency = "USD"
rates = "bought.csv"

[[client]]
name = "Alice Telecom"
currency = "USD"
credit = 100
reseller = "Low"
rate_table = "Sold"
[[client.account]]
name = "alice"
password = "secret"
capacity = 10

[[client]]
name = "Vendor"
currency = "USD"
postpaid = true
term_rate_table = "Bought"
[[client.account]]
ip = "203.0.113.20"
orig = false
term = true
"""


def define(billing: Billing) -> None:
    """Apply definitions of a client who pays a cent a second, and a vendor who gets half of it."""
    billing.file("sold.csv", "code,destination,price_per_minute\n44,United Kingdom,0.60\n")
    billing.file("bought.csv", "code,destination,price_per_minute\n44,United Kingdom,0.30\n")
    assert billing.apply(DEFINITIONS).code == 0


def handle(billing: Billing, *requests: Request, now: datetime = NOON) -> list[Outcome]:
    """Let one turn decide *requests*."""
    storage = PostgresStorage(billing.url, "test")
    connection = storage.connection()
    try:
        catalogue = Catalogue()
        CatalogueReader(catalogue).read_all(connection)
        return Charging(storage, catalogue, Limits()).handle(requests, now)
    finally:
        connection.close()


def place(billing: Billing) -> None:
    """Place calls of every kind: finished on both legs, corrected, under way, only accepted, unbillable."""
    later = NOON + timedelta(seconds=70)
    handle(billing, request("done"), start("done"))
    handle(billing, stop(61, "done", disconnect_cause="16"), now=later)
    handle(billing, report(Kind.STOP, "done", Leg.TERMINATION, session_seconds=60), now=later)
    handle(billing, request("corrected"), start("corrected"))
    handle(billing, stop(10, "corrected"), now=NOON + timedelta(seconds=20))
    handle(billing, stop(20, "corrected"), now=NOON + timedelta(seconds=25))
    handle(billing, request("under way"), start("under way"))
    handle(billing, request("accepted"))
    handle(billing, report(Kind.START, "under way", Leg.TERMINATION))
    handle(billing, stop(30, "stranger", name="nobody", calling="5", disconnect_cause="16"), now=later)
