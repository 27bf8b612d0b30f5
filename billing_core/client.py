"""Who owns a balance, and how his calls are recognised."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Client:
    """The settings of a client; his money is in his balance.

    `capacity` absent is unlimited. `reseller_ids` are those resellers that have a capacity, from the
    nearest to the root.
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


@dataclass(frozen=True, slots=True)
class Account:
    """How a client's calls are recognised: by name and password, by the caller's IP or by ANI.

    `tech_prefix` narrows it to calls whose dialled number begins with it. `orig` lets the client
    bring calls, `term` makes `ip` the address to which a vendor's legs go.
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

    @property
    def label(self) -> str:
        """What people call the account: its name, else its address, else its ANI."""
        return self.name or self.ip or self.ani or str(self.id)
