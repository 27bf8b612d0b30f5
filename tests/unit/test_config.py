"""The daemon's settings: what they mean, and what is said of every fault."""

import pickle
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.session import Leg
from billing_core.settings import SettingsError
from radiusd.config import Config, load
from radiusd.dialects.dialect import Dialect
from radiusd.dialects.settings import DialectSettings
from radiusd.nas import TLS_SECRET, Nas
from radiusd.nas_section import NasSection
from radiusd.session_class import class_of, linked_leg

SAMPLE = Path(__file__).parents[2] / "config"
GATEWAY = 'name = "gw1"\naddress = "10.0.0.1"\nsecret = "0123456789abcdef"\ndialect = "cisco"\n'


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def settings(directory: Path, text: str) -> Config:
    (directory / "radiusd.toml").write_text(text)
    return load(directory)


def faults(directory: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        settings(directory, text)
    return [line.removeprefix(f"{directory}/radiusd.toml:") for line in str(raised.value).splitlines()]


# --- what the settings mean -------------------------------------------------------------------------


def test_the_sample_lets_softswitches_of_this_machine_in():
    config = load(SAMPLE)

    assert [
        (nas.name, *map(str, nas.networks), nas.secret, nas.dialect, nas.overrun) for nas in config.nas
    ] == [
        ("local", "127.0.0.1/32", b"radsec-local-test-only", "cisco", "charge"),
        ("local-ipv6", "::1/128", b"radsec-local-test-only", "cisco", "charge"),
    ]
    assert config.warnings == ()


def test_a_database_of_ones_own_gets_no_clients_unless_somebody_says_so(directory):
    own = '[database]\nurl = "postgresql://radiusd@db.example.com/billing"\n'
    said = 'apply_on_start = ["mine.toml"]\n'

    assert settings(directory, "").billing.apply_on_start == (directory / "billing.toml",)
    assert settings(directory, own).billing.apply_on_start == ()
    assert settings(directory, f"{own}[billing]\n{said}").billing.apply_on_start == (directory / "mine.toml",)


def test_the_defaults_that_the_sample_states_are_the_defaults(directory):
    sample = (SAMPLE / "radiusd.toml").read_text()
    uncommented = re.sub(r"(?m)^# ([a-z_]+ = .*)$", r"\1", sample)

    stated, plain = settings(directory, uncommented), settings(directory, sample)

    for part in ("radius", "radsec", "database", "limits", "http", "log", "billing", "mail", "webhook"):
        assert getattr(stated, part) == getattr(plain, part)
    assert list(stated.nas) == list(plain.nas)


@pytest.mark.parametrize(
    "section", ["radius", "radsec", "database", "limits", "http", "log", "billing", "mail", "webhook", "nas"]
)
def test_the_sample_explains_every_key(section):
    sample = (SAMPLE / "radiusd.toml").read_text().partition(f"[{section}]")[2]
    model = NasSection if section == "nas" else type(getattr(load(SAMPLE), section))

    assert [key for key in model.model_fields if not re.search(rf"(?m)^#? *{key} = ", sample)] == []


def test_an_empty_file_means_all_defaults(directory):
    config = settings(directory, "")

    assert config.radius.listen == ("0.0.0.0", "::")
    assert (config.radius.auth_port, config.radius.acct_port) == (1812, 1813)
    assert (config.radius.workers, config.radius.batch_max) == (1, 256)
    assert config.database.url is None
    assert config.database.directory == directory.parent / "var/postgres"
    assert config.limits.calls == Limits(7200, 86_400, 240, 60, 120)
    assert config.limits.sweep_seconds == 10
    assert (config.http.listen.address, config.http.listen.port) == ("127.0.0.1", 9812)
    assert (config.log.level, config.log.format) == ("info", "auto")
    assert config.billing.apply_on_start == (directory / "billing.toml",)


def test_a_section_of_limits_holds_those_of_calls(directory):
    config = settings(directory, "[limits]\nmax_call_seconds = 60\nsilence_margin_seconds = 0")

    assert config.limits.calls == Limits(max_call_seconds=60, silence_margin_seconds=0)


def test_a_nas_is_as_its_section_says(directory):
    text = f"""[[nas]]
{GATEWAY}
require_message_authenticator = false
on_backend_failure = "reject"
return_codes = {{ no_money = 12, bad_password = 1 }}
sends_start = true
unheard_seconds = 1
patience_seconds = 1.5
on_silence = "charge_granted"
overrun = "charge"
numbers_change = true
trusted_path = true
timezone = "Europe/Paris"
legs = {{ originate = "origination" }}
"""

    [nas] = settings(directory, text).nas

    assert (nas.require_message_authenticator, nas.limit_proxy_state) == (False, True)
    assert (nas.on_backend_failure, nas.on_silence, nas.overrun) == ("reject", "charge_granted", "charge")
    assert (nas.unheard_seconds, nas.numbers_change, nas.trusted_path) == (1, True, True)
    assert nas.patience_seconds == 1.5
    # As it crosses from the supervisor to its workers.
    assert pickle.loads(pickle.dumps(nas)) == nas
    assert pickle.loads(pickle.dumps(nas)).speaks.legs == nas.speaks.legs
    assert nas.return_codes == {Denial.NO_MONEY: 12, Denial.BAD_PASSWORD: 1}
    assert (nas.sends_start, nas.timezone.key) == (True, "Europe/Paris")
    assert nas.speaks.legs == {"answer": Leg.ORIGINATION, "originate": Leg.ORIGINATION}


def test_a_section_knows_every_field_of_a_nas():
    of_nas = {field.name for field in fields(Nas)} - {"networks", "signing_key", "differs", "speaks"}

    assert of_nas == set(NasSection.model_fields) - set(DialectSettings.model_fields) - {
        "address",
        "secret_file",
    }


def test_a_section_knows_every_field_of_a_dialect():
    assert set(DialectSettings.model_fields) == {field.name for field in fields(Dialect)} - {"name"}


@pytest.mark.parametrize(
    ("everyone", "own", "answers"),
    [
        ("", "", True),
        ("status_server = false", "", False),
        ("status_server = false", "status_server = true", True),
        ("", "status_server = false", False),
    ],
)
def test_a_nas_is_pinged_as_it_says_or_else_as_all_are_p_120(directory, everyone, own, answers):
    text = f"[radius]\n{everyone}\n[[nas]]\n{GATEWAY}\n{own}\n"

    assert [nas.status_server for nas in settings(directory, text).nas] == [answers]


def test_what_is_asked_to_end_calls_has_a_secret_though_it_comes_over_tls(directory):
    (directory / "own.key").write_text("the key of our certificate")
    radsec = '[radsec]\ncertificate = "own.pem"\nkey = "own.key"\nauthorities = "all.pem"\n'
    text = '[[nas]]\nname = "far"\ncertificate = "far.example"\ndialect = "cisco"\ndisconnect = "192.0.2.1"\n'

    assert faults(directory, radsec + text) == [
        "5: nas.secret: missing; Disconnect-Requests go by UDP and are signed with it, TLS or not"
    ]


def test_a_nas_that_has_no_secret_gets_a_key_that_only_we_know_p_093(directory):
    (directory / "own.key").write_text("the key of our certificate")
    radsec = '[radsec]\ncertificate = "own.pem"\nkey = "own.key"\nauthorities = "all.pem"\n'
    text = "".join(
        f'[[nas]]\nname = "{name}"\ncertificate = "{name}.example"\ndialect = "cisco"\n{more}'
        for name, more in (("one", ""), ("two", ""), ("three", 'secret = "0123456789abcdef"\n'))
    )

    def switch(name):
        return settings(directory, radsec + text).nas.by_certificate([f"{name}.example"])

    one, two, three = map(switch, ("one", "two", "three"))
    named = class_of((bytes(16), 0), one)
    (directory / "own.key").write_text("another key")

    assert (linked_leg([named], one), linked_leg([named], two)) == ((bytes(16), 0), None)
    assert linked_leg([class_of((bytes(16), 0), replace(one, signing_key=TLS_SECRET))], one) is None
    assert one.signing_key != switch("one").signing_key
    assert three.signing_key == b"0123456789abcdef"


def test_port_0_takes_free_ports(directory):
    config = settings(directory, "[radius]\nauth_port = 0\nacct_port = 0\n[http]\nlisten = '[::1]:0'")

    assert (config.radius.auth_port, config.radius.acct_port) == (0, 0)
    assert config.http.listen == ("::1", 0)


# --- secrets ----------------------------------------------------------------------------------------


def secret_file(directory: Path, octets: bytes, mode: int = 0o640) -> str:
    (directory / "gw.secret").write_bytes(octets)
    (directory / "gw.secret").chmod(mode)
    return "[[nas]]\n" + GATEWAY.replace('secret = "0123456789abcdef"', 'secret_file = "gw.secret"')


def test_a_secret_file_is_read_without_its_line_end(directory):
    text = secret_file(directory, b" \xff" * 2048 + b"\r\n")

    [nas] = settings(directory, text).nas

    assert nas.secret == b" \xff" * 2048


def test_a_secret_file_that_everyone_may_read_is_refused(directory):
    found = faults(directory, secret_file(directory, b"0123456789abcdef", mode=0o644))

    path = directory / "gw.secret"
    assert found == [f"4: nas.secret_file: {path} can be read by everyone; run: chmod o-rwx {path}"]


@pytest.mark.parametrize("octets", [b"", b"\n", b"x" * 65_537])
def test_a_secret_file_without_a_usable_secret_is_refused(directory, octets):
    [fault] = faults(directory, secret_file(directory, octets))

    assert fault.endswith("must be a regular file of 1 to 65,536 octets")


def test_a_missing_secret_file_is_named(directory):
    text = secret_file(directory, b"x").replace("gw.secret", "none.secret")

    assert faults(directory, text) == [
        f"4: nas.secret_file: {directory}/none.secret cannot be read: No such file or directory"
    ]


def test_a_short_secret_is_only_a_warning_p_032(directory):
    config = settings(directory, "[[nas]]\n" + GATEWAY.replace("0123456789abcdef", "0123456789abcde"))

    [warning] = config.warnings
    assert (warning.line, warning.key) == (4, "nas.secret")
    assert warning.message == "has 15 octets; 16 or more resist guessing"


def test_no_nas_at_all_is_only_a_warning(directory):
    [warning] = settings(directory, "").warnings

    assert "there is no [[nas]]" in str(warning)


URLS = {
    "postgresql://u:p%40ss@db:5433/billing": ("u", "p@ss", "db", 5433, "billing"),
    "postgresql+psycopg2://u:p@[::1]/billing": ("u", "p", "::1", None, "billing"),
    "postgresql:///billing?host=/run/postgresql": (None, None, None, None, "billing"),
}


@pytest.mark.parametrize(("written", "parts"), URLS.items())
def test_a_database_url_is_made_ready_for_sqlalchemy(directory, written, parts):
    url = settings(directory, f"database.url = '{written}'").database.url

    assert url.drivername == "postgresql+psycopg2"
    assert (url.username, url.password, url.host, url.port, url.database) == parts


BAD_URLS = {
    "sqlite:///:memory:": 'must be "embedded" or begin with postgresql://; there is no other database',
    "postgres://u:hunter2@db/x": 'must be "embedded" or begin with postgresql://; there is no other database',
    "postgresql://u:hunt@er2@db/x": "has more than one @; write an @ inside the password as %40",
    "postgresql://u:hunter2%@db/x": "has a % that is not followed by two hex digits; write % itself as %25",
    "postgresql://u:hunter2@db:port/x": "cannot be read; write postgresql://user:password@host:5432/database",
    "postgresql://db/x?password=hunter2": "has the password behind the ?, where logs would show it;"
    " write user:password@host",
}


@pytest.mark.parametrize(("written", "message"), BAD_URLS.items())
def test_a_database_url_that_cannot_be_used_is_refused_without_its_password(directory, written, message):
    assert faults(directory, f"database.url = '{written}'") == [f"1: database.url: {message}"]


def test_settings_never_show_a_secret(directory):
    url = "postgresql://u:hunter2@db/x"
    config = settings(directory, f"database = {{url = '{url}', owner_url = '{url}'}}\n[[nas]]\n{GATEWAY}")

    shown = f"{config!r} {config.database!r} {config.database.url!s} {list(config.nas)!r}"

    assert "hunter2" not in shown
    assert "0123456789abcdef" not in shown


# --- faults -----------------------------------------------------------------------------------------


def test_every_fault_of_a_file_is_reported_at_once(directory):
    text = """[radius]
auth_port = 1813
workers = 0
listen = ["127.0.0.1",
  "gw.example"]
[limits]
max_call_seconds = 90000
[[nas]]
name = "gw1"
address = "10.0.0.0/8"
secret = ""
dialect = "cisko"
requre_message_authenticator = true
[[nas]]
name = "gw1"
address = "::ffff:10.0.0.0/104"
return_codes = { no_monei = 12, too_little = 0 }
dialect = "plain"
"""

    assert faults(directory, text) == [
        "1: radius.acct_port: 1813 is auth_port too; give each its own",
        "3: radius.workers: 0 is too small; the least is 1",
        '5: radius.listen: "gw.example" is not an IP address; names are not looked up',
        "6: limits.implausible_seconds: 86400 is less than max_call_seconds, 90000:"
        " an allowed call would go unbilled",
        "11: nas.secret: must not be empty: anyone could sign with it; use 16 random characters or more",
        '12: nas.dialect: "cisko" is not known; did you mean "cisco"?',
        '13: nas.requre_message_authenticator: unknown key; did you mean "require_message_authenticator"?',
        "14: nas.secret: missing; give secret or secret_file",
        "15: nas.name: is the name of the NAS on line 9 too",
        "16: nas.address: is the address of the NAS on line 10 too",
        '17: nas.return_codes.no_monei: "no_monei" is not known; did you mean "no_money"?',
        "17: nas.return_codes.too_little: 0 is too small; the least is 1",
    ]


FAULTS = {
    "radius.auth_port = 70000": "1: radius.auth_port: 70000 is too large; the most is 65535",
    "radius.auth_port = '1812 '": "1: radius.auth_port: must be a whole number without quotes, not a string",
    "radius.listen = []": "1: radius.listen: must name at least 1",
    "radius.listen = ['::', '::']": '1: radius.listen: "::" is named twice',
    "limits.sweep_seconds = '5s'": "1: limits.sweep_seconds: must be a whole number without quotes,"
    " not a string",
    "limits.sweep_seconds = 0": "1: limits.sweep_seconds: 0 is too small; the least is 1",
    "http.listen = 'localhost:9812'": '1: http.listen: "localhost:9812" is not an address and port,'
    ' such as "127.0.0.1:9812" or "[::1]:9812"',
    "http.listen = '127.0.0.1:70000'": '1: http.listen: "127.0.0.1:70000" is not an address and port,'
    ' such as "127.0.0.1:9812" or "[::1]:9812"',
    "log.level = 'loud'": '1: log.level: "loud" is not known; known here: debug, error, info, warning',
    "database.owner_url = 'postgresql://u@h/d'": "1: database.owner_url: goes with a url of its own;"
    ' the database is "embedded", which has its own owner',
    "disconnect = '10.0.0.1:3799'": "1: disconnect: unknown key; known here: billing, database, group,"
    " http, limits, log, mail, nas, radius, radsec, user, webhook",
}


@pytest.mark.parametrize(("text", "fault"), FAULTS.items())
def test_a_fault_says_what_would_be_right(directory, text, fault):
    assert faults(directory, text) == [fault]


NO_WHOLE_NUMBER = "must be a whole number without quotes, not "
PERIODS = {
    "-1": "-1 is too small; the least is 1",
    "31_536_001": "31536001 is too large; the most is 31536000",
    "'5'": NO_WHOLE_NUMBER + "a string",
    **dict.fromkeys(("5.0", "nan", "1e400"), NO_WHOLE_NUMBER + "a number with a point"),
}


@pytest.mark.parametrize(("written", "message"), PERIODS.items())
@pytest.mark.parametrize("key", ["max_call_seconds", "start_timeout_seconds", "sweep_seconds"])
def test_a_period_is_a_whole_number_of_seconds_within_bounds_b_124(directory, key, written, message):
    assert faults(directory, f"limits.{key} = {written}") == [f"1: limits.{key}: {message}"]


@pytest.mark.parametrize("realm", ["", "x" * 254, "a\\u0000b"])
def test_a_realm_fits_into_its_attribute(directory, realm):
    text = f'[[nas]]\n{GATEWAY}realms = ["sip.example", "{realm}"]\n'

    assert faults(directory, text) == [
        '6: nas.realms: is not a realm of 1 to 253 octets, such as "sip.example.com"'
    ]


def test_a_secret_is_given_once(directory):
    text = secret_file(directory, b"0123456789abcdef") + 'secret = "0123456789abcdef"'

    assert faults(directory, text) == ["4: nas.secret_file: stands beside secret; keep one of them"]


OPEN = "require_message_authenticator = false\nlimit_proxy_state = false\n"


@pytest.mark.parametrize("opening", [OPEN, "require_message_authenticator = false\ntrusted_path = true\n"])
@pytest.mark.parametrize("address", ["0.0.0.0/0", "::/0"])
def test_unsigned_requests_from_everywhere_are_refused(directory, address, opening):
    text = "[[nas]]\n" + GATEWAY.replace("10.0.0.1", address) + opening

    assert faults(directory, text) == [
        "3: nas.address: lets every address send forged requests;"
        " name networks, or require Message-Authenticator"
    ]


@pytest.mark.parametrize("dropped", OPEN.splitlines())
def test_one_of_the_two_protections_is_enough(directory, dropped):
    text = "[[nas]]\n" + GATEWAY.replace("10.0.0.1", "0.0.0.0/0") + OPEN.replace(dropped, "")

    assert len(settings(directory, text).nas) == 1


UNDECIDED = (
    "nas.trusted_path: missing; its questions may lack Message-Authenticator, so whoever can send from its"
    " address can ask as it: set trusted_path = true if nobody else can, or false if its callers come by"
    " password or Digest only (until then others are refused)"
)
UNSIGNED = f"[[nas]]\n{GATEWAY}require_message_authenticator = false\n"


def test_whose_unsigned_questions_can_be_is_to_be_said_but_is_no_reason_not_to_start(directory):
    config = settings(directory, UNSIGNED)

    assert [str(fault) for fault in config.undecided] == [f"{directory}/radiusd.toml:1: {UNDECIDED}"]
    assert [nas.trusted_path for nas in config.nas] == [False]
    with pytest.raises(SettingsError) as raised:
        load(directory, strict=True)
    assert str(raised.value) == f"{directory}/radiusd.toml:1: {UNDECIDED}"


def test_the_missing_word_is_one_fault_among_the_others(directory):
    (directory / "radiusd.toml").write_text(f"{UNSIGNED}sends_start = 1\nlimit_proxy_state = true\n")

    with pytest.raises(SettingsError) as raised:
        load(directory, strict=True)

    assert [fault.key for fault in raised.value.faults] == ["nas.trusted_path", "nas.sends_start"]


@pytest.mark.parametrize(
    "text",
    [
        f"{UNSIGNED}trusted_path = true\n",
        f"{UNSIGNED}trusted_path = false\n",
        f"[[nas]]\n{GATEWAY}require_message_authenticator = true\n",
        f"[[nas]]\n{GATEWAY}",
        UNSIGNED.replace('address = "10.0.0.1"', 'certificate = "switch.example"'),
    ],
)
def test_nothing_is_left_to_be_said_of(directory, text):
    (directory / "radiusd.toml").write_text(text)

    assert load(directory, strict=True).undecided == ()


# --- several addresses, and several sections, of one switch -----------------------------------------


def test_a_nas_has_an_address_or_a_list_of_addresses_and_networks(directory):
    several = GATEWAY.replace('"10.0.0.1"', '["192.0.2.1", "198.51.100.0/28", "2001:db8::/64"]')
    config = settings(directory, f"[[nas]]\n{GATEWAY}[[nas]]\n{several.replace('gw1', 'gw2')}")

    assert [[*map(str, nas.networks)] for nas in config.nas] == [
        ["10.0.0.1/32"],
        ["192.0.2.1/32", "198.51.100.0/28", "2001:db8::/64"],
    ]
    sources = ("10.0.0.1", "192.0.2.1", "198.51.100.15", "2001:db8::7")
    assert [config.nas.find(source).name for source in sources] == ["gw1", "gw2", "gw2", "gw2"]


ADDRESSES = {
    '["192.0.2.1",\n"gw.example"]': '9: nas.address: "gw.example" is not an IP address or network,'
    " such as 192.0.2.0/24",
    '["192.0.2.1",\n"10.0.0.1"]': "9: nas.address: is the address of the NAS on line 3 too",
    '["192.0.2.1",\n"::ffff:192.0.2.1"]': "9: nas.address: is the address of the NAS on line 8 too",
    '"10.0.0.1/32"': "8: nas.address: is the address of the NAS on line 3 too",
    "[]": "8: nas.address: must name at least 1",
    "7": "8: nas.address: must be a string in quotes, not a whole number",
    "[7]": "8: nas.address: must be a string in quotes, not a whole number",
}


@pytest.mark.parametrize(("written", "fault"), ADDRESSES.items())
def test_a_fault_of_an_address_is_told_with_its_line(directory, written, fault):
    second = GATEWAY.replace('"10.0.0.1"', written).replace("gw1", "gw2")

    assert faults(directory, f"[[nas]]\n{GATEWAY}[[nas]]\n{second}") == [fault]


def switches(first: str = "", second: str = 'same_as = "gw1"', secret: str = "0123456789abcdef") -> str:
    """Write two sections; the first begins on line 1, the second on line 7."""
    other = GATEWAY.replace("gw1", "gw2").replace("10.0.0.1", "10.0.0.2").replace("0123456789abcdef", secret)
    return f"[[nas]]\n{GATEWAY}{first}\n[[nas]]\n{other}{second}\n"


def test_two_sections_are_one_switch_and_do_with_its_calls_what_the_first_says(directory):
    text = switches('disconnect = "192.0.2.9"\non_silence = "charge_granted"\nsends_start = true')

    one, other = settings(directory, text).nas

    assert (one.name, one.switch, other.name, other.switch) == ("gw1", "gw1", "gw2", "gw1")
    assert (other.disconnect, other.on_silence) == (("192.0.2.9", 3799), "charge_granted")
    assert (one.sends_start, other.sends_start) == (True, False)
    assert linked_leg([class_of((bytes(16), 0), one)], other) == (bytes(16), 0)


def test_the_first_of_two_sections_may_stand_behind_the_second(directory):
    other, one = settings(directory, switches('same_as = "gw2"', 'disconnect = "192.0.2.9"')).nas

    assert (other.switch, other.disconnect) == ("gw2", one.disconnect)


def test_secrets_are_the_same_wherever_they_are_written(directory):
    text = switches() + secret_file(directory, b"0123456789abcdef\n").replace("10.0.0.1", "10.0.0.3").replace(
        "gw1", "gw3"
    )

    assert [nas.switch for nas in settings(directory, text + 'same_as = "gw1"').nas] == ["gw1", "gw1", "gw1"]


SAME = {
    switches(second='same_as = "gw2"'): "12: nas.same_as: names this NAS itself;"
    " name the other NAS of the switch",
    switches(second='same_as = "gv1"'): '12: nas.same_as: "gv1" is no NAS; did you mean "gw1"?',
    switches('same_as = "gw2"'): [
        '6: nas.same_as: "gw2" is itself the same as another; name that one here, too',
        '12: nas.same_as: "gw1" is itself the same as another; name that one here, too',
    ],
    switches(secret="fedcba9876543210"): "12: nas.same_as: one switch has one secret;"
    " give this NAS the secret of the one on line 1",
    switches(second='same_as = "gw1"\ndisconnect = "192.0.2.9"'): "13: nas.disconnect: is said once for a"
    ' switch; move it to "gw1", which this NAS is the same as',
    switches(second='same_as = "gw1"\non_silence = "charge_known"'): "13: nas.on_silence: is said once for"
    ' a switch; move it to "gw1", which this NAS is the same as',
    switches(secret=""): "10: nas.secret: must not be empty: anyone could sign with it;"
    " use 16 random characters or more",
    switches(second="same_as = 1"): "12: nas.same_as: must be a string in quotes, not a whole number",
}


@pytest.mark.parametrize(("text", "fault"), SAME.items())
def test_what_cannot_be_one_switch_is_told(directory, text, fault):
    assert faults(directory, text) == (fault if isinstance(fault, list) else [fault])


def test_two_sections_without_a_secret_are_not_one_switch(directory):
    text = '[[nas]]\nname = "{0}"\ncertificate = "{0}.example"\ndialect = "cisco"\n'

    assert faults(directory, f"{text.format('one')}{text.format('two')}same_as = 'one'") == [
        "9: nas.same_as: one switch has one secret; give this NAS the secret of the one on line 1"
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('overrun = "wait"', 'nas.overrun: "wait" is not known; known here: charge, hold'),
        ("patience_seconds = 0", "nas.patience_seconds: 0 is too small; the least is 0.1"),
        ("patience_seconds = 61", "nas.patience_seconds: 61 is too large; the most is 60.0"),
        ('patience_seconds = "2"', "nas.patience_seconds: must be a number without quotes, not a string"),
        ("patience_seconds = nan", "nas.patience_seconds: must be a number, which nan is not"),
        (
            "patience_seconds = true",
            "nas.patience_seconds: must be a number without quotes, not true or false",
        ),
        ("unheard_seconds = 0", "nas.unheard_seconds: 0 is too small; the least is 1"),
        (
            "numbers_change = 1",
            "nas.numbers_change: must be true or false without quotes, not a whole number",
        ),
        (
            'trusted_path = "yes"',
            "nas.trusted_path: must be true or false without quotes, not a string",
        ),
    ],
)
def test_a_fault_of_what_is_said_of_calls_is_told(directory, line, fault):
    assert faults(directory, f"[[nas]]\n{GATEWAY}{line}\n") == [f"6: {fault}"]


