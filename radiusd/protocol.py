"""The path of a packet without sockets and clocks: datagram → what is asked, outcome → reply octets."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from billing_core.authorization import (
    Authenticated,
    AuthorizationRequest,
    Authorized,
    Denied,
    ProofUsed,
)
from billing_core.charging import Outcome
from billing_core.client import Account
from billing_core.denial import Denial
from billing_core.ports import Reboot, UnknownRecord
from billing_core.records import Recorded
from billing_core.report import Report
from radiusd import challenge, digest, wire
from radiusd.dialects.reading import accounting, authorization_request, sequence_number
from radiusd.dialects.writing import accept_attributes, authenticated_attributes, reject_attributes
from radiusd.digest import DigestCredential
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
class Challenged:
    """The caller has still to prove who he is; a challenge that any of our workers knows again."""

    reply: bytes
    nas: Nas


class Received(NamedTuple):
    """An authentic request that is new, and came `at` that moment; it is to be answered or forgotten.

    `sequence` is the device that counted a record, and its number, where devices do.
    """

    request: AuthorizationRequest | Report | Reboot | UnknownRecord
    frame: Frame
    nas: Nas
    key: CacheKey
    at: datetime
    sequence: tuple[str, int] | None = None


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
        nas: Nas | None = None,
    ) -> Dropped | Resent | Ping | Challenged | Received:
        """Judge a datagram from *source* that came in on *socket* of *port*.

        *nas* is who sent it where the transport proves that; else the address tells. The cheapest test
        comes first: a stranger costs one look-up, whatever he sends.
        """
        nas = nas or self.nas_table.find(source[0])
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
        return self._admit(frame, nas, source, socket, now, monotonic_seconds)

    def _admit(
        self,
        frame: Frame,
        nas: Nas,
        source: tuple[str, int],
        socket: object,
        now: datetime,
        monotonic_seconds: float,
    ) -> Dropped | Resent | Challenged | Received:
        """Ask of a genuine packet whether it is new, and what it says.

        RFC 5080 section 2.2.2: only verified packets may touch the cache.
        """
        key = (source[0], source[1], socket, frame.code.value, frame.identifier)
        admission = self._duplicates.admit(key, frame.authenticator, monotonic_seconds)
        if isinstance(admission, Resend):
            return Resent(admission.reply, nas, frame.code)
        if admission is Admission.IN_FLIGHT:
            return Dropped(DropReason.DUPLICATE_INFLIGHT, nas)
        request = _read(frame, nas, source[0], now)
        judged = _judged(request, frame, nas, now) if isinstance(request, AuthorizationRequest) else request
        if isinstance(judged, bytes):
            self._duplicates.answer(key, frame.authenticator, judged, monotonic_seconds)
            return Challenged(judged, nas)
        if isinstance(judged, DropReason):
            self._duplicates.forget(key, frame.authenticator)
            return Dropped(judged, nas)
        return Received(judged, frame, nas, key, now, sequence_number(frame, nas, source[0]))

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
    if not nas.status_server:
        return Dropped(DropReason.STATUS_DISABLED, nas)
    # RFC 5997 section 4.2: Access-Accept on the authentication port, Accounting-Response on the other.
    code = Code.ACCESS_ACCEPT if port is Port.AUTHENTICATION else Code.ACCOUNTING_RESPONSE
    reply = wire.reply(code, frame, b"", nas.secret)
    return Dropped(reply, nas) if isinstance(reply, DropReason) else Ping(reply, nas)


def _read(
    frame: Frame, nas: Nas, source: str, now: datetime
) -> AuthorizationRequest | Report | Reboot | UnknownRecord | DropReason:
    if frame.code is Code.ACCESS_REQUEST:
        return authorization_request(frame, nas, source)
    return accounting(frame, nas, source, now)


def _judged(
    request: AuthorizationRequest, frame: Frame, nas: Nas, now: datetime
) -> AuthorizationRequest | bytes | DropReason:
    """Return a question with what its digest would use up, or the challenge that the digest calls for."""
    parts = digest.parts_of(frame)
    if parts is None:
        return request
    now_seconds = int(now.timestamp())
    attributes = challenge.called_for(parts, nas, frame.authenticator, now_seconds)
    if attributes is not None:
        return wire.reply(Code.ACCESS_CHALLENGE, frame, attributes, nas.secret)
    use = challenge.proof_use(parts, nas, now_seconds)
    return request._replace(proof_use=use) if use else request


def _challenge_anew(received: Received) -> bytes:
    parts = digest.parts_of(received.frame) or {}
    frame = received.frame
    return challenge.anew(parts, received.nas, frame.authenticator, int(received.at.timestamp()))


def _our_proof(request: AuthorizationRequest, account: Account) -> bytes:
    """Return the attribute that proves to a caller with Digest that we know his password, too."""
    credential = request.credential
    proof = (
        credential.response_auth(account.password or "") if isinstance(credential, DigestCredential) else None
    )
    return digest.attribute(digest.RESPONSE_AUTH, proof) if proof else b""


def _reply(received: Received, outcome: Outcome) -> tuple[Code, bytes]:
    nas = received.nas
    match outcome:
        case Authorized():
            assert isinstance(received.request, AuthorizationRequest)
            leg = received.request.leg_key, outcome.generation
            proof = _our_proof(received.request, outcome.candidate.account)
            return Code.ACCESS_ACCEPT, proof + accept_attributes(outcome, leg, nas)
        case Authenticated():
            assert isinstance(received.request, AuthorizationRequest)
            proof = _our_proof(received.request, outcome.account)
            return Code.ACCESS_ACCEPT, proof + authenticated_attributes(outcome, nas)
        case Denied():
            return Code.ACCESS_REJECT, reject_attributes(outcome.reason, nas)
        case ProofUsed():
            return Code.ACCESS_CHALLENGE, _challenge_anew(received)
        case Recorded():
            # RFC 2866 section 4.2: nothing but Proxy-State is needed.
            return Code.ACCOUNTING_RESPONSE, b""
