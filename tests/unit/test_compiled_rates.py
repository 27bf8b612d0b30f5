"""The compiled form of rates gives back what was put in, to the last decimal, or says that it cannot."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core import compiled_rates
from billing_core.compiled_rates import CompiledRates, RateFields, compile_rates, compiled

amounts = st.decimals(-999_999_999, 999_999_999, places=8) | st.integers(-999_999_999, 999_999_999).map(
    Decimal
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.none() | st.timedeltas(timedelta(-40_000), timedelta(2_900_000)).map(lambda since: EPOCH + since)
seconds = st.integers(0, 86_400)
lengths = st.integers(0, 40)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

rates = st.lists(
    st.tuples(
        st.text("0123456789*#", min_size=1, max_size=40),
        texts,
        amounts,
        amounts,
        seconds,
        st.integers(1, 86_400),
        seconds,
        moments,
        moments,
        st.none() | texts.filter(bool),
        lengths,
        lengths,
        st.booleans(),
    ),
    max_size=20,
)


def fields(code: str = "44", **changed: object) -> RateFields:
    """Return the fields of a rate; *changed* differ."""
    usual = {
        "destination": "Anywhere",
        "price": Decimal("0.0190"),
        "fee": Decimal(0),
        "minimum": 1,
        "interval": 1,
        "grace": 0,
        "begin": None,
        "end": None,
        "profile": None,
        "shortest": 0,
        "longest": 0,
        "blocked": False,
    }
    return (code, *(usual | changed).values())  # type: ignore[return-value]


@given(rates)
def test_every_field_of_every_rate_comes_back(given_rates):
    found = compiled(given_rates)

    assert sorted(map(repr, found)) == sorted(map(repr, given_rates)), "as written, with every decimal"
    assert len(found) == len({code for code, *_ in given_rates})


def test_of_one_code_the_newest_comes_first():
    new_year = datetime(2026, 1, 1, tzinfo=UTC)
    dates = [None, new_year, new_year + timedelta(microseconds=1)]
    found = compiled([fields(begin=dates[place]) for place in (1, 0, 2)])
    ((code, number),) = found.prefixes("441")

    assert [version[7] for version in found.versions(code, number)] == dates[::-1]


def test_prefixes_of_a_number_come_from_the_shortest_to_the_longest():
    found = compiled([fields(code) for code in ("4420", "4", "44", "5", "442071")])

    assert [code for code, _ in found.prefixes("442071234567")] == ["4", "44", "4420", "442071"]


@pytest.mark.parametrize(
    "amount", ["0.00025000000000000000", "1E+2", "-0.5", "999999999.99999999", "0", "1.0000"]
)
def test_an_amount_keeps_its_value_however_it_was_computed(amount):
    ((_, _, price, fee, *_),) = compiled([fields(price=Decimal(amount), fee=Decimal(amount))])

    assert price == fee == Decimal(amount)


@pytest.mark.parametrize(
    "impossible",
    [
        {"price": Decimal("123456789012.123456789")},
        {"fee": Decimal("NaN")},
        {"minimum": -1},
        {"interval": 2**32},
        {"shortest": -1},
        {"longest": 65_536},
    ],
    ids=lambda changed: "".join(changed),
)
def test_a_rate_that_has_no_place_is_refused(impossible):
    with pytest.raises(ValueError):  # noqa: PT011 - the number's own parser may be the one who refuses
        compiled([fields(**impossible)])


def test_what_is_refused_is_named():
    with pytest.raises(ValueError, match="the rate of code 4420 is beyond what can be kept"):
        compiled([fields("4420", longest=65_536)])


def test_rates_of_one_code_that_do_not_come_together_are_refused():
    with pytest.raises(ValueError, match="must come together"):
        compile_rates([fields("44"), fields("45"), fields("44")], BytesIO())


def test_a_text_is_written_once_as_long_as_they_are_few(monkeypatch):
    def size(destinations: list[str]) -> int:
        out = BytesIO()
        compile_rates([fields(str(code), destination=name) for code, name in enumerate(destinations)], out)
        return len(out.getvalue())

    assert size(["Anywhere" * 100] * 9) < size(["Anywhere" * 100]) + 1000
    monkeypatch.setattr(compiled_rates, "_TEXTS_REMEMBERED_MAX", 1)
    found = compiled([fields(str(code), destination=f"Place {code % 3}") for code in range(9)])

    assert {code: destination for code, destination, *_ in found} == {
        str(code): f"Place {code % 3}" for code in range(9)
    }


@pytest.mark.parametrize("cut", [0, 3, 40, 100, -8])
def test_octets_that_are_not_whole_are_refused(cut):
    out = BytesIO()
    compile_rates([fields()], out)

    with pytest.raises(ValueError, match=r"compiled rates|cut to"):
        CompiledRates(memoryview(out.getvalue()[:cut]))


def test_octets_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="are not compiled rates"):
        CompiledRates(memoryview(b"x" * 4096))
