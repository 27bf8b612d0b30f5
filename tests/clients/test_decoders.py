"""FreeRADIUS' decoder beside ours: what one writes, the other reads, attribute by attribute.

radclient, which checks our signatures before it prints anything, tells what it read of our replies in every
dialect, and writes requests by names whose octets we then read.
"""

import re
import socket
import subprocess
from decimal import Decimal
from ipaddress import ip_network

import pytest
from served import SECRET, program

from billing_core.authorization import Authenticated, Authorized, Candidate
from billing_core.client import Account, Client, Status
from billing_core.denial import Denial
from billing_core.rate_table import Rate
from radiusd import wire
from radiusd.codec import Attributes, named
from radiusd.dialects import DIALECTS
from radiusd.dialects.writing import accept_attributes, authenticated_attributes, reject_attributes
from radiusd.nas import Nas
from radiusd.wire import Code, Frame, Port

WAIT_SECONDS = 20
CLIENT = Client(1, "Alice Telecom", Status.ACTIVE, "USD", False, Decimal(0), locale="en_US")
ACCOUNT = Account(id=1, client_id=1, name="alice", password="secret")
RATE = Rate("44", "United Kingdom", Decimal(1), Decimal(0), 1, 1, 0)
WHO = Authenticated(CLIENT, ACCOUNT, Decimal("12.50"))
ACCEPTED = Authorized(Candidate(CLIENT, ACCOUNT, RATE, "442071234567"), 3600, Decimal(1), Decimal("12.50"))


def switch(dialect: str) -> Nas:
    return Nas(dialect, (ip_network("127.0.0.1"),), SECRET.encode(), dialect, routing="192.0.2.7:5060")


def exchange(
    kind: str, request: list[str], code: Code, attributes: bytes
) -> tuple[Frame, list[tuple[str, str]]]:
    """Let radclient send *request*, answer with *attributes*; return what came here and what it read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(WAIT_SECONDS)
        command = [program("radclient", "freeradius-utils"), "-x", "-r", "1", "-t", str(WAIT_SECONDS)]
        to = f"127.0.0.1:{server.getsockname()[1]}"
        with subprocess.Popen(
            [*command, to, kind, SECRET],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as client:
            assert client.stdin is not None
            client.stdin.write("\n".join(request) + "\n")
            client.stdin.close()
            datagram, sender = server.recvfrom(wire.PACKET_OCTETS_MAX)
            frame = wire.parse(datagram, Port.ACCOUNTING if kind == "acct" else Port.AUTHENTICATION)
            assert isinstance(frame, Frame), frame
            reply = wire.reply(code, frame, attributes, SECRET.encode())
            assert isinstance(reply, bytes)
            server.sendto(reply, sender)
            assert client.stdout is not None
            said = client.stdout.read()
    assert "Received " in said, said
    return frame, re.findall(r"^\t(\S+) = (.*)$", said.partition("Received ")[2], re.MULTILINE)


FILES = ("dictionary", "dictionary.cisco", "dictionary.cisco-calling", "dictionary.sip-avp")


def what_we_read(octets: bytes, speaks: str) -> list[tuple[str, str]]:
    """Return attributes of a reply as our own decoder reads them, by the tables of its dialect."""
    frame = wire.parse_reply(wire.sign_reply(Code.ACCESS_ACCEPT, 1, bytes(16), octets, b""))
    assert isinstance(frame, Frame)
    dialect = DIALECTS[speaks]
    items = Attributes(frame.attributes, named(FILES, dialect.vendors)).items()
    # Quintum repeats another name for the currency than ours.
    return [(name, value.removeprefix(f"{dialect.currency_name}=")) for name, value in items]


def in_our_words(name: str, value: str) -> tuple[str, str]:
    """Return a line of radclient's with our names, and without the `name=` that some texts repeat."""
    spelled = name.removeprefix("Quintum-")
    if found := re.fullmatch(r"Attr-(?:26\.(\d+)\.)?(\d+)", name):
        # Of AudioCodes' attributes and of SIP-AVP FreeRADIUS knows no names.
        spelled = by_number(9 if found[1] else 0, int(found[2]))
        value = f'"{bytes.fromhex(value[2:]).decode()}"'
    text = value.strip('"').removeprefix(f"{spelled}=")
    return {"AVPair": "Cisco-AVPair", "h323-currency-type": "h323-currency"}.get(spelled, spelled), text


def by_number(vendor: int, number: int) -> str:
    return named(FILES).by_key[vendor << 8 | number].name