def test_the_slack_of_a_duration_is_none_or_more(directory):
    assert settings(directory, "limits.overrun_slack_seconds = 0").limits.calls.overrun_slack_seconds == 0
    assert faults(directory, "limits.overrun_slack_seconds = -1") == [
        "1: limits.overrun_slack_seconds: -1 is too small; the least is 0"
    ]


def test_networks_of_different_lengths_may_overlap(directory):
    wider = GATEWAY.replace("gw1", "all").replace("10.0.0.1", "10.0.0.0/8")

    config = settings(directory, f"[[nas]]\n{GATEWAY}[[nas]]\n{wider}")

    assert [config.nas.find(source).name for source in ("10.0.0.1", "10.0.0.2")] == ["gw1", "all"]


def test_a_missing_directory_or_file_is_named(tmp_path):
    with pytest.raises(
        SettingsError, match=r"none: no such directory; name it with --config DIR, or begin with: cp -r "
    ):
        load(tmp_path / "none")
    with pytest.raises(SettingsError, match=r"radiusd\.toml: cannot be read: No such file or directory$"):
        load(tmp_path)


# --- mails --------------------------------------------------------------------------------------------


def test_without_a_host_and_a_url_nothing_is_sent(directory):
    config = settings(directory, "")

    assert (config.mail.host, config.webhook.url) == (None, None)
    assert config.mail.templates == directory / "mail"


