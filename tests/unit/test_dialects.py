"""Every dialect, by vectors that an engineer can read: what is read of a packet, and what goes back.

In tests/vectors/dialects a case has a title (`==`), settings by which its NAS differs (`set`), a packet, and
what is expected. `linked` names a case about the same leg, `apart` one about another leg. `4923/Name` is an
attribute under that vendor's number, `#108` one of that number; a value in quotes goes out as it stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest

from billing_core.authorization import Authenticated, AuthorizationRequest, Authorized, Candidate
from billing_core.client import Account, Client, Status
from billing_core.denial import Denial
from billing_core.ports import Reboot, UnknownRecord
from billing_core.rate_table import Rate
from billing_core.report import Kind, Report
from radiusd.codec import DictionaryError, Tables, dictionary_directory, load, standard
from radiusd.codec import Kind as ValueKind
from radiusd.config import load as load_settings
from radiusd.credentials import hide_password
from radiusd.dialects import DIALECTS
from radiusd.dialects.dialect import LEGS, SOURCES, Dialect, Limit, VsaForm
from radiusd.dialects.reader import is_readable, tables
from radiusd.dialects.reading import accounting, authorization_request, sequence_number
from radiusd.dialects.writing import accept_attributes, authenticated_attributes, reject_attributes
from radiusd.nas import Nas, network
from radiusd.wire import CLASS, VENDOR_SPECIFIC, Code, DropReason, Frame

VECTORS = Path(__file__).parents[1] / "vectors" / "dialects"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOURCE = "192.0.2.1"
SECRET = b"0123456789abcdef"
# Made with the secret above and an authenticator of zeros.
AUTHENTICATOR = bytes(16)

CLIENT = Client(1, "Alice Telecom", Status.ACTIVE, "USD", False, Decimal(0), locale="en_US")
ACCOUNT = Account(id=1, client_id=1, name="alice", password="secret")
RATE = Rate("44", "United Kingdom", Decimal(1), Decimal(0), 1, 1, 0)
AVAILABLE = Decimal("12.50")


@dataclass
class Case:
    """One case of a file."""

    dialect: str
    title: str
    settings: list[str] = field(default_factory=list)
    packet: list[tuple[str, str]] = field(default_factory=list)
    is_access: bool = False
    read: list[tuple[str, str]] = field(default_factory=list)
    replies: list[tuple[str, list[str]]] = field(default_factory=list)
    dropped: str | None = None
    unknown: tuple[int, list[str]] | None = None


def cases_of(path: Path) -> Iterator[Case]:  # noqa: C901 - a branch for each word that a line may begin with
    dialect, case, into = "", Case("", ""), ""
    for line in path.read_text().splitlines():
        word, _, rest = line.strip().partition(" ")
        if line.startswith("  "):
            _add(case, into, line.strip())
        elif word == "dialect":
            dialect = rest
        elif word == "==":
            if case.title:
                yield case
            case = Case(dialect, rest)
        elif word == "set":
            case.settings.append(rest)
        elif word in ("access", "accounting"):
            case.is_access, into = word == "access", "packet"
        elif word == "read":
            into = "read"
        elif word == "reply":
            case.replies.append((rest, []))
            into = "reply"
        elif word == "dropped":
            case.dropped = rest
        elif word == "unknown":
            case.unknown, into = (int(rest), []), "unknown"
        else:
            assert not word or word == "#", f"{path.name}: {line!r} is no part of a case"
    yield case


def _add(case: Case, into: str, line: str) -> None:
    name, _, value = line.partition(" = ")
    match into:
        case "packet":
            case.packet.append((name, value))
        case "read":
            case.read.append((name, value))
        case "reply":
            case.replies[-1][1].append(line)
        case "unknown":
            assert case.unknown is not None
            case.unknown[1].append(line)


FILES = {path.stem: list(cases_of(path)) for path in sorted(VECTORS.glob("*.txt"))}
CASES = [case for cases in FILES.values() for case in cases]


def softswitch(case: Case, directory: Path) -> Nas:
    """Return the NAS of a case, read from settings as a person writes them."""
    name = f'name = "gw"\naddress = "{SOURCE}"\nsecret = "{SECRET.decode()}"\ndialect = "{case.dialect}"\n'
    (directory / "radiusd.toml").write_text("[[nas]]\n" + name + "\n".join(case.settings))
    [nas] = load_settings(directory).nas
    return nas


def frame_of(case: Case, nas: Nas) -> Frame:
    known = tables(nas.speaks, access=case.is_access)
    code = Code.ACCESS_REQUEST if case.is_access else Code.ACCOUNTING_REQUEST
    pairs = tuple(encoded(name, value, known) for name, value in case.packet)
    return Frame(code, 7, AUTHENTICATOR, b"", pairs, None)


def encoded(name: str, value: str, known: Tables) -> tuple[int, bytes]:
    if name == "User-Password":
        return 2, hide_password(value, AUTHENTICATOR, SECRET)
    if name.startswith("#"):
        return int(name[1:]), value.encode()
    vendor, _, plain = name.rpartition("/")
    definition = known.by_name[plain]
    if vendor:
        definition = replace(definition, vendor=int(vendor))
    if value.startswith('"'):
        return definition.type, value.strip('"').encode()
    octets = definition.encode(typed(definition.kind, value))
    return octets[0], octets[2:]


def typed(kind: ValueKind, value: str) -> str | int | bytes:
    if kind is ValueKind.DATE and "T" in value:
        return int(datetime.fromisoformat(value).timestamp())
    return int(value) if kind in (ValueKind.INTEGER, ValueKind.DATE) else value


def what_is_read(case: Case, nas: Nas) -> AuthorizationRequest | Report | Reboot | UnknownRecord | DropReason:
    frame = frame_of(case, nas)
    if case.is_access:
        return authorization_request(frame, nas, SOURCE)
    return accounting(frame, nas, SOURCE, NOW)


def shown(value: object) -> str:
    match value:
        case None | () | "":
            return "-"
        case tuple():
            return " ".join(map(str, value))
        case bool():
            return str(value).lower()
        case datetime():
            text = value.astimezone(UTC).isoformat(timespec="auto").replace("+00:00", "Z")
            return text.replace("000Z", "Z") if "." in text else text
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def keys_of(found: object) -> set[bytes]:
    if isinstance(found, AuthorizationRequest):
        return {found.leg_key}
    assert isinstance(found, Report)
    return set(found.leg_keys)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dialect}: {case.title}")
def test_a_packet_is_read_as_its_dialect_says(case: Case, tmp_path: Path) -> None:
    nas = softswitch(case, tmp_path)

    found = what_is_read(case, nas)

    if case.dropped is not None:
        assert isinstance(found, DropReason)
        assert found.value == case.dropped
        return
    if case.unknown is not None:
        assert isinstance(found, UnknownRecord)
        assert (found.status, found.attributes, found.at) == (case.unknown[0], "".join(case.unknown[1]), NOW)
        return
    assert case.read, "a case expects something"
    assert not isinstance(found, DropReason)
    for name, expected in case.read:
        assert f"{name} = {seen(name, expected, case, found, nas, tmp_path)}" == f"{name} = {expected}"


def seen(name: str, expected: str, case: Case, found: object, nas: Nas, directory: Path) -> str:
    """Return what is to be compared with *expected*."""
    if name == "sequence":
        number = sequence_number(frame_of(case, nas), nas, SOURCE)
        return "-" if number is None else f"{number[0]} {number[1]}"
    if name not in ("linked", "apart"):
        return shown(getattr(found, name))
    [other] = [other for other in FILES[case.dialect] if other.title == expected]
    shared = keys_of(found) & keys_of(what_is_read(other, softswitch(other, directory)))
    return expected if bool(shared) is (name == "linked") else f"{name} does not hold"


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.replies], ids=lambda case: f"{case.dialect}: {case.title}"
)
def test_a_reply_is_written_as_its_dialect_says(case: Case, tmp_path: Path) -> None:
    nas = softswitch(case, tmp_path)

    for what, expected in case.replies:
        sent = reply(what, nas)
        is_accept = not what.startswith(("reject", "authenticated"))

        assert [line for kind, line in spelled(sent) if kind != CLASS] == expected
        assert (CLASS in {kind for kind, _ in spelled(sent)}) is is_accept


def reply(what: str, nas: Nas) -> bytes:
    kind, _, reason = what.partition(" ")
    if kind == "reject":
        return reject_attributes(Denial(reason), nas)
    if kind == "authenticated":
        return authenticated_attributes(Authenticated(CLIENT, ACCOUNT, AVAILABLE), nas)
    candidate = Candidate(CLIENT, ACCOUNT, RATE, "442071234567")
    return accept_attributes(Authorized(candidate, int(kind), Decimal(1), AVAILABLE), (bytes(16), 0), nas)


def spelled(octets: bytes) -> list[tuple[int, str]]:
    """Return each attribute's number, and name and value as they are on the wire."""
    names = {definition.key: definition.name for definition in standard().by_name.values()} | {225: "SIP-AVP"}
    lines = []
    while octets:
        kind, value, octets = octets[0], octets[2 : octets[1]], octets[octets[1] :]
        if kind == VENDOR_SPECIFIC:
            vendor, inner = int.from_bytes(value[:4]), value[6:]
            lines.append((kind, f"{vendor}/{names[9 << 8 | value[4]]} = {inner.decode()}"))
        elif kind == 27:
            lines.append((kind, f"Session-Timeout = {int.from_bytes(value)}"))
        else:
            lines.append((kind, f"{names[kind]} = {value.decode('utf-8', 'replace')}"))
    return lines


