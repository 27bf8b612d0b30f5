"""A running Kamailio, a SIP proxy that speaks RADIUS by libradcli, and what its calls cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from phones import Phones, eventually, free_udp_port, running, speaks_sip
from served import SECRET, Daemon, program
from tap import START, STOP, Packet, Tap, tap

# 0.0650 a minute, each second counts: hardly any duration costs a whole number of millionths.
NUMBER = "34600123456"
CLIENT = "Kamailio's customer"

_HERE = Path(__file__).parent / "kamailio"
_ADDRESS = "127.0.0.11"
_CALLED, _TO_TAG, _FROM_TAG = 30, 104, 105
_PRICE_PER_MINUTE = Decimal("0.0650")


@dataclass(frozen=True, slots=True)
class Kamailio:
    """A running Kamailio with a telephone at each side, and all that it says to the daemon."""

    daemon: Daemon
    tap: Tap
    phones: Phones

    def call(self, caller: str, callee: str | None, **more: object) -> str:
        return self.phones.call(caller, callee, number=NUMBER, name="2001", **more)  # type: ignore[arg-type]

    def xdrs(self, call_id: str) -> list[dict[str, str]]:
        return list(self.daemon.billing("xdrs", "--call", call_id))

    def money(self, client: str = CLIENT) -> tuple[Decimal, Decimal, int]:
        """Return the live balance, what is reserved of it, and the calls under way."""
        shown = self.daemon.billing("clients", "show", client)
        balance = shown["balance"]
        return Decimal(balance["live"]), Decimal(balance["reserved"]), shown["capacity"]["in_use"]

    def charge(self, call_id: str) -> Decimal:
        """Return what the call costs by the Event-Timestamps of its Start and its only Stop."""
        (charge,) = self.charges(call_id)
        return charge

    def charges(self, call_id: str) -> list[Decimal]:
        """Return what the call costs by each of its Stops."""
        (start,) = self.tap.await_answers(1, status=START, call=call_id)
        stops = self.tap.await_answers(1, status=STOP, call=call_id)
        began_at = start.request.happened_at
        ended_at = [stop.request.happened_at for stop in stops]
        assert began_at is not None
        return [price(at - began_at) for at in ended_at if at is not None]

    def conversations(self, call_id: str) -> list[tuple[str, int]]:
        """Return the number and the seconds of each conversation under that Call-ID, by their tags."""
        begun = [start.request for start in self.tap.exchanges(status=START, call=call_id)]
        stops = [stop.request for stop in self.tap.exchanges(status=STOP, call=call_id)]
        ended_at = {tags(stop): stop.happened_at or 0 for stop in stops}
        return [(start.text(_CALLED), ended_at[tags(start)] - (start.happened_at or 0)) for start in begun]


def tags(record: Packet) -> frozenset[str]:
    """Return Sip-From-Tag and Sip-To-Tag: on a callee's BYE they are exchanged."""
    return frozenset({record.text(_FROM_TAG), record.text(_TO_TAG)})


def price(seconds: int) -> Decimal:
    return (_PRICE_PER_MINUTE * seconds / 60).quantize(Decimal("0.000001"), ROUND_HALF_UP)


@contextmanager
def kamailio(daemon: Daemon, folder: Path, dictionary: str = "rfc5090", *defines: str) -> Iterator[Kamailio]:
    """Run Kamailio between a caller and a called party."""
    port, callee_port = free_udp_port(), free_udp_port()
    with tap(daemon, _ADDRESS) as tapped:
        (folder / "dictionary").write_text(
            "".join((_HERE / name).read_text() for name in ("dictionary", f"dictionary.{dictionary}"))
        )
        (folder / "servers").write_text(f"127.0.0.1 {SECRET}\n")
        (folder / "radius.conf").write_text(
            f"authserver 127.0.0.1:{tapped.auth_port}\nacctserver 127.0.0.1:{tapped.acct_port}\n"
            f"servers {folder}/servers\ndictionary {folder}/dictionary\ndefault_realm\n"
            "radius_timeout 2\nradius_retries 3\nbindaddr *\n"
        )
        command = [
            program("kamailio", "kamailio kamailio-radius-modules"),
            "-DD",
            "-E",
            "-m",
            "32",
            "-M",
            "8",
        ]
        command += ["-f", str(_HERE / "kamailio.cfg"), "-l", f"udp:127.0.0.1:{port}", "-P", f"{folder}/pid"]
        command += ["-Y", str(folder), "-w", str(folder)]
        for define in (
            f'RADIUS_CONF="{folder}/radius.conf"',
            f'CALLEE="sip:127.0.0.1:{callee_port}"',
            *defines,
        ):
            command += ["-A", define]
        with running(command, folder, folder / "kamailio.out") as process:
            eventually(lambda: speaks_sip(port), "Kamailio does not start", process)
            yield Kamailio(daemon, tapped, Phones(folder, port, ("127.0.0.1", callee_port)))