def test_a_mail_server_and_a_webhook_are_as_their_sections_say(directory):
    (directory / "key").write_text("quiet\n")
    (directory / "key").chmod(0o600)
    config = settings(
        directory,
        """
        [mail]
        host = "mail.example.com"
        from_address = "Example Telecom <billing@example.com>"
        username = "billing"
        password_file = "key"
        [webhook]
        url = "https://example.com/hook?token=1"
        secret = "signs"
        """,
    )

    assert (config.mail.port, config.mail.tls, config.mail.login) == (587, "starttls", ("billing", "quiet"))
    assert str(config.mail.from_address) == "Example Telecom <billing@example.com>"
    assert config.webhook.key == b"signs"
    assert not {"quiet", "signs"} & set(re.findall(r"\w+", repr(config)))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[mail]\nfrom_address = "a@example.com"', "mail.host: missing; without it nothing is sent"),
        ('[mail]\nhost = "mail.example.com"', "mail.from_address: missing; every mail is from somebody"),
        ('[mail]\nhost = "two words"\nfrom_address = "a@example.com"', 'mail.host: "two words" is not'),
        ('[mail]\nhost = "h"\nfrom_address = "nobody"', 'mail.from_address: "nobody" is not one email'),
        ('[mail]\nhost = "h"\nfrom_address = "A <a@example.com> b"', "mail.from_address: "),
        ('[mail]\nhost = "h"\nfrom_address = "A\\nBcc: b <a@example.com>"', "mail.from_address: "),
        ('[mail]\nhost = "h"\nfrom_address = "a@example.com"\ntls = "ssl"', 'mail.tls: "ssl" is not known'),
        ('[mail]\nhost = "h"\nfrom_address = "a@example.com"\nusername = "a"', "mail.password: missing"),
        ('[mail]\nhost = "h"\nfrom_address = "a@example.com"\npassword = "a"', "mail.username: missing"),
        (
            '[mail]\nhost = "h"\nfrom_address = "a@example.com"\nretry_seconds = 9\nretry_seconds_max = 8',
            "mail.retry_seconds_max: 8 is less than retry_seconds, 9",
        ),
        ('[mail]\nhost = "h"\nfrom_address = "a@example.com"\nauthorities = "none"', "mail.authorities: "),
        (
            '[mail]\nhost = "h"\nfrom_address = "a@example.com"\nusername = "a"\npassword = "žluť"',
            "mail.password: must be ASCII characters",
        ),
        ('[webhook]\nurl = "ftp://example.com"', 'webhook.url: "ftp://example.com" is not a URL'),
        ('[webhook]\nurl = "https://a:b@example.com"', "webhook.url: must have no user"),
        ('[webhook]\nurl = "https://example.com:99999"', "webhook.url: "),
        ('[webhook]\nsecret = "a"', "webhook.url: missing"),
        ('[webhook]\nurl = "https://example.com"\nsecret = ""', "webhook.secret: must not be empty"),
    ],
)
def test_a_fault_of_mails_is_told(directory, text, fault):
    (told,) = faults(directory, text)

    assert told.partition(": ")[2].startswith(fault), told


