"""Why a call may not start: one closed list, used in replies, logs, metrics and decision records."""

from enum import StrEnum


class Denial(StrEnum):
    """A reason to refuse a call; the value is the label that people and scripts see."""

    MALFORMED = "malformed"
    UNKNOWN_ACCOUNT = "unknown_account"
    BAD_PASSWORD = "bad_password"
    UNSUPPORTED_DIGEST = "unsupported_digest"
    UNTRUSTED_PATH = "untrusted_path"
    CLIENT_STOPPED = "client_stopped"
    ACCOUNT_OFF = "account_off"
    BLOCKED = "blocked"
    NO_RATE = "no_rate"
    CAPACITY_ACCOUNT = "capacity_account"
    CAPACITY_CLIENT = "capacity_client"
    CAPACITY_RESELLER = "capacity_reseller"
    CAPACITY_LOW_BALANCE = "capacity_low_balance"
    NO_MONEY = "no_money"
    CREDIT_LIMIT = "credit_limit"
    TOO_LITTLE = "too_little"
    FAILURE = "failure"
