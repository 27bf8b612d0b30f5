"""What switches differ in: one value for each family, and for each NAS that differs from its family."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from billing_core.session import Leg

Sources = tuple[str, ...]
"""Where a value may stand, the best first.

`Name` is an attribute, `Name:key` what follows `key=` in one, `Name/4` the fourth field of one into which a
whole call is packed (see `packed_call`).
"""

LEGS: Mapping[str, Leg] = MappingProxyType({"answer": Leg.ORIGINATION, "originate": Leg.TERMINATION})
"""What a call origin in a packet means: who answers a caller was brought the call."""


class VsaForm(Enum):
    """How the switch wants the text of h323 attributes in a reply: `name=value`, `value`, or none of them."""

    PREFIXED = "prefixed"
    BARE = "bare"
    NONE = "none"


class Unit(Enum):
    """What durations are counted in."""

    SECONDS = "s"
    MILLISECONDS = "ms"


class EventTime(Enum):
    """What Event-Timestamp dates: the record itself (RFC 2869 section 5.3), or the start of its call."""

    NOW = "now"
    CALL_START = "call_start"


class EventForm(Enum):
    """How Event-Timestamp is written: four octets, or digits with a fraction (four octets also then)."""

    INTEGER = "integer"
    TEXT = "text"


class StartMeans(Enum):
    """When the switch sends Start: when the call is answered, or when it begins to route it."""

    ANSWER = "answer"
    SETUP = "setup"


class Limit(Enum):
    """An attribute of the reply that limits the call."""

    CREDIT_TIME = "h323-credit-time"
    SESSION_TIMEOUT = "session-timeout"
    SIP_AVP = "sip-avp"
    """`session_max_time#3600` in SIP-AVP."""
    IVR_DURATION = "ivr-in-duration"
    """`h323-ivr-in=DURATION:3600` in Cisco-AVPair."""


class Language(Enum):
    """The attribute of the reply that names the client's language."""

    H323 = "h323-preferred-lang"
    SIP_AVP = "sip-avp"
    """`lang:en` in SIP-AVP."""
    NONE = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """How one family of softswitch writes a call, and wants its answer.

    Numbers of nobody's registry mean different things in different switches, so a dialect names the
    dictionary files (`dictionary.NAME`) that hold for it: in every packet, or in one kind only.
    """

    name: str

    # --- dictionaries
    dictionaries: tuple[str, ...] = ("cisco", "cisco-calling")
    access_dictionaries: tuple[str, ...] = ()
    accounting_dictionaries: tuple[str, ...] = ()
    vendors: tuple[int, ...] = ()
    """Vendors whose attributes are numbered like Cisco's."""

    # --- which call and which leg
    call_id: Sources = ("h323-conf-id", "Cisco-AVPair:call-id")
    """Names the call at all its legs, and links accounting to the authorization."""
    session_id: Sources = ("Acct-Session-Id",)
    """Names the leg; a record without it can't be kept."""
    call_origin: Sources = ("h323-call-origin",)
    call_type: Sources = ("h323-call-type",)
    """From which side a leg is seen: its telephony, or its VoIP."""
    tags: Sources = ()
    """Tell conversations of one call id apart. All that are there count, in any order.

    What stands here must be the same in all records of a conversation, and in its question if it is there.
    """
    legs: Mapping[str, Leg] = field(default_factory=lambda: LEGS)
    """What a call origin says of a leg; an absent one is read as `answer`."""
    question_legs: Mapping[str, Leg] = field(default_factory=dict)
    """What a call origin says in an Access-Request: `termination` if the side that is called asks.

    Such a question is authentication alone, for the call is that of the side that asked first.
    """
    attempt: Sources = ()
    """Tells one attempt to reach a vendor from the next, where session id and address are the same."""

    # --- who calls whom
    account: Sources = ("User-Name",)
    caller_ip: Sources = ("h323-remote-address", "Framed-IP-Address")
    calling: Sources = ("Calling-Station-Id",)
    called: Sources = ("Called-Station-Id",)
    termination_address: Sources = ("h323-remote-address",)
    termination_called: Sources = ()
    """The number as sent to the vendor, on a termination leg."""
    wanted_vendor: Sources = ("Cisco-AVPair:termination-address",)
    """In an Access-Request the address of the vendor to whom the call will go."""
    fixed_password: str | None = None
    """What the switch sends as a password when it has none, which therefore proves nothing."""

    # --- authentication without a call
    request_type: Sources = ("Cisco-AVPair:request-type", "Cisco-AVPair:xpgk-request-type")
    authenticates_alone: bool = True
    """An Access-Request without a called number asks who somebody is, not whether a call may start."""

    # --- times
    duration: Sources = ("Acct-Session-Time",)
    """Empty: the times of answer and end tell it."""
    duration_unit: Unit = Unit.SECONDS
    trust_interim_duration: bool = True
    trust_delay: bool = True
    event_time: EventTime = EventTime.NOW
    event_form: EventForm = EventForm.INTEGER
    start_means: StartMeans = StartMeans.ANSWER
    setup_time: Sources = ("h323-setup-time",)
    connect_time: Sources = ("h323-connect-time",)
    disconnect_time: Sources = ("h323-disconnect-time",)
    answered_has_connect_time: bool = False
    """A Stop with no duration and no time of answer is of a call that was not answered."""

    # --- the end
    disconnect_cause: Sources = ("h323-disconnect-cause",)
    disconnect_cause_base: int = 16
    sip_method: Sources = ()
    sip_response: Sources = ()
    sequence: Sources = ()
    """Counts the records of one device, so that a lost one shows."""

    # --- the answer
    vsa_form: VsaForm = VsaForm.PREFIXED
    reply_vendor: int = 9
    limit_attributes: tuple[Limit, ...] = (Limit.CREDIT_TIME, Limit.SESSION_TIMEOUT)
    language_attribute: Language = Language.H323
    languages: Mapping[str, str] = field(default_factory=dict)
    """Locale or its language → how the switch calls it; others go out as their language, `en` for en_US."""
    currency_name: str = "h323-currency"


SOURCES = tuple(name for name, kind in Dialect.__annotations__.items() if kind is Sources)
"""The fields of a dialect that say where a value stands."""
