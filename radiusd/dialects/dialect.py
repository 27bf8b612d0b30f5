"""What switches differ in."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from radiusd.codec import Attributes

Source = Callable[[Attributes], str | None]
"""Where a value stands in a packet; None when it is not there."""


class VsaForm(Enum):
    """How the switch wants the text of h323 attributes in a reply: `name=value`, `value`, or none of them."""

    PREFIXED = "prefixed"
    BARE = "bare"
    NONE = "none"


def attribute(name: str) -> Source:
    """Return the source that is the attribute of that name, text or address."""
    if name.endswith("-IP-Address"):
        return lambda attributes: attributes.address(name)
    return lambda attributes: attributes.text(name)


def avpair(key: str) -> Source:
    """Return the source that is `key=value` in a Cisco-AVPair."""
    return lambda attributes: attributes.avpair(key)


def absent(attributes: Attributes) -> None:
    """Be the source of what a dialect does not carry."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of softswitch writes a call. Of several sources the first that is there counts.

    `call_id` names the call at all its legs; without one, Acct-Session-Id names the leg.
    `call_origin` says `answer` or `originate`; a dialect without it reports originations only.
    """

    name: str
    vsa_form: VsaForm
    call_id: tuple[Source, ...]
    caller_ip: tuple[Source, ...]
    call_origin: Source = absent
    termination_address: Source = absent
    setup_time: Source = absent
    connect_time: Source = absent
    disconnect_time: Source = absent
    disconnect_cause: Source = absent
    disconnect_cause_base: int = 10
