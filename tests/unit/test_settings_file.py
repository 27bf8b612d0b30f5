"""Settings files name every fault, each with its line."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from billing_core.settings import (
    Array,
    Document,
    Fault,
    Money,
    Name,
    PathBeside,
    Section,
    SettingsError,
    Timezone,
    address,
    amount,
    default,
    read,
    repeated,
    section,
    validate,
)


class Shop(Section):
    name: Name
    prices: Array[Money] = ()
    zone: Timezone = "UTC"
    open: bool = True


class Town(Section):
    size: int = 0
    map: PathBeside = default("map.txt")


class File(Section):
    town: Town = section()
    shop: Array[Shop] = ()


def document(text: str, file: str = "/etc/town.toml") -> Document:
    return Document(Path(file), text, tomli.loads(text))


def faults(text: str, *checks) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        validate(File, document(text, "town.toml"), *checks)
    return str(raised.value).splitlines()


def unreadable(tmp_path: Path, octets: bytes, **limit: int) -> str:
    file = tmp_path / "town.toml"
    file.write_bytes(octets)
    with pytest.raises(SettingsError) as raised:
        read(file, **limit)
    return str(raised.value).removeprefix(str(file))


def test_every_fault_is_reported_at_once_with_its_line_and_key():
    found = faults(
        "\n".join(
            [
                "[town]",
                "sise = 1",
                'map = ""',
                "[[shop]]",
                "prices = [",
                '  "1.50",',
                "  1.5,",
                '  "0,05",',
                "]",
                'zone = "Europe/Pari"',
                "[[shop]]",
                'name = " x"',
                'open = "yes "',
            ]
        )
    )

    assert found == [
        'town.toml:2: town.sise: unknown key; did you mean "size"?',
        "town.toml:3: town.map: must be the path of a file or directory",
        "town.toml:4: shop.name: missing",
        'town.toml:7: shop.prices: 1.5 is not exact without quotes; write it as a string: "1.5"',
        'town.toml:8: shop.prices: "0,05" has a comma; use a point, and nothing between thousands',
        'town.toml:10: shop.zone: "Europe/Pari" is not an IANA time zone, such as "Europe/Paris"'
        '; did you mean "Europe/Paris"?',
        'town.toml:12: shop.name: " x" must be 1 to 255 characters without spaces around them',
        "town.toml:13: shop.open: must be true or false without quotes, not a string",
    ]


WRONG_TYPES = {
    "town = 5": "town.toml:1: town: must be a table, not a whole number",
    "[town]\nsize = true": "town.toml:2: town.size: must be a whole number without quotes, not true or false",
    "[town]\nsize = 1.0": "town.toml:2: town.size: must be a whole number without quotes,"
    " not a number with a point",
    "[town]\nsize = 2026-01-01": "town.toml:2: town.size: must be a whole number without quotes, not a date",
    "[[shop]]\nname = 5": "town.toml:2: shop.name: must be a string in quotes, not a whole number",
    "[shop]\nname = 'x'": "town.toml:1: shop: must be an array in [ ], not a single table"
    " (an array of tables has double brackets)",
    "[[town]]\nsize = 1": "town.toml:1: town: must be a table, not an array (or a table in double brackets)",
}


@pytest.mark.parametrize(("text", "fault"), WRONG_TYPES.items())
def test_a_value_of_the_wrong_type_is_told_what_it_must_be(text, fault):
    assert faults(text) == [fault]


def test_an_absent_section_has_its_defaults_relative_to_the_file():
    file = validate(File, document(""))

    assert file.town == Town.model_construct(size=0, map=Path("/etc/map.txt"))


@pytest.mark.parametrize(("written", "found"), [("a/../b", "/etc/b"), ("../b", "/b"), ("/x", "/x")])
def test_a_path_is_relative_to_the_file_that_names_it(written, found):
    assert validate(File, document(f"town.map = '{written}'")).town.map == Path(found)


def test_a_check_runs_beside_faulty_values_and_sees_none_in_their_place():
    def check(seen: Document) -> list[Fault]:
        names = (((*path, "name"), shop["name"]) for path, shop in seen.tables("shop"))
        return [seen.fault(path, f"as line {seen.line_of(first)}") for path, first in repeated(names)]

    text = "shop = [{name = 'x'},\n{name = 'x', nme = 1},\n{name = 5}, {name = 5}]"

    assert [fault.partition(": ")[2] for fault in faults(text, check)] == [
        'shop.nme: unknown key; did you mean "name"?',
        "shop.name: as line 1",
        "shop.name: must be a string in quotes, not a whole number",
        "shop.name: must be a string in quotes, not a whole number",
    ]


def test_a_fault_never_repeats_a_string_that_may_be_secret():
    with pytest.raises(SettingsError) as raised:
        validate(File, document("[town]\nsize = 'hunter2'"))

    assert "hunter2" not in f"{raised.value!r} {raised.value} {raised.value.__context__!r}"
    assert "hunter2" not in repr(document("[town]\nsize = 'hunter2'"))


def test_a_long_list_of_faults_is_cut_and_counted():
    error = SettingsError([Fault(Path("f"), 1, "k", "m")] * 120, more=5)

    assert str(error).splitlines()[99:] == ["f:1: k: m", "... and 25 more"]


# --- files that cannot be read ----------------------------------------------------------------------


BROKEN = {
    b"a = 1\n\nb = \xff": ":3: octet 0xff is not UTF-8; save the file as UTF-8",
    b"a = 1\nb = [": ":2: not valid TOML: a value must be a string in quotes, a number,"
    " true, false, an array or a table",
    b"a = 1\na = 2\nb = 3": ":2: not valid TOML: this key or table is set twice; keep one"
    " (Cannot overwrite a value)",
    b"[a]\n[a]\n": ":2: not valid TOML: this key or table is set twice; keep one"
    " (Cannot declare ('a',) twice)",
    b'a = "x': ":1: not valid TOML: Unterminated string",
    b"a = " + b"9" * 5000: ": not valid TOML: a number has too many digits",
    b"a = " + b"[" * 5000: ": arrays or tables are nested too deeply",
}


@pytest.mark.parametrize("octets", BROKEN, ids=lambda octets: str(octets[:12]))
def test_a_file_that_is_not_toml_is_refused_with_the_line(tmp_path, octets):
    assert unreadable(tmp_path, octets) == BROKEN[octets]


def test_a_file_over_the_limit_is_refused(tmp_path):
    assert unreadable(tmp_path, b"#" * 1001, octets_max=1000) == ": is larger than 1,000 octets"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file or directory$"):
        read(tmp_path / "none.toml")


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path):
    file = tmp_path / "town.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")

    found = read(file)

    assert (found.data, found.line_of(("b",))) == ({"a": 1, "b": 2}, 2)


# --- lines ------------------------------------------------------------------------------------------


EVERYTHING = '''# a comment = [ " with ' everything
title = """
[not.a.table]
x = 1 """""
a.b."c.d" = { e = 1, f = [ "]", # }
  2 ] }
dates = [ 1979-05-27 07:32:00, 3.14 ]

[[client]]
name = 'x = "1"'

  [[client.account]]
  ip = "::1"
  [[client.account]]
  "tech_prefix" = '\\'
[[ client ]]
[client.company] # [x]
[[client.account]]
ip.x = 1
'''

LINES = {
    ("title",): 2,
    ("a", "b", "c.d"): 5,
    ("a", "b", "c.d", "e"): 5,
    ("a", "b", "c.d", "f", 0): 5,
    ("a", "b", "c.d", "f", 1): 6,
    ("dates", 1): 7,
    ("client",): 9,
    ("client", 0): 9,
    ("client", 0, "name"): 10,
    ("client", 0, "account", 0, "ip"): 13,
    ("client", 0, "account", 1): 14,
    ("client", 0, "account", 1, "tech_prefix"): 15,
    ("client", 1): 16,
    ("client", 1, "company"): 17,
    ("client", 1, "account", 0): 18,
    ("client", 1, "account", 0, "ip", "x"): 19,
    ("client", 1, "account", 0, "missing"): 18,
    ("nothing", 3): 1,
}


@pytest.mark.parametrize(("path", "line"), LINES.items(), ids=str)
def test_each_key_stands_on_its_line_and_a_missing_one_on_that_of_its_table(path, line):
    assert document(EVERYTHING).line_of(path) == line


keys = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=6)
scalars = st.one_of(st.integers(-99, 99), st.booleans(), st.sampled_from(['"]"', "a\nb", "'''", "#", "}"]))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)


class Writer:
    """Writes a table as TOML and notes the line of each path, knowing nothing of the reader."""

    def __init__(self, table: dict, breaks: int) -> None:
        self.text, self.lines, self.breaks = "", {}, breaks
        for key, value in table.items():
            self.pair((key,), value)
            self.text += "\n" * breaks + "# = [ { '\n"

    def note(self, path: tuple) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def pair(self, path: tuple, value: object) -> None:
        self.note(path)
        self.text += f"{json.dumps(path[-1], ensure_ascii=False)} = "
        self.value(path, value)

    def value(self, path: tuple, value: object) -> None:
        if isinstance(value, dict):
            self.text += "{"
            for place, (key, inner) in enumerate(value.items()):
                self.text += ", " if place else ""
                self.pair((*path, key), inner)
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for place, inner in enumerate(value):
                self.text += "\n" * self.breaks
                self.note((*path, place))
                self.value((*path, place), inner)
                self.text += ",# ]\n"
            self.text += "]"
        elif isinstance(value, str) and "\n" in value:
            self.text += '"""' + value + '"""'
        else:
            self.text += json.dumps(value, ensure_ascii=False)


@given(st.dictionaries(keys, values, max_size=4), st.integers(0, 2))
def test_every_value_is_found_on_the_line_where_it_was_written(table, breaks):
    written = Writer(table, breaks)

    read_back = document(written.text)

    assert read_back.data == table
    assert {path: read_back.line_of(path) for path in written.lines} == written.lines


# --- values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0", "12.50", "-10", "999999999.99999999", "007"])
def test_an_amount_is_exact(text):
    assert amount(text) == Decimal(text)


def test_there_is_no_negative_zero_of_money():
    assert not amount("-0.00").is_signed()


NO_AMOUNTS = [
    "",
    "NaN",
    "Infinity",
    "1e5",
    "1_000",
    "\uff11.5",
    " 1",
    "1 ",
    "+1",
    ".5",
    "5.",
    "1\n",
    "0x10",
    "--1",
]


@pytest.mark.parametrize("text", [*NO_AMOUNTS, "1,5", "1.234,56", "1234567890", "0.123456789"])
def test_what_is_not_plain_digits_is_no_amount(text):
    with pytest.raises(ValueError, match=r"is not an amount|has a comma"):
        amount(text)


def test_money_may_be_a_whole_number_but_not_too_large():
    shop = validate(File, document("[[shop]]\nname = 'x'\nprices = [5, -7]")).shop[0]

    assert shop.prices == (Decimal(5), Decimal(-7))
    assert "is not an amount" in faults("[[shop]]\nname = 'x'\nprices = [1234567890]")[0]
    assert (
        faults("[[shop]]\nname = 'x'\nprices = [nan, inf]")
        == ['town.toml:3: shop.prices: must be an amount in quotes, such as "12.50"'] * 2
    )
    assert "not true or false" in faults("[[shop]]\nname = 'x'\nprices = [true]")[0]


def test_the_zone_of_the_machine_is_no_time_zone():
    assert "is not an IANA time zone" in faults("[[shop]]\nname = 'x'\nzone = 'localtime'")[0]


ADDRESSES = {"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "fe80::1%eth0": "fe80::1"}


@pytest.mark.parametrize(("written", "meant"), ADDRESSES.items())
def test_an_address_is_compared_without_its_wrapping(written, meant):
    assert str(address(written)) == meant


def test_a_host_name_is_no_address():
    with pytest.raises(ValueError, match=r'"gw\.example" is not an IP address'):
        address("gw.example")
