"""The path of a packet without sockets and clocks: datagram → what is asked, outcome → reply octets."""

from dataclasses import dataclass
from datetime import datetime

from billing_core.accounting import Report
from billing_core.authorization import AuthorizationRequest, Authorized, Denied
from billing_core.charging import Outcome, Recorded
from billing_core.denial import Denial
from billing_core.ports import Reboot
from radiusd import wire
from radiusd.codec import Attributes
from radiusd.dialects import DIALECTS
from radiusd.dialects.reading import accounting, authorization_request
from radiusd.dialects.writing import accept_attributes, reject_attributes
from radiusd.duplicates import Admission, DuplicateCache, Resend
from radiusd.nas import Nas, NasTable
from radiusd.wire import Code, DropReason, Frame, Port

CacheKey = tuple[str, int, object, int, int]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A datagram that gets no answer. `nas` is None for a stranger."""

    reason: DropReason
    nas: Nas | None = None


@dataclass(frozen=True, slots=True)
class Resent:
    """A retransmission: the octets of the first answer."""

    reply: bytes
    nas: Nas
    code: Code


@dataclass(frozen=True, slots=True)
class Ping:
    """A Status-Server (RFC 5997): `reply` says that we can do our work."""

    reply: bytes
    nas: Nas


@dataclass(frozen=True, slots=True)
class Received:
    """An authentic request that is new; it is to be answered or forgotten."""

    request: AuthorizationRequest | Report | Reboot
    frame: Frame
    nas: Nas
    key: CacheKey


class Protocol:
    """Receives and answers for one set of NASes, with one duplicate cache."""

    def __init__(self, nas_table: NasTable, duplicates: DuplicateCache) -> None:
        """Serve the softswitches in *nas_table*, which may be replaced between packets."""
        self.nas_table = nas_table
        self._duplicates = duplicates

    def receive(
        self,
        datagram: bytes,
        source: tuple[str, int],
        port: Port,
        socket: object,
        now: datetime,
        monotonic_seconds: float,
    ) -> Dropped | Resent | Ping | Received:
        """Judge a datagram from *source* that came in on *socket* of *port*.

        The cheapest test comes first: a stranger costs one look-up, whatever he sends.
        """
        nas = self.nas_table.find(source[0])
        if nas is None:
            return Dropped(DropReason.UNKNOWN_CLIENT)
        frame = wire.parse(datagram, port)
        if isinstance(frame, DropReason):
            return Dropped(frame, nas)
        untrusted = wire.authenticate(
            frame,
            nas.secret,
            require_message_authenticator=nas.require_message_authenticator,
            limit_proxy_state=nas.limit_proxy_state,
        )
        if untrusted is not None:
            return Dropped(untrusted, nas)
        if frame.code is Code.STATUS_SERVER:
            return _ping(frame, nas, port)
        # RFC 5080 section 2.2.2: only verified packets may touch the cache.
        key = (source[0], source[1], socket, frame.code.value, frame.identifier)
        admission = self._duplicates.admit(key, frame.authenticator, monotonic_seconds)
        if isinstance(admission, Resend):
            return Resent(admission.reply, nas, frame.code)
        if admission is Admission.IN_FLIGHT:
            return Dropped(DropReason.DUPLICATE_INFLIGHT, nas)
        request = _read(frame, nas, source[0], now)
        if isinstance(request, DropReason):
            self._duplicates.forget(key, frame.authenticator)
            return Dropped(request, nas)
        return Received(request, frame, nas, key)

    def answer(
        self, received: Received, outcome: Outcome, monotonic_seconds: float
    ) -> tuple[Code, bytes] | DropReason:
        """Return the code and octets of the reply to *received*, or why none may be sent."""
        code, attributes = _reply(received, outcome)
        reply = wire.reply(code, received.frame, attributes, received.nas.secret)
        authenticator = received.frame.authenticator
        if isinstance(reply, DropReason):
            self._duplicates.forget(received.key, authenticator)
            return reply
        if not self._duplicates.answer(received.key, authenticator, reply, monotonic_seconds):
            return DropReason.SUPERSEDED
        return code, reply

    def forget(self, received: Received) -> None:
        """Give no answer; a retransmission is processed afresh."""
        self._duplicates.forget(received.key, received.frame.authenticator)


def failure() -> Denied:
    """Return the outcome of a request that we failed to decide."""
    return Denied(Denial.FAILURE)


def _ping(frame: Frame, nas: Nas, port: Port) -> Dropped | Ping:
    # RFC 5997 section 4.2: Access-Accept on the authentication port, Accounting-Response on the other.
    code = Code.ACCESS_ACCEPT if port is Port.AUTHENTICATION else Code.ACCOUNTING_RESPONSE
    reply = wire.reply(code, frame, b"", nas.secret)
    return Dropped(reply, nas) if isinstance(reply, DropReason) else Ping(reply, nas)


def _read(
    frame: Frame, nas: Nas, source: str, now: datetime
) -> AuthorizationRequest | Report | Reboot | DropReason:
    attributes = Attributes(frame.attributes)
    dialect = DIALECTS[nas.dialect]
    if frame.code is Code.ACCESS_REQUEST:
        return authorization_request(attributes, frame, nas, dialect, source)
    return accounting(attributes, nas, dialect, source, now)


def _reply(received: Received, outcome: Outcome) -> tuple[Code, bytes]:
    nas, dialect = received.nas, DIALECTS[received.nas.dialect]
    match outcome:
        case Authorized():
            assert isinstance(received.request, AuthorizationRequest)
            key = received.request.leg_key
            return Code.ACCESS_ACCEPT, accept_attributes(outcome, key, nas, dialect)
        case Denied():
            return Code.ACCESS_REJECT, reject_attributes(outcome.reason, nas, dialect)
        case Recorded():
            # RFC 2866 section 4.2: nothing but Proxy-State is needed.
            return Code.ACCOUNTING_RESPONSE, b""
