"""What the settings of a NAS make of its packets: whose calls they are, and what is believed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from billing_core.authorization import AuthorizationRequest
from billing_core.ports import Reboot, UnknownRecord
from billing_core.report import Report
from radiusd import wire
from radiusd.codec import encode
from radiusd.dialects.reading import accounting, authorization_request
from radiusd.nas import Nas, NasTable, network
from radiusd.session_class import class_of
from radiusd.wire import Code, Frame, Port

SOURCE, OTHER_SOURCE, STRANGER = "10.0.0.1", "10.0.0.2", "10.0.0.3"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GW = Nas("gw", (network(SOURCE),), b"0123456789abcdef", "cisco", require_message_authenticator=False)
SAME = replace(GW, name="second", networks=(network(OTHER_SOURCE),), same_as="gw")
ANOTHER = replace(GW, name="another", networks=(network(STRANGER),))
CALL = (
    encode("Acct-Session-Id", "0001") + encode("h323-conf-id", "h323-conf-id=11 22 33 44"),
    encode("NAS-Identifier", "pbx") + encode("Called-Station-Id", "442071234567"),
)
ON, STOP, TUNNEL_START = 7, 2, 9


def frame(code: Code, *attributes: bytes, signed: bool = False) -> Frame:
    port = Port.AUTHENTICATION if code is Code.ACCESS_REQUEST else Port.ACCOUNTING
    packet = wire.request(code, 1, b"".join(attributes), GW.secret, message_authenticator=signed)
    parsed = wire.parse(packet, port)
    assert isinstance(parsed, Frame)
    return parsed


def asked(nas: Nas, *, signed: bool = False) -> AuthorizationRequest:
    return authorization_request(frame(Code.ACCESS_REQUEST, *CALL, signed=signed), nas, SOURCE)


def told(nas: Nas, status: int, *attributes: bytes) -> Any:
    octets = encode("Acct-Status-Type", status), *CALL, *attributes
    return accounting(frame(Code.ACCOUNTING_REQUEST, *octets), nas, SOURCE, NOW)


def test_a_call_is_the_same_by_whichever_nas_of_its_switch_it_comes() -> None:
    one, same, another = (asked(nas) for nas in (GW, SAME, ANOTHER))
    records = [told(nas, STOP) for nas in (GW, SAME, ANOTHER)]

    assert (one.nas, same.nas, another.nas) == ("gw", "gw", "another")
    assert one.leg_key == same.leg_key != another.leg_key
    assert [record.nas for record in records] == ["gw", "gw", "another"]
    assert records[0].leg_keys == records[1].leg_keys
    assert one.leg_key in records[1].leg_keys
    assert one.leg_key not in records[2].leg_keys


def test_a_class_is_believed_by_whichever_nas_of_its_switch_it_comes() -> None:
    sent = encode("Class", class_of((bytes(16), 3), GW))

    assert told(SAME, STOP, sent).linked == (bytes(16), 3)


@pytest.mark.parametrize(("status", "kind"), [(ON, Reboot), (TUNNEL_START, UnknownRecord)])
def test_what_is_no_calls_is_of_the_switch_too(status: int, kind: type[Reboot | UnknownRecord]) -> None:
    found = [told(nas, status) for nas in (GW, SAME)]

    assert [type(one) for one in found] == [kind, kind]
    assert [one.nas for one in found] == ["gw", "gw"]


def test_what_is_signed_or_comes_by_a_trusted_path_is_the_switchs_own() -> None:
    over_tls = NasTable([replace(GW, certificate="switch.example")]).by_certificate(["switch.example"])
    assert over_tls is not None

    assert not asked(GW).path_is_trusted
    assert asked(GW, signed=True).path_is_trusted
    assert asked(replace(GW, trusted_path=True)).path_is_trusted
    assert asked(over_tls).path_is_trusted


def test_a_nas_says_how_its_calls_are_kept_and_charged() -> None:
    changed = replace(GW, numbers_change=True, overrun="charge", unheard_seconds=300)

    def facts(nas: Nas) -> tuple[int | None, bool, bool]:
        record = told(nas, STOP)
        assert isinstance(record, Report)
        return asked(nas).unheard_seconds, record.numbers_change, record.overrun_is_charged

    assert facts(GW) == (None, False, False)
    assert facts(changed) == (300, True, True)
