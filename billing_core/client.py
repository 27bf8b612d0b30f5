"""Who owns a balance, and how his calls are recognised."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from decimal import Decimal
from enum import StrEnum


class Status(StrEnum):
    """Only an active client's calls may start."""

    ACTIVE = "active"
    STOP = "stop"
    DELETED = "deleted"


class BillBy(StrEnum):
    """The moment that dates an xDR, and picks the rate of a call that was never authorized."""

    SETUP = "setup"
    CONNECT = "connect"
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True)
class LowBalance:
    """Below `threshold` of available money only `capacity` legs may be up at once."""

    threshold: Decimal
    capacity: int


class Policy(StrEnum):
    """How much of a client's money a call sets aside.

    FULL: all that it is granted. SHARE: it is granted at most a share of the available money. SLICE: a
    slice at a time, on a NAS that obeys Disconnect-Requests. NONE: nothing, so calls share the money.
    """

    FULL = "full"
    SHARE = "share"
    SLICE = "slice"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Concurrency:
    """A client's policy for parallel calls: SHARE among so many `calls`, SLICE of so many `seconds`."""

    policy: Policy = Policy.FULL
    calls: int = 1
    seconds: int = 60


DEFAULT_CONCURRENCY = Concurrency()


@dataclass(frozen=True, slots=True)
class Client:
    """The settings of a client; his money is in his balance.

    `capacity` absent is unlimited. `reseller_ids` are those resellers that have a capacity, from the
    nearest to the root. Time profiles are read in his `timezone`. No call of his may cost more than
    `charge_max`; with `refuse_losses` none may start that costs us more than him. Below `notify_client`
    and `notify_admin` of available money each of the two is told; absent is never.
    """

    id: int
    name: str
    status: Status
    currency: str
    postpaid: bool
    credit: Decimal
    bill_by: BillBy = BillBy.DISCONNECT
    rate_table_id: int | None = None
    capacity: int | None = None
    term_rate_table_id: int | None = None
    term_capacity: int | None = None
    low_balance: LowBalance | None = None
    locale: str | None = None
    reseller_ids: tuple[int, ...] = ()
    timezone: tzinfo = UTC
    concurrency: Concurrency = DEFAULT_CONCURRENCY
    charge_max: Decimal | None = None
    refuse_losses: bool = False
    notify_client: Decimal | None = None
    notify_admin: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """How a client's calls are recognised: by name and password, by the caller's IP or by ANI.

    `tech_prefix` narrows it to calls whose dialled number begins with it. `orig` lets the client
    bring calls, `term` makes `ip` the address to which a vendor's legs go. Calls to codes that cost
    more than `price_per_minute_max` are refused.
    """

    id: int
    client_id: int
    name: str | None = None
    password: str | None = None
    ip: str | None = None
    ani: str | None = None
    tech_prefix: str = ""
    capacity: int | None = None
    orig: bool = True
    term: bool = False
    price_per_minute_max: Decimal | None = None

    @property
    def label(self) -> str:
        """What people call the account: its name, else its address, else its ANI."""
        return self.name or self.ip or self.ani or str(self.id)
