"""FreeRADIUS' own client places calls: a second opinion on every octet that we read and write."""

from decimal import Decimal
from itertools import count

import pytest
from radclient import radclient
from served import SECRET, Daemon

# 0.0550 a minute, at least 30 seconds, then whole 6 seconds: 31 seconds are billed as 36.
NUMBER = "447700900123"
PRICE_OF_31_SECONDS = Decimal("0.033")

SIGNED = "Message-Authenticator = 0x00"
"""radclient replaces the zeros by the signature."""

_calls = count(1)


class Switch:
    """A softswitch made of radclient; each has a call of its own."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.call_id = f"{next(_calls):032x}"

    def send(self, kind: str, *attributes: str, secret: str = SECRET, times: int = 1) -> str:
        """Send a request *times* times and return all that radclient says."""
        port = self._daemon.acct_port if kind == "acct" else self._daemon.auth_port
        return radclient(port, kind, *attributes, secret=secret, times=times)

    def authorize(self, proof: str) -> str:
        """Ask whether the call may start."""
        return self.send("auth", SIGNED, 'User-Name = "1001"', proof, *self._call())

    def account(self, status: str, *attributes: str, times: int = 1) -> str:
        """Report on the call."""
        told = (f"Acct-Status-Type = {status}", 'User-Name = "1001"', *self._call(), *attributes)
        return self.send("acct", *told, times=times)

    def _call(self) -> tuple[str, ...]:
        return (
            f'Called-Station-Id = "{NUMBER}"',
            'Calling-Station-Id = "442079460000"',
            f'Acct-Session-Id = "session-{self.call_id}"',
            f'h323-conf-id = "h323-conf-id={self.call_id}"',
            'h323-call-origin = "h323-call-origin=answer"',
        )


@pytest.fixture
def switch(daemon: Daemon) -> Switch:
    return Switch(daemon)


def money(daemon: Daemon) -> tuple[Decimal, Decimal, int]:
    """Return the live balance of the client who calls, what is reserved of it, and his calls under way."""
    shown = daemon.billing("clients", "show", "Customer A")
    balance = shown["balance"]
    return Decimal(balance["live"]), Decimal(balance["reserved"]), shown["capacity"]["in_use"]


@pytest.mark.parametrize("proof", ['User-Password = "secret-1001"', 'CHAP-Password = "secret-1001"'])
def test_a_call_is_authorized_started_reported_on_stopped_and_charged_exactly(
    daemon: Daemon, switch: Switch, proof: str
) -> None:
    live, _, _ = money(daemon)

    accepted = switch.authorize(proof)
    assert "Received Access-Accept" in accepted
    assert 'h323-return-code = "h323-return-code=0"' in accepted
    assert 'h323-credit-time = "h323-credit-time=7200"' in accepted
    assert "Session-Timeout = 7200" in accepted
    assert 'h323-preferred-lang = "h323-preferred-lang=en"' in accepted
    # 7200 seconds at 0.0550 a minute.
    assert money(daemon) == (live, Decimal("6.6"), 1)

    assert "Received Accounting-Response" in switch.account("Start")
    assert "Received Accounting-Response" in switch.account("Interim-Update", "Acct-Session-Time = 20")
    assert money(daemon) == (live, Decimal("6.6"), 1)

    assert "Received Accounting-Response" in switch.account("Stop", "Acct-Session-Time = 31")
    assert money(daemon) == (live - PRICE_OF_31_SECONDS, Decimal(0), 0)


def test_a_stop_that_is_sent_twice_is_answered_twice_and_charged_once(daemon: Daemon, switch: Switch) -> None:
    live, _, _ = money(daemon)

    answers = switch.account("Stop", "Acct-Session-Time = 31", times=2)

    assert answers.count("Received Accounting-Response") == 2
    assert money(daemon) == (live - PRICE_OF_31_SECONDS, Decimal(0), 0)
    assert len(daemon.billing("xdrs", "--call", switch.call_id)) == 1


@pytest.mark.parametrize("proof", ['User-Password = "wrong"', 'CHAP-Password = "wrong"'])
def test_a_wrong_password_is_refused_and_reserves_nothing(daemon: Daemon, switch: Switch, proof: str) -> None:
    before = money(daemon)

    refused = switch.authorize(proof)

    assert "Received Access-Reject" in refused
    assert 'h323-return-code = "h323-return-code=2"' in refused
    assert 'Reply-Message = "Wrong password"' in refused
    assert money(daemon) == before


@pytest.mark.parametrize("kind", ["auth", "acct"])
def test_whoever_has_another_secret_gets_no_answer(switch: Switch, kind: str) -> None:
    attributes = (SIGNED, 'User-Name = "1001"', "Acct-Status-Type = Start", 'Acct-Session-Id = "strange"')

    said = switch.send(kind, *attributes, secret="a secret of somebody else")

    assert "Received" not in said
    assert "No reply" in said


def test_a_status_server_says_that_the_daemon_can_work(daemon: Daemon, switch: Switch) -> None:
    said = switch.send("status", SIGNED)

    assert "Received Access-Accept" in said
    assert "h323" not in said


def test_proxy_states_come_back_unchanged_and_in_order(switch: Switch) -> None:
    said = switch.send(
        "auth", SIGNED, 'User-Name = "nobody"', "Proxy-State = 0x00ff", "Proxy-State = 0x3078343134323433"
    )

    reply = said.partition("Received Access-Reject")[2]
    assert reply.index("Proxy-State = 0x00ff") < reply.index("Proxy-State = 0x3078343134323433")


def test_the_rules_of_the_money_hold_after_all_this(daemon: Daemon) -> None:
    assert daemon.billing("verify")["ok"]