def test_a_tag_is_cut_to_128_characters() -> None:
    long = Case("kamailio", "long", packet=[("Cisco-AVPair", f"from-tag={'x' * 200}")], is_access=True)

    found = what_is_read(long, nas_of("kamailio"))

    assert isinstance(found, AuthorizationRequest)
    assert found.tags == ("x" * 128,)


# --- the tables -------------------------------------------------------------------------------------


def test_every_dialect_has_vectors() -> None:
    assert set(FILES) == set(DIALECTS)
    assert {case.dialect for case in CASES} == set(DIALECTS)


def proven(case: Case) -> set[str]:
    """Return the columns of the table in docs/switches.md to which a case belongs."""
    read = dict(case.read)
    alone = read.get("authentication_only") == "true"
    unanswered = read.get("session_seconds") == "0" or (
        "connect_at" in read and read["connect_at"] == read.get("disconnect_at")
    )
    told = {
        "authorization": case.is_access and not alone,
        "limit": any(what.isdecimal() for what, _ in case.replies),
        "accounting": not case.is_access and bool(case.read),
        "vendor legs": read.get("leg") == "termination",
        "failed calls": read.get("kind") == "failed" or unanswered,
        "authentication alone": alone,
    }
    return {column for column, is_so in told.items() if is_so}


