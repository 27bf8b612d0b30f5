"""What a denial is called on the wire: the tables that a NAS may override, and texts that it may show."""

from collections.abc import Mapping
from types import MappingProxyType

from billing_core.denial import Denial

RETURN_CODES: Mapping[Denial, int] = MappingProxyType(
    {
        Denial.UNKNOWN_ACCOUNT: 1,
        Denial.BAD_PASSWORD: 2,
        Denial.UNSUPPORTED_DIGEST: 2,
        Denial.CAPACITY_ACCOUNT: 3,
        Denial.CAPACITY_CLIENT: 3,
        Denial.CAPACITY_RESELLER: 3,
        Denial.CAPACITY_LOW_BALANCE: 3,
        Denial.NO_MONEY: 4,
        Denial.CREDIT_LIMIT: 6,
        Denial.UNTRUSTED_PATH: 7,
        Denial.CLIENT_STOPPED: 7,
        Denial.ACCOUNT_OFF: 7,
        Denial.FAILURE: 8,
        Denial.BLOCKED: 9,
        Denial.NO_RATE: 9,
        Denial.MALFORMED: 11,
        Denial.TOO_LITTLE: 12,
    }
)
"""h323-return-code by reason, as Cisco's IVR scripts anticipate them."""

REPLY_MESSAGES: Mapping[Denial, str] = MappingProxyType(
    {
        Denial.UNKNOWN_ACCOUNT: "Unknown account",
        Denial.BAD_PASSWORD: "Wrong password",
        Denial.UNSUPPORTED_DIGEST: "Digest not supported",
        Denial.CAPACITY_ACCOUNT: "Too many calls on this account",
        Denial.CAPACITY_CLIENT: "Too many calls",
        Denial.CAPACITY_RESELLER: "Too many calls at the reseller",
        Denial.CAPACITY_LOW_BALANCE: "Too many calls for a low balance",
        Denial.NO_MONEY: "No money left",
        Denial.CREDIT_LIMIT: "Credit limit reached",
        Denial.UNTRUSTED_PATH: "Untrusted path",
        Denial.CLIENT_STOPPED: "Service stopped",
        Denial.ACCOUNT_OFF: "Account switched off",
        Denial.FAILURE: "Service not available",
        Denial.BLOCKED: "Destination blocked",
        Denial.NO_RATE: "No rate for this destination",
        Denial.MALFORMED: "Contradictory request",
        Denial.TOO_LITTLE: "Not enough money for this call",
    }
)
"""Fixed texts: nothing that a sender chose comes back to him (only Proxy-State does)."""
