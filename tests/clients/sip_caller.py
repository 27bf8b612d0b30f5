"""A telephone that does what honest ones never would: who calls chooses its Call-ID and its tag.

A call has a socket of its own. All waits are for one message of one call, so that a test can play several
calls step by step, one beside the other, without threads.
"""

import re
import socket
from dataclasses import dataclass, field
from hashlib import md5
from typing import Self

from sip import LARGEST_MESSAGE, Message, contact, content, new_branch, response, routes

_REALM = "sip.example"
_WAIT_SECONDS = 10


@dataclass(slots=True)
class Call:
    """A call that a caller of that name tries to place through the switch at `switch_port`.

    `status` is what it was last answered, 0 before.
    """

    switch_port: int
    call_id: str
    tag: str
    number: str
    name: str
    password: str = ""
    address: str = "127.0.0.1"
    status: int = 0
    _socket: socket.socket = field(init=False)
    _uri: str = field(init=False)
    _to: str = field(init=False)
    _peer: str = field(init=False)
    _branch: str = ""
    _proof: str = ""
    _routes: str = ""
    _cseq: int = 0

    def __post_init__(self) -> None:
        """Take a port."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 0))
        self._socket.settimeout(_WAIT_SECONDS)
        self._uri = self._peer = f"sip:{self.number}@{_REALM}"
        self._to = f"<{self._uri}>"

    def place(self) -> Self:
        """Send the INVITE, with a proof once it is asked for, until it rings or is answered or refused."""
        answer = self._invite()
        if answer.status in (401, 407):
            self._proof = self._answer_to_challenge(answer)
            answer = self._invite()
        self._take(answer)
        return self

    def await_answer(self) -> None:
        """Wait until it no longer only rings."""
        self._take(self._await(f"{self._cseq} INVITE"))

    def cancel(self) -> None:
        """End it while it rings (RFC 3261 section 9.1)."""
        self._send("CANCEL", self._uri)
        self._await(f"{self._cseq} CANCEL")
        answer = self._await(f"{self._cseq} INVITE")
        self._acknowledge(answer)
        self.status = answer.status

    def hang_up(self) -> None:
        """End it once it was answered."""
        self._cseq += 1
        self._branch = new_branch()
        self._send("BYE", self._peer)
        assert self._await(f"{self._cseq} BYE").status == 200

    def hear_bye(self) -> None:
        """Wait until the other side hangs up."""
        while True:
            octets, sender = self._socket.recvfrom(LARGEST_MESSAGE)
            request = Message(octets.decode())
            if request.method == "BYE":
                self._socket.sendto(response(request, "200 OK").encode(), sender)
                return

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def _invite(self) -> Message:
        self._cseq += 1
        self._branch = new_branch()
        self._send("INVITE", self._uri, self._proof, self.address)
        answer = self._await(f"{self._cseq} INVITE")
        if answer.status >= 300:
            self._acknowledge(answer)
        return answer

    def _take(self, answer: Message) -> None:
        """Remember what was answered; to be put through, it is acknowledged (RFC 3261 section 13.2.2.4)."""
        self.status = answer.status
        if answer.status == 200:
            self._to = answer.header("To")
            self._routes = routes(answer.headers("Record-Route")[::-1])
            self._peer = contact(answer)
            self._branch = new_branch()
            self._send("ACK", self._peer)

    def _acknowledge(self, refusal: Message) -> None:
        """Say in the same transaction that the refusal came (RFC 3261 section 17.1.1.3)."""
        asked, self._to = self._to, refusal.header("To")
        self._send("ACK", self._uri)
        self._to = asked

    def _await(self, cseq: str) -> Message:
        """Return the answer to that request: the final one, or that it rings."""
        while True:
            answer = Message(self._socket.recv(LARGEST_MESSAGE).decode())
            if answer.status > 100 and answer.cseq == cseq:
                return answer

    def _send(self, method: str, uri: str, more: str = "", host: str = "") -> None:
        here = f"{self.address}:{self._socket.getsockname()[1]}"
        message = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch={self._branch}\r\n{self._routes}"
            f"From: <sip:{self.name}@{_REALM}>;tag={self.tag}\r\nTo: {self._to}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {self._cseq} {method}\r\nContact: <sip:{self.name}@{here}>\r\n"
            f"Max-Forwards: 70\r\n{more}{content(host)}"
        )
        self._socket.sendto(message.encode(), ("127.0.0.1", self.switch_port))

    def _answer_to_challenge(self, challenge: Message) -> str:
        """Return the header that proves the caller (RFC 2617 section 3.2.2, with qop "auth")."""
        (told,) = challenge.headers("Proxy-Authenticate") or challenge.headers("WWW-Authenticate")
        header = "Proxy-Authorization" if challenge.status == 407 else "Authorization"
        ((nonce,), (realm,)) = (re.findall(rf'{name}="([^"]*)"', told) for name in ("nonce", "realm"))
        secret = _hash(self.name, realm, self.password)
        proof = _hash(secret, nonce, "00000001", "cnonce", "auth", _hash("INVITE", self._uri))
        return (
            f'{header}: Digest username="{self.name}", realm="{realm}", nonce="{nonce}", uri="{self._uri}", '
            f'qop=auth, nc=00000001, cnonce="cnonce", response="{proof}", algorithm=MD5\r\n'
        )


def _hash(*parts: str) -> str:
    return md5(":".join(parts).encode()).hexdigest()
