"""Two telephones made of SIPp: who calls and who is called, each playing a small scenario of `sipp/`."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from served import program

_SCENARIOS = Path(__file__).parent / "sipp"
_CALL_SECONDS = 25
_OPTIONS = (
    "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{now}\r\n"
    "From: <sip:probe@{here}>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: probe-{now}\r\n"
    "CSeq: 1 OPTIONS\r\nMax-Forwards: 10\r\nContent-Length: 0\r\n\r\n"
)
_READY_SECONDS = 15
_calls = count(1)


@dataclass(frozen=True, slots=True)
class Phones:
    """A caller, and a called party who waits at `callee`; the switch between them is at `switch_port`."""

    folder: Path
    switch_port: int
    callee: tuple[str, int]

    def call(
        self,
        caller: str,
        callee: str | None,
        *,
        number: str,
        name: str = "sippy",
        password: str = "",
        refusal: str = "",
        challenge: str = "407",
        caller_address: str = "127.0.0.1",
        seconds: float = 1,
        meanwhile: Callable[[str], None] | None = None,
    ) -> str:
        """Place a call and return its Call-ID when both have played their scenarios to the end.

        *callee* is None where the call must not arrive. *refusal* is what the called party says, and
        what the caller must hear, *challenge* the code by which he is asked for a digest; *meanwhile* is
        done while they play.
        """
        call_id = f"call-{next(_calls)}-{time.time_ns():x}"
        address, port = self.callee
        told = ["-d", str(int(seconds * 1000)), "-s", number, "-key", "caller", name]
        here = ["-i", address, "-p", str(port), *told]
        there = ["-i", caller_address, *told, "-au", name, "-ap", password, "-cid_str", call_id]
        there.append(f"127.0.0.1:{self.switch_port}")
        codes = {"REFUSAL": refusal[:3], "CHALLENGE": challenge}
        with self._playing(callee, call_id, here, {"REFUSAL": refusal}) as called:
            with self._playing(caller, call_id, there, codes) as calls:
                if meanwhile is not None:
                    meanwhile(call_id)
                _played(calls)
            _played(called)
        return call_id

    @contextmanager
    def _playing(
        self, scenario: str | None, call_id: str, told: list[str], words: dict[str, str]
    ) -> "Iterator[subprocess.Popen[bytes] | None]":
        if scenario is None:
            yield None
            return
        file = self.folder / f"{call_id}-{scenario}.xml"
        text = (_SCENARIOS / f"{scenario}.xml").read_text()
        for word, meant in words.items():
            text = text.replace(word, meant)
        file.write_text(text)
        command = [program("sipp", "sip-tester"), "-sf", file.name, "-m", "1", "-nostdin"]
        command += ["-timeout", str(_CALL_SECONDS), "-timeout_error", "-deadcall_wait", "0", "-trace_err"]
        with running([*command, *told], self.folder, file.with_suffix(".out")) as process:
            if scenario.startswith("callee"):
                eventually(lambda: _is_bound(self.callee[1]), "the called party does not listen", process)
            yield process


@contextmanager
def running(
    command: list[str], folder: Path, out: Path, environment: dict[str, str] | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a program until the end of the block."""
    with out.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=written, stderr=written, env=environment
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def eventually(is_so: Callable[[], bool], else_said: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until it is so, while *process* lives."""
    deadline = time.monotonic() + _READY_SECONDS
    while not is_so():
        assert process.poll() is None, else_said
        assert time.monotonic() < deadline, else_said
        time.sleep(0.02)


def free_udp_port(address: str = "127.0.0.1") -> int:
    """Return a UDP port that nobody has at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((address, 0))
        return int(one.getsockname()[1])


def speaks_sip(port: int) -> bool:
    """Tell whether somebody answers an OPTIONS at that port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect(("127.0.0.1", port))
        here = f"127.0.0.1:{asking.getsockname()[1]}"
        try:
            asking.send(_OPTIONS.format(port=port, here=here, now=time.time_ns()).encode())
            return asking.recv(4096).startswith(b"SIP/2.0 ")
        except OSError:
            return False


def _played(process: "subprocess.Popen[bytes] | None") -> None:
    if process is None:
        return
    status = process.wait(_CALL_SECONDS + 5)
    assert status == 0, f"SIPp ended with status {status}: {process.args!r}"


def _is_bound(port: int) -> bool:
    """Tell whether a UDP socket has that port, as Linux lists them."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines)
