"""A softswitch is known by the address it sends from."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.session import Leg
from radiusd.nas import TLS_SECRET, Nas, NasTable, network


def nas(*texts: str) -> Nas:
    networks = tuple(network(text) for text in texts)
    return Nas(name=texts[0], networks=networks, secret=b"xyzzy5461", dialect="cisco")


TABLE = NasTable(
    nas(text)
    for text in (
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.3",
        "::ffff:192.0.2.0/120",
        "2001:db8::/32",
        "fe80::1",
    )
)

FOUND = {
    "10.1.2.3": "10.1.2.3",
    "10.1.2.4": "10.1.0.0/16",
    "10.2.0.0": "10.0.0.0/8",
    "11.0.0.1": "0.0.0.0/0",
    "::ffff:10.1.2.3": "10.1.2.3",
    "192.0.2.77": "::ffff:192.0.2.0/120",
    "2001:db8:1::1": "2001:db8::/32",
    "fe80::1%eth0": "fe80::1",
    "fe80::2%eth0": None,
}


@pytest.mark.parametrize(("address", "name"), FOUND.items())
def test_the_longest_prefix_around_the_address_wins(address, name):
    found = TABLE.find(address)

    assert (found.name if found else None) == name


def test_the_longest_prefix_wins_whichever_softswitch_has_others():
    table = NasTable([nas("10.1.2.3", "10.0.0.0/8"), nas("10.1.0.0/16", "2001:db8::/32"), nas("10.2.2.2")])
    sources = ("10.1.2.3", "10.1.2.4", "10.9.9.9", "2001:db8::1", "10.2.2.2")

    found = [entry.name if (entry := table.find(source)) else None for source in sources]

    assert found == ["10.1.2.3", "10.1.0.0/16", "10.1.2.3", "10.1.0.0/16", "10.2.2.2"]
    assert table.find("192.0.2.1") is None


def test_over_tls_nobody_else_can_send():
    table = NasTable([replace(nas("10.1.2.3"), certificate="Switch.example")])

    over_tls, by_address = table.by_certificate(["switch.example"]), table.find("10.1.2.3")

    assert over_tls is not None
    assert by_address is not None
    assert (over_tls.secret, over_tls.trusted_path) == (TLS_SECRET, True)
    assert (by_address.secret, by_address.trusted_path) == (b"xyzzy5461", False)


def test_over_tls_a_switch_comes_from_its_addresses_or_from_anywhere_if_it_has_none():
    fixed = replace(nas("10.1.2.3"), certificate="switch.example")
    roaming = replace(fixed, name="roaming", networks=(), certificate="roaming.example")

    assert fixed.is_at("10.1.2.3")
    assert fixed.is_at("::ffff:10.1.2.3")
    assert not fixed.is_at("10.1.2.4")
    assert not fixed.is_at("2001:db8::1")
    assert roaming.is_at("2001:db8::1")
    assert [NasTable([fixed]).may_come_by_tls(source) for source in ("10.1.2.3", "10.1.2.4")] == [True, False]
    assert NasTable([fixed, roaming]).may_come_by_tls("10.1.2.4")
    assert not NasTable([nas("10.1.2.3")]).may_come_by_tls("10.1.2.3")


def test_calls_are_known_under_the_name_of_their_switch():
    assert nas("10.1.2.3").switch == "10.1.2.3"
    assert replace(nas("10.1.2.4"), same_as="10.1.2.3").switch == "10.1.2.3"


def test_an_address_is_found_again():
    assert TABLE.find("10.1.2.3") is TABLE.find("10.1.2.3")


def test_what_is_no_address_is_our_mistake():
    with pytest.raises(ValueError, match=r'"gw\.example" is not an IP address'):
        TABLE.find("gw.example")


networks_v4 = st.builds(
    lambda number, length: f"{ip_address(number)}/{length}", st.integers(0, 2**32 - 1), st.integers(0, 32)
).map(lambda text: str(ip_network(text, strict=False)))


@given(st.sets(networks_v4, max_size=8), st.integers(0, 2**32 - 1))
def test_finding_agrees_with_looking_at_every_network(texts, number):
    source = ip_address(number)
    around = [ip_network(text) for text in texts if source in ip_network(text)]
    closest = max(around, key=lambda network: network.prefixlen, default=None)

    found = NasTable(map(nas, texts)).find(str(source))

    assert (found.networks[0] if found else None) == closest


def test_two_softswitches_cannot_have_the_same_network():
    with pytest.raises(AssertionError, match=r"two softswitches at 10\.0\.0\.0/8"):
        NasTable([nas("10.0.0.0/8"), nas("192.0.2.1", "::ffff:10.0.0.0/104")])


BAD_NETWORKS = {
    "gw.example": r'"gw\.example" is not an IP address or network, such as 192\.0\.2\.0/24',
    "": "is not an IP address or network",
    "10.0.0.0/33": "is not an IP address or network",
    " 10.0.0.1": "is not an IP address or network",
    "10.0.0.1/8": r"10\.0\.0\.1/8 is inside a network; write 10\.0\.0\.0/8 for all of it,"
    r" or 10\.0\.0\.1 alone",
}


@pytest.mark.parametrize(("text", "message"), BAD_NETWORKS.items())
def test_a_network_that_cannot_be_meant_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        network(text)


NETWORKS = {
    "::ffff:10.0.0.1": "10.0.0.1/32",
    "::ffff:10.0.0.0/104": "10.0.0.0/8",
    "fe80::1%eth0": "fe80::1/128",
    "::/0": "::/0",
}


@pytest.mark.parametrize(("text", "meant"), NETWORKS.items())
def test_a_network_is_written_in_several_ways(text, meant):
    assert str(network(text)) == meant


def test_a_softswitch_never_shows_its_secret():
    assert "xyzzy5461" not in repr(nas("10.0.0.1"))


def test_the_leg_that_answers_the_caller_is_the_origination():
    assert dict(nas("10.0.0.1").speaks.legs) == {"answer": Leg.ORIGINATION, "originate": Leg.TERMINATION}


def test_a_table_keeps_the_order_of_the_settings():
    assert [entry.name for entry in TABLE][:2] == ["0.0.0.0/0", "10.0.0.0/8"]
    assert len(TABLE) == 7
