"""The finished record of a leg. It is never edited: later facts make a new revision."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from billing_core.session import Leg


class XdrState(StrEnum):
    """RATED: charged from the switch's own Stop. ESTIMATED: charged because it fell silent.

    UNBILLABLE: the reason says why; never charged by itself. RECORDED: not to be charged.
    """

    RATED = "rated"
    ESTIMATED = "estimated"
    UNBILLABLE = "unbillable"
    RECORDED = "recorded"


class Unbillable(StrEnum):
    """Why an authentic record cannot be charged.

    OVERRUN: it would have lasted longer than can be true; its money is kept until somebody decides.
    CONTRADICTORY_TIME: its Stop tells no time, and what else is known says that it was answered; or it
    ended before it was answered.
    """

    NO_ACCOUNT = "no_account"
    NO_RATE = "no_rate"
    NO_DURATION = "no_duration"
    IMPLAUSIBLE_DURATION = "implausible_duration"
    OVERRUN = "overrun"
    CONTRADICTORY_TIME = "contradictory_time"


class Xdr(NamedTuple):
    """A leg as it is listed and invoiced. `amount` is what the whole leg costs, on both sides positive."""

    leg_key: bytes
    generation: int
    revision: int
    client_id: int | None
    account_id: int | None
    nas: str
    leg: Leg
    call_id: str
    session_id: str
    calling: str
    called: str
    code: str | None
    destination: str | None
    setup_at: datetime | None
    connect_at: datetime | None
    disconnect_at: datetime
    dated_at: datetime
    duration_seconds: int | None
    billed_seconds: int
    amount: Decimal
    currency: str | None
    state: XdrState
    reason: Unbillable | None
    disconnect_cause: str | None
