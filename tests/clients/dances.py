"""What a cheating caller does: beside a call that is answered a twin, with its Call-ID and another From tag.

Each goes through several kinds of switch, with a client of its own for each.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from sip import ANSWERS, IS_BUSY, RINGS

REFUSED = "403 Forbidden"
DEAR, CHEAP, NOWHERE = "31612345678", "442012345678", "999123"
SOLD = {DEAR: Decimal("0.0950"), CHEAP: Decimal("0.0100")}
BOUGHT = {DEAR: Decimal("0.0480"), CHEAP: Decimal("0.0041")}

PASSWORD = "secret-of-a-twin"


@dataclass(frozen=True, slots=True)
class Dance:
    """A call to `number` that is answered, and a twin to `twin`, which hears `fate`.

    RINGS is cancelled, REFUSED is our refusal. The twin is asked for while the first is talking, or rings,
    and within the same second for the most part. The one that ends first ends a second before the other.
    """

    name: str
    number: str
    twin: str
    fate: str
    twin_ends_first: bool = True
    callee_ends: bool = False
    first_rings: bool = False

    @property
    def is_twin_answered(self) -> bool:
        return self.fate == ANSWERS

    @property
    def rings_or_talks(self) -> list[str]:
        """Return the numbers of the calls that are there once both were placed."""
        return [self.number, *([self.twin] if self.fate in (ANSWERS, RINGS) else [])]

    @property
    def stays(self) -> list[str]:
        """Return the numbers of the calls that are there once the first has ended."""
        return [self.twin if self.is_twin_answered and not self.twin_ends_first else self.number]


DANCES = (
    Dance("a twin that is busy", DEAR, CHEAP, IS_BUSY),
    Dance("a twin that is busy, to the same number", DEAR, DEAR, IS_BUSY),
    Dance("a twin that is cancelled", DEAR, CHEAP, RINGS),
    Dance("a twin that is cancelled, to the same number", DEAR, DEAR, RINGS),
    Dance("a twin that we refuse", DEAR, NOWHERE, REFUSED),
    Dance("a twin that is answered", DEAR, CHEAP, ANSWERS),
    Dance("a dearer twin that is answered", CHEAP, DEAR, ANSWERS, twin_ends_first=False),
    Dance("a twin that the callee ends", DEAR, CHEAP, ANSWERS, callee_ends=True),
    Dance("a busy twin while it rings", DEAR, CHEAP, IS_BUSY, first_rings=True),
    Dance("an answered twin while it rings", DEAR, CHEAP, ANSWERS, first_rings=True),
    Dance("a dearer twin while it rings", CHEAP, DEAR, ANSWERS, first_rings=True),
    Dance("a twin to the same number", DEAR, DEAR, ANSWERS, twin_ends_first=False),
    Dance("a twin to the same number that the callee ends", DEAR, DEAR, ANSWERS, callee_ends=True),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A kind of switch, the dances that go through it, and how many legs of a call it reports.

    A B2BUA knows callers by their addresses, the last octets of which begin with `octet`; a proxy by name.
    """

    name: str
    legs: int
    dances: tuple[Dance, ...] = DANCES
    octet: int = 0
    options: tuple[str, ...] = ()

    def client(self, dance: Dance) -> str:
        """Return whose calls these are."""
        return f"{self.name}: {dance.name}"

    def call_id(self, dance: Dance) -> str:
        return f"{SCENES.index(self)}-{DANCES.index(dance):03}@sip.example"

    def user(self, dance: Dance) -> str:
        return f"3{DANCES.index(dance):03}"

    def address(self, dance: Dance) -> str:
        return f"127.0.0.{self.octet + DANCES.index(dance)}" if self.octet else "127.0.0.1"

    def account(self, dance: Dance) -> str:
        """Return the lines of `billing.toml` that say by what the caller is known."""
        if self.octet:
            return f'ip = "{self.address(dance)}"'
        return f'name = "{self.user(dance)}"\npassword = "{PASSWORD}"'


PROXY = Scene("Kamailio", legs=1)
B2BUA = Scene("Sippy", legs=2, octet=60, options=("-D", "--precise_acct=on"))
# Its times are whole seconds: two calls to one number within one are the same in all that it says.
IN_SECONDS = Scene(
    "Sippy in seconds",
    legs=2,
    dances=tuple(dance for dance in DANCES if dance.number != dance.twin),
    octet=80,
    options=("-D",),
)
SCENES = (PROXY, B2BUA, IN_SECONDS)


def price(per_minute: Decimal, seconds: int) -> Decimal:
    return (per_minute * seconds / 60).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def definitions() -> str:
    """Return the clients of the dances, one for each dance and switch, for `billing.toml`."""
    return "".join(
        f'[[client]]\nname = "{scene.client(dance)}"\ncurrency = "EUR"\ncredit = "50.00"\n'
        f'rate_table = "Retail EUR"\n[[client.account]]\n{scene.account(dance)}\n'
        for scene in SCENES
        for dance in scene.dances
    )