def test_a_password_that_is_sent_readable_is_warned_of(directory):
    config = settings(
        directory,
        '[mail]\nhost = "mail.example.com"\nfrom_address = "a@example.com"\ntls = "none"\n'
        'username = "a"\npassword = "b"',
    )

    assert "mail.tls: sends the password readable" in str(config.warnings[-1])


PORTS = {
    # what the two switches say of their own ports: the fault, after its line
    ("auth_port = 11812", "auth_port = 11812"): "nas.auth_port: 11812 is taken by another key",
    ("auth_port = 11812\nacct_port = 11812", ""): "nas.auth_port: 11812 is taken by another key",
    ("auth_port = 1813", ""): "nas.auth_port: 1813 is taken by another key",
    ("acct_port = 1645", ""): "nas.acct_port: 1645 is taken by another key",
    ("auth_port = 0", ""): "nas.auth_port: ",
    ("", "auth_port = 65536"): "nas.auth_port: ",
}


@pytest.mark.parametrize(("own", "fault"), PORTS.items())
def test_a_port_of_its_own_has_one_owner_and_one_use(directory, own, fault):
    sections = [
        f'[[nas]]\nname = "gw{number}"\naddress = "192.0.2.{number}"\nsecret = "0123456789abcdef"\n'
        f'dialect = "cisco"\n{ports}\n'
        for number, ports in enumerate(own, 1)
    ]

    with pytest.raises(SettingsError) as raised:
        settings(directory, "[radius]\nauth_port = 1645\n" + "".join(sections))

    assert any(fault in str(found) for found in raised.value.faults)


def test_a_switch_that_comes_over_tls_only_has_no_udp_port_of_its_own(directory):
    tls = 'radsec = {certificate = "c", key = "k", authorities = "a"}\n'
    section = '[[nas]]\nname = "gw"\ncertificate = "gw.example"\ndialect = "cisco"\nacct_port = 11813\n'

    with pytest.raises(SettingsError) as raised:
        settings(directory, tls + section)

    assert any("nas.acct_port: is a UDP port; this NAS has no address" in str(f) for f in raised.value.faults)
