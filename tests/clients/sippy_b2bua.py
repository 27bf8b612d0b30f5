"""A running Sippy B2BUA, a softswitch that asks RADIUS for leave, route and limit: what its calls cost."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from phones import Phones, eventually, free_udp_port, running, speaks_sip
from served import SECRET, Daemon
from tap import STOP, Packet, Tap, tap

NUMBER = "34600123456"
CLIENT = "Sippy's customer"

_HERE = Path(__file__).parent / "sippy"
_DICTIONARIES = (_HERE / "dictionary", _HERE.parent / "kamailio" / "dictionary.rfc5090")
_ADDRESS = "127.0.0.12"
_VENDOR_ADDRESS = "127.0.0.21"
_CALLED = 30


@dataclass(frozen=True, slots=True)
class Sippy:
    """A running B2BUA with a telephone at each side, and all that it says to the daemon."""

    daemon: Daemon
    tap: Tap
    phones: Phones

    def call(self, caller: str, callee: str | None, **more: object) -> str:
        return self.phones.call(caller, callee, number=NUMBER, **more)  # type: ignore[arg-type]

    def money(self, client: str = CLIENT) -> tuple[Decimal, Decimal]:
        """Return the live balance, and what is reserved of it."""
        balance = self.daemon.billing("clients", "show", client)["balance"]
        return Decimal(balance["live"]), Decimal(balance["reserved"])

    def xdrs(self, call_id: str) -> dict[str, tuple[Decimal, str]]:
        """Return what each leg of the call costs, and to whom."""
        legs = self.daemon.billing("xdrs", "--call", call_id)
        assert len({xdr["leg"] for xdr in legs}) == len(legs)
        return {xdr["leg"]: (Decimal(xdr["amount"]), xdr["client"]) for xdr in legs}

    def conversations(self, call_id: str, origin_of_leg: str = "answer") -> list[tuple[str, int]]:
        """Return the number and the seconds of each conversation under that Call-ID, by Stops of that leg."""
        stops = [stop.request for stop in self.tap.exchanges(status=STOP, call=call_id)]
        lasted = [
            (stop.text(_CALLED), stop.session_seconds or 0) for stop in stops if origin(stop) == origin_of_leg
        ]
        return [(number, seconds) for number, seconds in lasted if seconds]

    def seconds(self, call_id: str) -> tuple[int, int]:
        """Return how long both legs lasted by their Stops: that of the caller, and that to the vendor."""
        stops = self.tap.await_answers(2, status=STOP, call=call_id)
        assert len(stops) == 2
        lasted = {origin(stop.request): stop.request.session_seconds for stop in stops}
        told = lasted["answer"], lasted["originate"]
        assert None not in told
        return told  # type: ignore[return-value]


def origin(record: Packet) -> str:
    """Return h323-call-origin."""
    (text,) = [text for text in record.vendor_texts() if text.startswith("h323-call-origin=")]
    return text.partition("=")[2]


def price(per_minute: Decimal, seconds: int) -> Decimal:
    return (per_minute * seconds / 60).quantize(Decimal("0.000001"), ROUND_HALF_UP)


@contextmanager
def sippy(daemon: Daemon, folder: Path, callee_port: int, *more: str) -> Iterator[Sippy]:
    """Run the B2BUA between callers and a called party, with *more* of its options."""
    port = free_udp_port()
    with tap(daemon, _ADDRESS) as tapped:
        (folder / "dictionary").write_text("".join(file.read_text() for file in _DICTIONARIES))
        (folder / "servers").write_text(f"127.0.0.1 {SECRET}\n")
        (folder / "radius.conf").write_text(
            f"authserver 127.0.0.1:{tapped.auth_port}\nacctserver 127.0.0.1:{tapped.acct_port}\n"
            f"servers {folder}/servers\ndictionary {folder}/dictionary\ndefault_realm\n"
            "radius_timeout 3\nradius_retries 5\nbindaddr *\n"
        )
        client = folder / "radiusclient"
        client.write_text(f"#!{sys.executable}\n{(_HERE / 'radiusclient.py').read_text()}")
        client.chmod(0o755)
        command = [sys.executable, str(_HERE / "b2bua.py"), "-f", "-A", "2", "-M", "3", *more]
        command += [
            "-l",
            "127.0.0.1",
            "-p",
            str(port),
            "-R",
            f"{folder}/radius.conf",
            "-c",
            f"{folder}/socket",
        ]
        command += [f"--radiusclient={client}", "--auth_enable=on"]
        quiet = {"SIPLOG_BEND": "stderr", "SIPLOG_LVL": "DBUG"}
        with running(command, folder, folder / "sippy.out", os.environ | quiet) as process:
            eventually(lambda: speaks_sip(port), "Sippy does not start", process)
            yield Sippy(daemon, tapped, Phones(folder, port, (_VENDOR_ADDRESS, callee_port)))
