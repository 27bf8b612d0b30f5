"""Who may call by a question that nobody signed, and what is said until the settings say it."""

import signal
import subprocess

import pytest
from daemon_process import RADIUSD, Daemon, StartDaemon, eventually
from daemon_world import UNSIGNED, nas
from radius_switch import START, STOP, Switch, new_call

from billing_core.denial import Denial
from radiusd.codec import encode
from radiusd.replies import REPLY_MESSAGES, RETURN_CODES

UNDECIDED, DISTRUSTED, TRUSTED, FIRST, SECOND = (f"127.0.0.{last}" for last in range(61, 66))
OFF = "require_message_authenticator = false\ntrusted_names = true"
NASES = "".join(
    (
        nas("gw", "127.0.0.1"),
        nas("undecided", UNDECIDED, OFF),
        nas("distrusted", DISTRUSTED, f"{OFF}\ntrusted_path = false"),
        nas("trusted", TRUSTED, f"{UNSIGNED}\ntrusted_names = true"),
        nas("first", FIRST, "sends_start = true"),
        nas("second", SECOND, 'sends_start = true\nsame_as = "first"'),
    )
)
IP, ANI = "198.51.100.7", "12025550100"
BY_ADDRESS = encode("h323-remote-address", f"h323-remote-address={IP}")
BY_NUMBER = encode("Calling-Station-Id", ANI)


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    return start_daemon(radius='listen = ["0.0.0.0"]', nas=NASES)


def questions(switch: Switch, client: str, *, signed: bool) -> list[bytes]:
    """Return a question by address, one by number and one by name alone."""
    return [
        switch.access(who, user=user, password=None, call=new_call(), signed=signed)
        for who, user in ((BY_ADDRESS, None), (BY_NUMBER, None), (b"", client))
    ]


def test_an_unsigned_question_without_a_password_needs_a_trusted_path(daemon: Daemon) -> None:
    client = daemon.client(credit="1000", account=f'ip = "{IP}"\nani = "{ANI}"')
    expected = RETURN_CODES[Denial.UNTRUSTED_PATH], REPLY_MESSAGES[Denial.UNTRUSTED_PATH]
    refused = []
    with daemon.change() as change:
        for address in (UNDECIDED, DISTRUSTED):
            with daemon.switch(address) as switch:
                refused += [switch.ask(packet) for packet in questions(switch, client, signed=False)]

    assert [answer.accepted for answer in refused] == [False] * 6
    assert {(int(answer.return_code or ""), answer.message) for answer in refused} == {expected}
    assert change.by("radiusd_denials_total", reason="untrusted_path") == 6
    assert daemon.billing.money(client) == ("0", "0", 0)

    for address, signed in ((UNDECIDED, True), (TRUSTED, False)):
        with daemon.switch(address) as switch:
            assert all(switch.ask(packet).accepted for packet in questions(switch, client, signed=signed))
    with daemon.switch(UNDECIDED) as switch:
        assert switch.ask(switch.access(user=client, call=new_call(), signed=False)).accepted


def checked(daemon: Daemon) -> tuple[int, str]:
    """Return the exit status of `radiusd check`, and what it says."""
    done = subprocess.run(
        [RADIUSD, "check", "--config", daemon.directory], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_whose_unsigned_questions_can_be_is_asked_at_start_by_check_and_by_a_reload(daemon: Daemon) -> None:
    text = daemon.settings.text()
    line = text[: text.index('name = "undecided"')].count("\n")
    place = f"{daemon.directory}/radiusd.toml:{line}: nas.trusted_path: missing; "

    [said] = daemon.lines("nas_undecided")
    code, out = checked(daemon)
    daemon.signal(signal.SIGHUP)
    [refused] = daemon.logs("reload_refused")

    assert said["level"] == "error"
    assert said["fault"].startswith(place)
    assert refused["faults"] == [said["fault"]]
    assert (code, out) == (1, f"{said['fault']}\n1 faults, 0 warnings\n")
    for word in ("Message-Authenticator", "trusted_path = true", "false", "password or Digest"):
        assert word in said["fault"]

    daemon.configure(text.replace(OFF, f"{OFF}\ntrusted_path = false", 1))
    daemon.signal(signal.SIGHUP)

    assert checked(daemon) == (0, "0 faults, 0 warnings\n")
    assert eventually(lambda: daemon.lines("reloaded"))
    assert len(daemon.lines("nas_undecided")) == 1


def test_a_call_is_the_same_by_whichever_address_of_its_switch_its_records_come(daemon: Daemon) -> None:
    client, call = daemon.client(credit="10"), new_call()
    with daemon.switch(FIRST) as first, daemon.switch(SECOND) as second:
        accept = first.ask(first.access(user=client, call=call))
        assert daemon.billing.money(client) == ("0", "10", 1)
        # Found by the names of the call; then by our Class, too; then a repetition.
        second.ask(second.record(START, call, user=client))
        second.ask(second.record(STOP, call, accept.classes, user=client, seconds=60))
        first.ask(first.record(STOP, call, user=client, seconds=60))

    assert daemon.billing.money(client) == ("-0.6", "0", 0)
    assert daemon.billing.is_sound()
