"""From a decision to the attributes of the reply, in the form that the dialect wants."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

from billing_core.authorization import Authenticated, Authorized
from billing_core.client import Client
from billing_core.denial import Denial
from billing_core.money import shown
from billing_core.session import LegId
from radiusd import codec
from radiusd.codec import encode
from radiusd.dialects.dialect import Dialect, Language, Limit, VsaForm
from radiusd.nas import Nas
from radiusd.replies import REPLY_MESSAGES, RETURN_CODES
from radiusd.session_class import class_of

_POSTPAID, _PREPAID = "0", "1"


def accept_attributes(outcome: Authorized, leg: LegId, nas: Nas) -> bytes:
    """Return the attributes of an Access-Accept: the call may start, and for how long."""
    dialect, seconds = nas.speaks, outcome.credit_time_seconds
    parts = [
        _h323(dialect, "h323-return-code", "0"),
        *(_LIMITS[limit](dialect, seconds) for limit in dialect.limit_attributes),
        _routing(nas, seconds),
        _about_client(outcome.candidate.client, outcome.available, dialect),
        encode("Class", class_of(leg, nas)),
    ]
    return b"".join(parts)


def authenticated_attributes(outcome: Authenticated, nas: Nas) -> bytes:
    """Return the attributes of an Access-Accept about who somebody is: it lets no call start."""
    about = _about_client(outcome.client, outcome.available, nas.speaks)
    return _h323(nas.speaks, "h323-return-code", "0") + about


@lru_cache(maxsize=4096)
def reject_attributes(reason: Denial, nas: Nas) -> bytes:
    """Return the attributes of an Access-Reject: a code for machines, a text for people, nothing else."""
    code = nas.return_codes.get(reason, RETURN_CODES[reason])
    return _h323(nas.speaks, "h323-return-code", str(code)) + encode("Reply-Message", REPLY_MESSAGES[reason])


def language(locale: str, dialect: Dialect) -> str:
    """Return how the switch calls the language of a locale: most IVR scripts know `en`, not `en_US`."""
    spoken = locale.replace("-", "_").partition("_")[0].lower()
    return dialect.languages.get(locale) or dialect.languages.get(spoken) or spoken


def _about_client(client: Client, available: Decimal | None, dialect: Dialect) -> bytes:
    parts = []
    if client.locale:
        parts.append(_language(dialect, language(client.locale, dialect)))
    if available is not None:
        parts.append(_h323(dialect, "h323-credit-amount", shown(available)))
    parts.append(_h323(dialect, "h323-currency", client.currency))
    parts.append(_h323(dialect, "h323-billing-model", _POSTPAID if client.postpaid else _PREPAID))
    return b"".join(parts)


@lru_cache(maxsize=16_384)
def _h323(dialect: Dialect, name: str, value: str) -> bytes:
    definition = replace(codec.standard().by_name[name], vendor=dialect.reply_vendor)
    spelled = dialect.currency_name if name == "h323-currency" else name
    match dialect.vsa_form:
        case VsaForm.PREFIXED:
            return definition.encode(f"{spelled}={value}")
        case VsaForm.BARE:
            return definition.encode(value)
        case VsaForm.NONE:
            return b""


def _pair(dialect: Dialect, value: str) -> bytes:
    """Return `h323-ivr-in=` in an AVPair, whose key is part of the value in every form."""
    definition = replace(codec.standard().by_name["Cisco-AVPair"], vendor=dialect.reply_vendor)
    return definition.encode(f"h323-ivr-in={value}")


def _sip_avp(value: str) -> bytes:
    return codec.named(("dictionary.sip-avp",)).encode("SIP-AVP", value)


def _language(dialect: Dialect, code: str) -> bytes:
    match dialect.language_attribute:
        case Language.H323:
            return _h323(dialect, "h323-preferred-lang", code)
        case Language.SIP_AVP:
            return _sip_avp(f"lang:{code}")
        case Language.NONE:
            return b""


def _routing(nas: Nas, seconds: int) -> bytes:
    """Return the next hop with its limit, for a switch that takes its route from us."""
    return _pair(nas.speaks, f"Routing:{nas.routing};credit-time={seconds}") if nas.routing else b""


_LIMITS: dict[Limit, Callable[[Dialect, int], bytes]] = {
    Limit.CREDIT_TIME: lambda dialect, seconds: _h323(dialect, "h323-credit-time", str(seconds)),
    Limit.SESSION_TIMEOUT: lambda _, seconds: encode("Session-Timeout", seconds),
    Limit.SIP_AVP: lambda _, seconds: _sip_avp(f"session_max_time#{seconds}"),
    Limit.IVR_DURATION: lambda dialect, seconds: _pair(dialect, f"DURATION:{seconds}"),
}
