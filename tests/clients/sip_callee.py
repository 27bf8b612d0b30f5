"""A telephone that is called, and does as it is told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sip import ANSWERS, LARGEST_MESSAGE, Message, contact, content, new_branch, response, routes


class Callee:
    """Who is called: `then` says what the next calls hear, until something else is said."""

    def __init__(self, address: tuple[str, int]) -> None:
        """Listen at *address* until closed."""
        self.then = ANSWERS
        self._invites: list[tuple[Message, tuple[str, int], str]] = []
        self._address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(0.1)
        self._done = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answer(self, index: int) -> None:
        """Answer the call that came as number *index* since the beginning, counted from 0, and rings."""
        invite, sender, heard = self._invites[index]
        answer = self._response(invite, ANSWERS, Message(heard).header("To"))
        self._socket.sendto(answer.encode(), sender)

    def hang_up(self, index: int) -> None:
        """End the call that came as number *index* since the beginning, counted from 0."""
        invite, sender, heard = self._invites[index]
        via = f"Via: SIP/2.0/UDP {self._here};branch={new_branch()}\r\n"
        bye = (
            f"BYE {contact(invite)} SIP/2.0\r\n{via}{routes(invite.headers('Record-Route'))}"
            f"From: {Message(heard).header('To')}\r\nTo: {invite.header('From')}\r\n"
            f"Call-ID: {invite.header('Call-ID')}\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\n{content()}"
        )
        self._socket.sendto(bye.encode(), sender)

    @property
    def calls(self) -> int:
        """Return how many calls have come."""
        return len(self._invites)

    def close(self) -> None:
        """Listen no longer."""
        self._done = True
        self._thread.join()
        self._socket.close()

    @property
    def _here(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    def _run(self) -> None:
        while not self._done:
            try:
                octets, sender = self._socket.recvfrom(LARGEST_MESSAGE)
            except TimeoutError:
                continue
            for said in self._responses(Message(octets.decode()), sender):
                self._socket.sendto(said.encode(), sender)

    def _responses(self, request: Message, sender: tuple[str, int]) -> Iterator[str]:
        if request.method == "INVITE":
            yield self._heard(request, sender)
        elif request.method in ("BYE", "CANCEL"):
            yield response(request, "200 OK")
        if request.method == "CANCEL":
            (invite,) = (kept for kept, _, _ in self._invites if _branch_of(kept) == _branch_of(request))
            yield response(invite, "487 Request Terminated", to=invite.header("To") + ";tag=cancelled")

    def _heard(self, invite: Message, sender: tuple[str, int]) -> str:
        """Return what an INVITE hears, the same each time that it comes."""
        for kept, _, heard in self._invites:
            if _branch_of(kept) == _branch_of(invite):
                return heard
        heard = self._response(invite, self.then, f"{invite.header('To')};tag=callee{len(self._invites)}")
        self._invites.append((invite, sender, heard))
        return heard

    def _response(self, invite: Message, status: str, to: str) -> str:
        host = self._address[0] if status == ANSWERS else ""
        return response(invite, status, to=to, contact=f"<sip:callee@{self._here}>", host=host)


@contextmanager
def callee(address: tuple[str, int]) -> Iterator[Callee]:
    """Give somebody who can be called at *address* until the end of the block."""
    listening = Callee(address)
    try:
        yield listening
    finally:
        listening.close()


def _branch_of(request: Message) -> str:
    return request.headers("Via")[0]