def test_the_table_of_the_documentation_says_what_is_proven_by_vectors() -> None:
    page = (Path(__file__).parents[2] / "docs" / "switches.md").read_text(encoding="utf-8")
    table = page.partition("## What is proven, and by what")[2]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line[:1] == "|"
    ]
    cells = {
        (row[0].strip("`"), column): cell for row in rows for column, cell in zip(head, row, strict=True)
    }
    by_vectors = {(case.dialect, column) for case in CASES for column in proven(case)}

    assert {row[0].strip("`") for row in rows} == set(DIALECTS)
    assert {key for key, cell in cells.items() if cell in ("packet", "page")} <= by_vectors
    assert {key for key, cell in cells.items() if cell == "–"} & by_vectors == set()  # noqa: RUF001


def test_the_documentation_says_for_every_dialect_what_tells_conversations_apart() -> None:
    page = (Path(__file__).parents[2] / "docs" / "switches.md").read_text(encoding="utf-8")
    part = page.partition("## Which conversation a packet is of")[2].partition("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| `")]
    named = {row.split("`")[1]: row for row in rows}

    assert list(named) == list(DIALECTS)
    for dialect in DIALECTS.values():
        # What stands in an AVPair is named by its key.
        plain = [source for source in dialect.tags if ":" not in source]
        assert [source for source in plain if source not in named[dialect.name]] == []