REPLIES = {
    "accept": (Code.ACCESS_ACCEPT, lambda nas: accept_attributes(ACCEPTED, (bytes(range(16)), 0), nas)),
    "who": (Code.ACCESS_ACCEPT, lambda nas: authenticated_attributes(WHO, nas)),
    "no money": (Code.ACCESS_REJECT, lambda nas: reject_attributes(Denial.NO_MONEY, nas)),
    "capacity": (Code.ACCESS_REJECT, lambda nas: reject_attributes(Denial.CAPACITY_CLIENT, nas)),
}


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_freeradius_reads_our_replies_as_we_read_them(dialect: str, reply: str) -> None:
    code, attributes_for = REPLIES[reply]
    attributes = attributes_for(switch(dialect))

    _, lines = exchange("auth", ['User-Name = "alice"'], code, attributes)

    assert lines[0][0] == "Message-Authenticator"
    assert [in_our_words(*line) for line in lines[1:]] == what_we_read(attributes, dialect)


def test_freeradius_reads_an_accept_of_the_cisco_dialect_word_by_word() -> None:
    attributes = accept_attributes(ACCEPTED, (bytes(16), 0), switch("cisco"))

    _, lines = exchange("auth", ['User-Name = "alice"'], Code.ACCESS_ACCEPT, attributes)

    assert [
        f"{name} = {value}" for name, value in lines if name not in ("Message-Authenticator", "Class")
    ] == [
        'h323-return-code = "h323-return-code=0"',
        'h323-credit-time = "h323-credit-time=3600"',
        "Session-Timeout = 3600",
        'Cisco-AVPair = "h323-ivr-in=Routing:192.0.2.7:5060;credit-time=3600"',
        'h323-preferred-lang = "h323-preferred-lang=en"',
        'h323-credit-amount = "h323-credit-amount=12.50"',
        'h323-currency = "h323-currency=USD"',
        'h323-billing-model = "h323-billing-model=1"',
    ]


# What radclient is told to send | the name that we read | the value
REQUESTS = r"""
User-Name = "alice" | User-Name | alice
User-Name = "Zo\u00eb" | User-Name | Zo\u00eb
User-Name = "a=b, \"c\"" | User-Name | a=b, "c"
User-Password = "secret" | User-Password | ***
CHAP-Password = "secret" | CHAP-Password | ***
Called-Station-Id = "+44 20 7946 0000" | Called-Station-Id | +44 20 7946 0000
NAS-IP-Address = 192.0.2.9 | NAS-IP-Address | 192.0.2.9
NAS-IPv6-Address = 2001:db8::9 | NAS-IPv6-Address | 2001:db8::9
Framed-IP-Address = 198.51.100.200 | Framed-IP-Address | 198.51.100.200
Acct-Status-Type = Stop | Acct-Status-Type | 2
Acct-Status-Type = Interim-Update | Acct-Status-Type | 3
Acct-Session-Time = 4294967295 | Acct-Session-Time | 4294967295
Acct-Delay-Time = 0 | Acct-Delay-Time | 0
Event-Timestamp = "Nov 23 2026 12:00:00 UTC" | Event-Timestamp | 1795435200
Class = 0x00ff41 | Class | 0x00ff41
Proxy-State = 0x3078343134323433 | Proxy-State | 0x3078343134323433
h323-conf-id = "h323-conf-id=A B C D" | h323-conf-id | A B C D
h323-conf-id = "A B C D" | h323-conf-id | A B C D
h323-call-origin = "answer" | h323-call-origin | answer
h323-disconnect-cause = "10" | h323-disconnect-cause | 10
Cisco-AVPair = "call-id=1@192.0.2.1" | Cisco-AVPair | call-id=1@192.0.2.1
Attr-222 = 0x0102 | Attribute-222 | 0x0102
Attr-26.9.250 = 0x0102 | Vendor-9-250 | 0x0102
"""


@pytest.mark.parametrize("row", REQUESTS.strip().splitlines())
@pytest.mark.parametrize("kind", ["auth", "acct"])
def test_we_read_what_freeradius_writes(kind: str, row: str) -> None:
    line, name, value = row.split(" | ")
    code = Code.ACCOUNTING_RESPONSE if kind == "acct" else Code.ACCESS_ACCEPT

    frame, _ = exchange(kind, [line.encode().decode("raw_unicode_escape")], code, b"")

    expected = (name, value.encode().decode("raw_unicode_escape"))
    assert expected in list(Attributes(frame.attributes).items())


def test_all_that_freeradius_packs_into_one_request_comes_out_in_order() -> None:
    rows = [row.split(" | ") for row in REQUESTS.strip().splitlines()]
    rows = [row for row in rows if row[1] not in ("User-Password", "CHAP-Password") and "\\" not in row[0]]

    frame, _ = exchange("auth", [row[0] for row in rows], Code.ACCESS_ACCEPT, b"")

    read = [item for item in Attributes(frame.attributes).items() if item[0] != "Message-Authenticator"]
    assert read == [(name, value) for _, name, value in rows]
