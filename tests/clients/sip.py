"""The messages of SIP, as much of them as two telephones need."""

import re
import secrets
from dataclasses import dataclass

LARGEST_MESSAGE = 65535
ANSWERS, RINGS, IS_BUSY = "200 OK", "180 Ringing", "486 Busy Here"

_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
_REPEATED = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")


@dataclass(frozen=True, slots=True)
class Message:
    """A SIP message as it came (RFC 3261 section 7)."""

    text: str

    @property
    def method(self) -> str:
        """Return the method of a request; a response has "SIP/2.0" in its place."""
        return self.text.split(" ", 1)[0]

    @property
    def status(self) -> int:
        """Return the code of a response, 0 for a request."""
        return int(self.text.split(" ", 2)[1]) if self.method == "SIP/2.0" else 0

    @property
    def cseq(self) -> str:
        return self.header("CSeq")

    def headers(self, name: str) -> list[str]:
        return re.findall(rf"(?im)^{name}[ \t]*:[ \t]*(.*?)[ \t]*\r$", self.text)

    def header(self, name: str) -> str:
        (value,) = self.headers(name)
        return value


def content(host: str = "") -> str:
    """Return the end of a message: an offer or answer of audio at *host*, or nothing."""
    body = _SDP.format(host=host) if host else ""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"


def response(request: Message, status: str, *, to: str = "", contact: str = "", host: str = "") -> str:
    """Return a response (RFC 3261 section 8.2.6.2); *to* is said in place of the request's To."""
    heads = ((name, value) for name in _REPEATED for value in request.headers(name))
    repeated = "".join(f"{name}: {to if name == 'To' and to else value}\r\n" for name, value in heads)
    more = f"Contact: {contact}\r\n" if contact else ""
    return f"SIP/2.0 {status}\r\n{repeated}{more}{content(host)}"


def routes(values: list[str]) -> str:
    """Return the Route headers of a request that goes by *values* (RFC 3261 section 12.2.1.1)."""
    return "".join(f"Route: {value}\r\n" for value in values)


def contact(message: Message) -> str:
    """Return where its sender wants further requests."""
    return re.findall(r"sip:[^;>]*", message.header("Contact"))[0]


def new_branch() -> str:
    """Return what tells a transaction from all others (RFC 3261 section 8.1.1.7)."""
    return f"z9hG4bK{secrets.token_hex(8)}"
