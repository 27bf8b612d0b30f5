"""The splitter of `key=value` pairs. Each line of the input is the text of one Cisco-AVPair."""

from radiusd.codec import Attributes
from radiusd.wire import VENDOR_SPECIFIC

_CISCO_AVPAIR = (9).to_bytes(4) + b"\x01"
_PREFIX = b"Cisco-AVPair="


def check(octets: bytes) -> None:
    """Compare what is read with what a naive reader finds."""
    sent = [line[:247] for line in octets.split(b"\n")][:100]
    attributes = Attributes(
        (VENDOR_SPECIFIC, _CISCO_AVPAIR + bytes((len(text) + 2,)) + text) for text in sent
    )
    expected = _naively(sent)
    for key, value in expected.items():
        assert attributes.avpair(key) == value, (key, value, attributes.avpair(key))
    for key in ("", "=", "call-id", "h323-ivr-in"):
        assert attributes.avpair(key) == expected.get(key)


def _naively(sent: list[bytes]) -> dict[str, str]:
    """Return the first value of each key that says anything."""
    found: dict[str, str] = {}
    for octets in sent:
        # Some gateways write the attribute's own name before the pair.
        text = octets[len(_PREFIX) :] if octets[: len(_PREFIX)] == _PREFIX else octets
        readable = "".join(
            "\\x00" if character == "\0" else character
            for character in text.decode("utf-8", errors="backslashreplace")
        )
        place = readable.find("=")
        if place >= 0 and readable[place + 1 :] and readable[:place] not in found:
            found[readable[:place]] = readable[place + 1 :]
    return found