def test_the_fields_that_say_where_values_stand_are_known() -> None:
    texts = {item.name for item in fields(Dialect) if item.type == tuple[str, ...]}

    assert set(SOURCES) == texts - {"dictionaries", "access_dictionaries", "accounting_dictionaries"}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_source_that_a_family_names_for_itself_can_be_read(dialect: Dialect) -> None:
    """What a table leaves out is as gateways do it, and may be absent where Cisco's attributes are."""
    inherited = {name: getattr(Dialect("none"), name) for name in SOURCES}

    for name in SOURCES:
        own = getattr(dialect, name)
        if own != inherited[name]:
            assert [source for source in own if not is_readable(source, dialect)] == [], name


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_accept_limits_the_call(dialect: Dialect) -> None:
    assert dialect.limit_attributes
    assert dialect.vsa_form is not VsaForm.NONE or Limit.SESSION_TIMEOUT in dialect.limit_attributes


@pytest.mark.parametrize("name", DIALECTS)
def test_no_accept_says_how_often_a_switch_reports_p_091(name: str) -> None:
    kinds = [kind for kind, _ in spelled(reply("60", Nas("gw", (), SECRET, name)))]

    assert CLASS in kinds
    assert 85 not in kinds


def test_numbers_that_two_files_use_differently_do_not_go_together() -> None:
    directory = dictionary_directory()
    clashes = {
        "cisco-calling": ["dictionary", "dictionary.cisco", "dictionary.gnugk"],
        "opensips": ["dictionary", "dictionary.openser"],
    }

    for name, others in clashes.items():
        with pytest.raises(DictionaryError, match="is defined already"):
            load([*(directory / other for other in others), directory / f"dictionary.{name}"])


def test_every_dictionary_is_used_by_a_dialect() -> None:
    used = {
        name
        for dialect in DIALECTS.values()
        for name in (*dialect.dictionaries, *dialect.access_dictionaries, *dialect.accounting_dictionaries)
    }
    files = {path.suffix[1:] for path in dictionary_directory().glob("dictionary.*")}

    assert files - used == {"disconnect"}


def test_squatted_numbers_are_unknown_where_another_switch_is_spoken_to() -> None:
    assert tables(DIALECTS["kamailio"], access=False).by_key[101].name == "Sip-Method"
    assert 101 not in tables(DIALECTS["kamailio"], access=True).by_key
    assert 101 not in tables(DIALECTS["cisco"], access=False).by_key
    assert tables(DIALECTS["opensips"], access=False).by_key[204].name == "Sip-Method"
    assert tables(DIALECTS["gnugk"], access=False).by_key[9 << 8 | 116].name == "preferred-codec"


def test_only_the_leg_that_answers_the_caller_is_an_origination_unless_said_otherwise() -> None:
    others = {dialect.name: dict(dialect.legs) for dialect in DIALECTS.values() if dialect.legs != LEGS}

    assert set(others) == {"gnugk", "freeswitch"}


def test_a_failed_kind_is_read_from_every_status_that_means_it() -> None:
    kinds = {case.title: what_is_read(case, nas_of(case.dialect)) for case in FILES["kamailio"]}

    failed = [
        title for title, found in kinds.items() if isinstance(found, Report) and found.kind is Kind.FAILED
    ]
    assert failed == ["A call that failed", "A Stop for a CANCEL is a call that failed, too"]


def nas_of(dialect: str) -> Nas:
    return Nas(name="gw", networks=(network(SOURCE),), secret=SECRET, dialect=dialect)
