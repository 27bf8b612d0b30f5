"""From a decision to the attributes of the reply, in the form that the dialect wants."""

from functools import lru_cache

from billing_core.authorization import Authorized
from billing_core.denial import Denial
from billing_core.money import shown
from radiusd.codec import encode
from radiusd.dialects.dialect import Dialect, VsaForm
from radiusd.nas import Nas
from radiusd.replies import REPLY_MESSAGES, RETURN_CODES
from radiusd.session_class import class_of

_POSTPAID, _PREPAID = "0", "1"


def accept_attributes(outcome: Authorized, leg_key: bytes, nas: Nas, dialect: Dialect) -> bytes:
    """Return the attributes of an Access-Accept."""
    client = outcome.candidate.client
    seconds = outcome.credit_time_seconds
    form = dialect.vsa_form
    parts = [
        _h323(form, "h323-return-code", "0"),
        _h323(form, "h323-credit-time", str(seconds)),
        encode("Session-Timeout", seconds),
    ]
    if client.locale:
        parts.append(_h323(form, "h323-preferred-lang", language(client.locale)))
    if outcome.available is not None:
        parts.append(_h323(form, "h323-credit-amount", shown(outcome.available)))
    parts.append(_h323(form, "h323-currency", client.currency))
    parts.append(_h323(form, "h323-billing-model", _POSTPAID if client.postpaid else _PREPAID))
    parts.append(encode("Class", class_of(leg_key, nas)))
    return b"".join(parts)


@lru_cache(maxsize=4096)
def reject_attributes(reason: Denial, nas: Nas, dialect: Dialect) -> bytes:
    """Return the attributes of an Access-Reject: a code for machines, a text for people, nothing else."""
    code = nas.return_codes.get(reason, RETURN_CODES[reason])
    return _h323(dialect.vsa_form, "h323-return-code", str(code)) + encode(
        "Reply-Message", REPLY_MESSAGES[reason]
    )


def language(locale: str) -> str:
    """Return the two- or three-letter language of a locale: IVR scripts know `en`, not `en_US`."""
    return locale.replace("-", "_").partition("_")[0].lower()


@lru_cache(maxsize=16_384)
def _h323(form: VsaForm, name: str, value: str) -> bytes:
    match form:
        case VsaForm.PREFIXED:
            return encode(name, f"{name}={value}")
        case VsaForm.BARE:
            return encode(name, value)
        case VsaForm.NONE:
            return b""
