"""Calls to test with: rates as people write them, clients, requests and records, all with fair defaults."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from billing_core.authorization import AuthorizationRequest
from billing_core.catalogue import Catalogue
from billing_core.client import Account, Client, Status
from billing_core.rate_table import Rate, rate_table
from billing_core.report import Kind, Report
from billing_core.session import Leg, leg_key

VECTORS = Path(__file__).parent / "vectors"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

_RATE = re.compile(
    r"(?P<price>-?[0-9.]+)/min (?P<minimum>[0-9]+)/(?P<interval>[0-9]+)"
    r"(?: setup (?P<setup>[0-9.]+))?(?: grace (?P<grace>[0-9]+))?"
)


def at(seconds: float) -> datetime:
    """Return the moment that many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def rate(written: str, code: str = "44", **fields: Any) -> Rate:
    """Return the rate written as `1/min 30/1 setup 0.3 grace 2`: price, minimum and interval, fee, grace."""
    found = _RATE.fullmatch(written)
    assert found, f'"{written}" is not a rate such as "1/min 30/1 setup 0.3 grace 2"'
    return Rate(
        code=code,
        destination="Anywhere",
        price_per_minute=Decimal(found["price"]),
        setup_fee=Decimal(found["setup"] or 0),
        min_volume_seconds=int(found["minimum"]),
        interval_seconds=int(found["interval"]),
        grace_seconds=int(found["grace"] or 0),
        **fields,
    )


def rows(name: str) -> list[list[str]]:
    """Return the cells of a vector file, without its comments."""
    lines = (VECTORS / name).read_text(encoding="utf-8").splitlines()
    return [re.split(r" *(?:\||->) *", line.strip()) for line in lines if line and not line.startswith("#")]


@dataclass(frozen=True, slots=True)
class Password:
    """A credential that was made from this password."""

    text: str

    def proves(self, password: str) -> bool:
        return self.text == password


ALICE = Client(
    id=1,
    name="Alice Telecom",
    status=Status.ACTIVE,
    currency="USD",
    postpaid=False,
    credit=Decimal(0),
    rate_table_id=1,
)
ALICE_ACCOUNT = Account(id=10, client_id=1, name="alice", password="secret")
VENDOR = Client(
    id=2,
    name="Vendor",
    status=Status.ACTIVE,
    currency="USD",
    postpaid=True,
    credit=Decimal(0),
    term_rate_table_id=2,
)
VENDOR_ACCOUNT = Account(id=20, client_id=2, ip="203.0.113.20", orig=False, term=True)
# Alice pays a cent a second, and the vendor gets half of it.
SOLD = rate("0.60/min 1/1")
BOUGHT = rate("0.30/min 1/1")


def catalogue(
    *clients: tuple[Client, list[Account]], sold: list[Rate] | None = None, bought: list[Rate] | None = None
) -> Catalogue:
    """Return a catalogue of *clients*, by default Alice and a vendor, and of both sides' rate tables."""
    made = Catalogue()
    made.put_rate_table(rate_table(1, "Sold", "USD", [SOLD] if sold is None else sold))
    made.put_rate_table(rate_table(2, "Bought", "USD", [BOUGHT] if bought is None else bought))
    for client, accounts in clients or ((ALICE, [ALICE_ACCOUNT]), (VENDOR, [VENDOR_ACCOUNT])):
        made.put_client(client, accounts)
    return made


def request(call_id: str = "call-1", **fields: Any) -> AuthorizationRequest:
    """Return Alice's request to call London; *fields* differ."""
    asked = AuthorizationRequest(
        nas="gw",
        nas_box="gw-1",
        leg_key=leg_key("gw", call_id, Leg.ORIGINATION),
        call_id=call_id,
        session_id=f"session of {call_id}",
        name="alice",
        credential=Password("secret"),
        ip="198.51.100.1",
        calling="1222333",
        called="442071234567",
    )
    return asked._replace(**fields)


def report(kind: Kind, call_id: str = "call-1", leg: Leg = Leg.ORIGINATION, **fields: Any) -> Report:
    """Return a record about that call; *fields* say what it tells."""
    session_id = fields.setdefault("session_id", f"session of {call_id}")
    detail = "203.0.113.20" if leg is Leg.TERMINATION else ""
    told = Report(
        kind=kind,
        nas="gw",
        nas_box="gw-1",
        leg=leg,
        leg_keys=(leg_key("gw", call_id, leg, detail),),
        call_id=call_id,
        session_id=session_id,
        name="alice",
        ip="198.51.100.1",
        calling="1222333",
        called="442071234567",
        termination_address=detail or None,
    )
    return told._replace(**fields)


def start(call_id: str = "call-1", **fields: Any) -> Report:
    """Return a Start."""
    return report(Kind.START, call_id, **fields)


def interim(seconds: int, call_id: str = "call-1", **fields: Any) -> Report:
    """Return an Interim-Update of a call that has lasted *seconds*."""
    return report(Kind.INTERIM, call_id, session_seconds=seconds, **fields)


def stop(seconds: int | None, call_id: str = "call-1", **fields: Any) -> Report:
    """Return a Stop of a call that lasted *seconds*."""
    return report(Kind.STOP, call_id, session_seconds=seconds, **fields)


def failed(call_id: str = "call-1", **fields: Any) -> Report:
    """Return the record of a call that was never answered."""
    return report(Kind.FAILED, call_id, **fields)
