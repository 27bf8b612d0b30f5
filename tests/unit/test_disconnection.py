"""Where a switch takes Disconnect-Requests, and by which attributes it finds the call."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from billing_core.ports import DisconnectReason
from billing_core.settings import SettingsError
from billing_core.storage.disconnects import Wanted
from radiusd.codec import Attributes
from radiusd.config import load
from radiusd.dialects.disconnection import disconnect_attributes
from radiusd.nas import Nas, network
from radiusd.session_class import linked_leg
from radiusd.wire import Code, parse_reply, sign_reply

KEY = b"k" * 16
GUID = "0123456789abcdef0123456789abcdef"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
GATEWAY = 'name = "gw1"\naddress = "10.0.0.1"\nsecret = "0123456789abcdef"\ndialect = "cisco"\n'


def nas(dialect: str) -> Nas:
    return Nas("gw1", (network("10.0.0.1"),), b"0123456789abcdef", dialect)


def told(dialect: str = "cisco", **fields: Any) -> Attributes:
    """Return what a switch is told of a leg."""
    parts = {
        "leg_key": KEY,
        "generation": 0,
        "nas": "gw1",
        "reason": DisconnectReason.NO_MONEY,
        "nas_box": "",
        "nas_address": "10.0.0.1",
        "call_id": GUID,
        "session_id": "77",
        "name": "alice",
        "authorized": True,
        "is_open": True,
    }
    wanted = Wanted(**parts | fields)
    octets = sign_reply(
        Code.DISCONNECT_ACK, 1, bytes(16), disconnect_attributes(wanted, nas(dialect), NOON), b"secret"
    )
    frame = parse_reply(octets)
    assert not isinstance(frame, str), f"malformed: {frame}"
    return Attributes(frame.attributes)


def test_a_leg_is_named_by_all_that_its_switch_knows_of_it():
    attributes = told()

    assert attributes.address("NAS-IP-Address") == "10.0.0.1"
    assert (attributes.text("User-Name"), attributes.text("Acct-Session-Id")) == ("alice", "77")
    # As gateways write it: the attribute's name before it, and groups of capital digits.
    assert attributes.raw("h323-conf-id") == b"h323-conf-id=01234567 89ABCDEF 01234567 89ABCDEF"
    assert linked_leg(attributes.raws("Class"), nas("cisco")) == (KEY, 0)
    assert attributes.integer("Event-Timestamp") == int(NOON.timestamp())


@pytest.mark.parametrize(
    ("box", "name", "value"),
    [
        ("2001:db8::1", "NAS-IPv6-Address", "2001:db8::1"),
        ("10.0.0.1", "NAS-IP-Address", "10.0.0.1"),
    ],
)
def test_a_switch_is_named_as_it_names_itself(box: str, name: str, value: str):
    attributes = told(nas_address=box)

    assert attributes.address(name) == value
    assert attributes.text("NAS-Identifier") is None


def test_a_switch_without_address_is_named_by_its_identifier():
    assert told(nas_box="box-1", nas_address="").text("NAS-Identifier") == "box-1"


def test_a_switch_that_names_itself_twice_is_named_by_both():
    attributes = told(nas_box="box-1")

    assert (attributes.text("NAS-Identifier"), attributes.address("NAS-IP-Address")) == ("box-1", "10.0.0.1")


def test_a_call_id_of_sip_goes_back_as_the_pair_that_it_came_in():
    attributes = told(call_id="a84b4c76e66710@pc33.example.com")

    assert attributes.avpair("call-id") == "a84b4c76e66710@pc33.example.com"
    assert attributes.raw("h323-conf-id") is None


def test_a_dialect_without_vendor_attributes_gets_none():
    assert [name for name, _ in told("plain").items()] == [
        "NAS-IP-Address",
        "User-Name",
        "Acct-Session-Id",
        "Class",
        "Event-Timestamp",
    ]


def test_what_is_not_known_is_left_out():
    attributes = told(name=None, session_id="", call_id="", nas_address="", authorized=False)

    assert [name for name, _ in attributes.items()] == ["Event-Timestamp"]


def test_a_text_that_is_too_long_for_an_attribute_is_left_out():
    attributes = told(name="n" * 254, call_id="c" * 240)

    assert attributes.text("User-Name") is None
    assert attributes.avpair("call-id") is None
    assert attributes.text("Acct-Session-Id") == "77"


# --- settings ---------------------------------------------------------------------------------------


def disconnect_of(directory: Path, line: str) -> tuple[str, int] | None:
    (directory / "radiusd.toml").write_text(f"[[nas]]\n{GATEWAY}{line}\n")
    (found,) = load(directory).nas
    return found.disconnect


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 3799)),
        ("192.0.2.1:1700", ("192.0.2.1", 1700)),
        ("2001:db8::1", ("2001:db8::1", 3799)),
        ("[2001:db8:0::1]:1700", ("2001:db8::1", 1700)),
    ],
)
def test_a_switch_takes_disconnects_at_an_address_and_perhaps_another_port(
    tmp_path: Path, written: str, expected: tuple[str, int]
):
    assert disconnect_of(tmp_path, f'disconnect = "{written}"') == expected


def test_without_an_address_a_switch_takes_no_disconnects(tmp_path: Path):
    assert disconnect_of(tmp_path, "") is None


@pytest.mark.parametrize(
    "written",
    ["gw1.example.com", "gw1.example.com:3799", "192.0.2.1:0", "192.0.2.1:70000", ":3799", "", "0.0.0.0"],
)
def test_what_is_no_address_is_refused_with_its_line(tmp_path: Path, written: str):
    with pytest.raises(SettingsError) as raised:
        disconnect_of(tmp_path, f'disconnect = "{written}"')

    assert f'{tmp_path}/radiusd.toml:6: nas.disconnect: "{written}" is not where' in str(raised.value)
    assert '"192.0.2.10:1700"' in str(raised.value)
