"""The whole path of a genuine packet, in every dialect: what is asked of the billing core, and the reply.

The first octet chooses the dialect, the second the kind of packet, the rest is attributes (see
`fuzz.targets.packets`) that are signed as a switch signs them: only such packets get so far.
"""

from datetime import datetime, timedelta

from billing_core.authorization import AuthorizationRequest, Denied
from billing_core.charging import Outcome, Recorded
from billing_core.denial import Denial
from billing_core.ports import DisconnectReason
from billing_core.report import Report
from billing_core.storage.disconnects import Wanted
from fuzz.targets.packets import AUTHENTICATOR, NOW, SECRET, SOURCE, SWITCHES, attributes_in, joined, storable
from radiusd import wire
from radiusd.dialects.disconnection import disconnect_attributes
from radiusd.duplicates import DuplicateCache
from radiusd.nas import Nas, NasTable
from radiusd.protocol import Challenged, Dropped, Protocol, Received
from radiusd.wire import Code, DropReason, Port

_FROM = (SOURCE, 40_000)
_CREDENTIALS = ("", "secret", "p\u00e4ss")


def check(octets: bytes) -> None:
    """Receive a signed packet twice, look at what it asks, and answer it."""
    which, how = octets[:2].ljust(2, b"\0")
    nas = SWITCHES[which % len(SWITCHES)]
    code = Code.ACCOUNTING_REQUEST if how & 1 else Code.ACCESS_REQUEST
    port = Port.ACCOUNTING if how & 1 else Port.AUTHENTICATION
    # A Message-Authenticator among them would not hold; the signer puts its own before them.
    sent = [each for each in attributes_in(octets[2:]) if each[0] != wire.MESSAGE_AUTHENTICATOR]
    authenticator = None if how & 1 else AUTHENTICATOR
    datagram = wire.request(
        code, how, joined(sent), SECRET, authenticator=authenticator, message_authenticator=True
    )
    protocol = Protocol(NasTable([nas]), DuplicateCache(10.0))
    received = protocol.receive(datagram, _FROM, port, 0, NOW, 1.0)
    match received:
        case Dropped():
            assert received.reason in (DropReason.EAP_MIXED, DropReason.MISSING_MANDATORY), received.reason
        case Challenged():
            assert wire.verify_reply(received.reply, AUTHENTICATOR, SECRET)
        case Received():
            _check_request(received, nas)
            _check_answer(protocol, received)
            again = protocol.receive(datagram, _FROM, port, 0, NOW, 2.0)
            assert not isinstance(again, Received), "a repetition was taken for a new request"
        case _:
            raise AssertionError(received)


def _check_request(received: Received, nas: Nas) -> None:
    request = received.request
    for value in request:
        if isinstance(value, str):
            storable(value)
        if isinstance(value, datetime):
            assert value.utcoffset() == timedelta(0), f"{value} is not in UTC"
            assert value <= NOW + timedelta(days=1), f"{value} is far ahead"
    match request:
        case AuthorizationRequest():
            assert len(request.leg_key) == 16
            for password in _CREDENTIALS:
                assert request.credential is None or request.credential.proves(password) in (True, False)
            _check_disconnect(request.leg_key, request, nas)
        case Report():
            assert request.leg_keys
            assert all(len(key) == 16 for key in (*request.leg_keys, request.further_key))
            assert 0 <= request.delay_seconds <= 86_400
            assert request.session_seconds is None or 0 <= request.session_seconds < 1 << 32
            assert request.implied_start_at(NOW).year >= 1970
            _check_disconnect(request.leg_keys[0], request, nas)


def _check_disconnect(leg_key: bytes, request: AuthorizationRequest | Report, nas: Nas) -> None:
    """Ask the switch to end the leg by the names that it gave: they must fit into a packet again."""
    reason = next(iter(DisconnectReason))
    device = (request.nas_box, request.nas_address)
    called = (*device, request.call_id, request.session_id, request.name)
    wanted = Wanted(leg_key, 1, nas.name, reason, *called, authorized=True, is_open=True)
    sent = disconnect_attributes(wanted, nas, NOW)
    assert len(wire.request(Code.DISCONNECT_REQUEST, 1, sent, SECRET)) <= wire.PACKET_OCTETS_MAX


def _check_answer(protocol: Protocol, received: Received) -> None:
    is_access = isinstance(received.request, AuthorizationRequest)
    outcome: Outcome = Denied(Denial.NO_MONEY) if is_access else Recorded()
    answered = protocol.answer(received, outcome, 1.5)
    if isinstance(answered, DropReason):
        assert answered is DropReason.REPLY_TOO_BIG
        protocol.forget(received)
        # Nothing is remembered of it, so the same octets would be new; leave the cache as after an answer.
        protocol.receive(received.frame.raw, _FROM, _port(received), 0, NOW, 1.6)
        return
    assert wire.verify_reply(answered[1], received.frame.authenticator, SECRET)


def _port(received: Received) -> Port:
    return Port.AUTHENTICATION if received.frame.code is Code.ACCESS_REQUEST else Port.ACCOUNTING
