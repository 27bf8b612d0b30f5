"""How a `[[nas]]` says in what it differs from its family, and what is said of what makes no sense."""

from dataclasses import fields
from pathlib import Path

import pytest

from billing_core.session import Leg
from billing_core.settings import SettingsError
from radiusd import wire
from radiusd.config import load
from radiusd.dialects import DIALECTS
from radiusd.dialects.dialect import Dialect, EventTime, Limit, Unit, VsaForm
from radiusd.nas import Nas
from radiusd.wire import Code, Frame


def softswitch(directory: Path, text: str, dialect: str = "cisco") -> Nas:
    who = 'name = "gw"\naddress = "10.0.0.1"\nsecret = "0123456789abcdef"\n'
    (directory / "radiusd.toml").write_text(f'[[nas]]\n{who}dialect = "{dialect}"\n{text}\n')
    [nas] = load(directory).nas
    return nas


def test_a_nas_that_says_nothing_speaks_as_its_family(tmp_path: Path) -> None:
    for name, family in DIALECTS.items():
        assert softswitch(tmp_path, "", name).speaks is family


def test_what_a_nas_says_holds_and_the_rest_is_its_familys(tmp_path: Path) -> None:
    nas = softswitch(
        tmp_path,
        """disconnect_cause_base = 10
duration_unit = "ms"
event_time = "call_start"
limit_attributes = ["session-timeout", "ivr-in-duration"]
vsa_form = "bare"
call_id = ["Cisco-AVPair:call-id", "sip-conf-id"]
reply_vendor = 6618
legs = { proxy = "origination" }
question_legs = { answer = "termination" }
tags = ["Cisco-AVPair:channel"]
call_type = ["Cisco-AVPair:side"]
languages = { pt_BR = "br" }
""",
    )
    told = {
        "disconnect_cause_base": 10,
        "duration_unit": Unit.MILLISECONDS,
        "event_time": EventTime.CALL_START,
        "limit_attributes": (Limit.SESSION_TIMEOUT, Limit.IVR_DURATION),
        "vsa_form": VsaForm.BARE,
        "call_id": ("Cisco-AVPair:call-id", "sip-conf-id"),
        "reply_vendor": 6618,
        "legs": {"answer": Leg.ORIGINATION, "originate": Leg.TERMINATION, "proxy": Leg.ORIGINATION},
        "question_legs": {"answer": Leg.TERMINATION},
        "tags": ("Cisco-AVPair:channel",),
        "call_type": ("Cisco-AVPair:side",),
        "languages": {"pt_BR": "br"},
    }

    for item in fields(Dialect):
        expected = told.get(item.name, getattr(DIALECTS["cisco"], item.name))
        assert getattr(nas.speaks, item.name) == expected, item.name


def test_what_is_said_as_the_family_has_it_is_no_difference(tmp_path: Path) -> None:
    nas = softswitch(tmp_path, 'vsa_form = "prefixed"\ndisconnect_cause_base = 16')

    assert nas.differs == {}
    assert nas.speaks is DIALECTS["cisco"]


FAULTS = {
    ("cisco", "disconnect_cause_base = 8"): "6: nas.disconnect_cause_base: 8 is no base of disconnect causes;"
    " write 10 (decimal) or 16 (hexadecimal)",
    (
        "cisco",
        'vsa_form = "naked"',
    ): '6: nas.vsa_form: "naked" is not known; known here: bare, none, prefixed',
    ("cisco", 'duration_unit = "min"'): '6: nas.duration_unit: "min" is not known; known here: ms, s',
    ("cisco", 'call_id = ["h323-konf-id"]'): '6: nas.call_id: "h323-konf-id" is in no dictionary of this NAS,'
    " or is no value to read",
    ("cisco", 'called = ["Class"]'): '6: nas.called: "Class" is in no dictionary of this NAS,'
    " or is no value to read",
    (
        "cisco",
        'tags = ["Acct-Session-Id/0"]',
    ): '6: nas.tags: "Acct-Session-Id/0" is in no dictionary of this NAS, or is no value to read',
    ("cisco", 'tags = ["NAS-Port/1"]'): '6: nas.tags: "NAS-Port/1" is in no dictionary of this NAS,'
    " or is no value to read",
    ("cisco", "called = []"): "6: nas.called: must name at least 1",
    ("cisco", 'duration = ["Sip-Call-Duration"]'): '6: nas.duration: "Sip-Call-Duration" is in no dictionary'
    " of this NAS, or is no value to read",
    ("cisco", 'legs = { answer = "further" }'): '6: nas.legs.answer: "further" is not known;'
    " known here: origination, termination",
    ("cisco", 'dictionaries = ["sisco"]'): "6: nas.dictionaries: there is no dictionary.sisco; known here:"
    " acme, asterisk, cisco, cisco-calling, disconnect, eltex, freeswitch, gnugk, openser, opensips, sip-avp",
    ("cisco", 'vsa_form = "none"\nlimit_attributes = ["h323-credit-time"]'): "7: nas.limit_attributes: lets"
    " calls run without end: without h323 attributes, session-timeout or sip-avp must limit",
    ("cisco", "limit_attributes = []"): "6: nas.limit_attributes: must name at least 1",
    (
        "cisco",
        'routing = "192.0.2.1;credit-time=9"',
    ): '6: nas.routing: "192.0.2.1;credit-time=9" is not a host, or host and port, such as "192.0.2.1:5060"',
    ("cisco", "reply_vendor = 0"): "6: nas.reply_vendor: 0 is too small; the least is 1",
}


@pytest.mark.parametrize(("written", "fault"), FAULTS.items(), ids=lambda value: str(value)[:40])
def test_a_fault_names_its_line_and_what_would_be_right(
    tmp_path: Path, written: tuple[str, str], fault: str
) -> None:
    dialect, text = written
    with pytest.raises(SettingsError) as raised:
        softswitch(tmp_path, text, dialect)

    assert str(raised.value).removeprefix(f"{tmp_path}/radiusd.toml:") == fault


def test_files_that_give_one_number_two_meanings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        softswitch(tmp_path, 'dictionaries = ["cisco", "cisco-calling", "gnugk"]')

    assert "radiusd.toml:6: nas.dictionaries: " in str(raised.value)
    assert "number 116 of Cisco is defined already" in str(raised.value)


def test_a_switch_of_another_numbering_is_told_so(tmp_path: Path) -> None:
    nas = softswitch(tmp_path, 'accounting_dictionaries = ["opensips"]', "kamailio")

    assert nas.speaks.accounting_dictionaries == ("opensips",)


def test_an_accept_is_rather_not_sent_than_without_the_limit_of_a_sip_proxy() -> None:
    limit = bytes((225, 20)) + b"session_max_time#1"
    full = (*((33, bytes(253)) for _ in range(15)), (33, bytes(220)))
    request = Frame(Code.ACCESS_REQUEST, 1, bytes(16), b"", full, None)

    assert wire.reply(Code.ACCESS_ACCEPT, request, limit, b"secret") is wire.DropReason.REPLY_TOO_BIG
