"""An operator asks why: of a call that came over the wire, and of one that was refused."""

from daemon_process import Daemon
from radius_switch import START, STOP, new_call, raw

from radiusd.codec import encode

ITALY = "390612345678"


def test_a_real_call_is_explained_from_its_accept_to_its_charge(daemon: Daemon) -> None:
    client, other, call = daemon.client(credit="10"), new_call(), new_call()
    daemon.billing.apply(f'[[client]]\nname = "{client}"\nconcurrency = {{ policy = "share", calls = 2 }}\n')
    with daemon.switch() as switch:
        first = switch.ask(switch.access(user=client, call=other))
        accept = switch.ask(switch.access(user=client, call=call))
        switch.ask(switch.record(START, call, accept.classes, user=client))
        switch.ask(switch.record(STOP, call, accept.classes, user=client, seconds=61))

    [leg] = daemon.billing("explain", call)["legs"]
    facts = leg["decision"]
    words = daemon.billing.run("explain", call)[1]

    assert first.accepted
    assert (leg["client"], leg["account"], facts["by"]) == (client, client, "name")
    assert (facts["code"], facts["price"]) == ("44", "0.6")
    assert (facts["live"], facts["credit"], facts["reserved"], facts["usable"]) == ("0", "10", "5", "5")
    assert [(held["call_id"], held["set_aside"]) for held in leg["held_by_others"]] == [(other, "5")]
    assert facts["capacity"]["client"] == [None, 1]
    assert facts["seconds"] == accept.seconds == 500
    assert f"account: {client} of client {client}, matched by name" in words
    assert "code 44" in words
    assert f"money held by call {other}: 5 from " in words
    assert "granted: 500 s, the longest call that " in words
    assert "charge: (0 + 0.60 x 61 / 60) = 0.610000 USD" in words


def test_a_refusal_is_explained_though_it_has_no_record_of_a_call(daemon: Daemon) -> None:
    client, call = daemon.client(credit="1"), new_call()
    with daemon.switch() as switch:
        reject = switch.ask(switch.access(user=client, called=ITALY, call=call))

    explained = daemon.billing("explain", call)
    [refusal] = explained["refusals"]
    words = daemon.billing.run("explain", call)[1]

    assert reject.return_code == "12"
    assert explained["legs"] == []
    assert (refusal["client"], refusal["account"], refusal["reason"]) == (client, client, "too_little")
    assert (refusal["decision"]["needed"], refusal["decision"]["usable"]) == ("6", "1")
    assert "refused, too_little" in words
    assert "needed: the first interval costs 6 USD" in words
    assert "missing: 5 USD" in words
    assert daemon.billing.xdrs(call) == []


def test_a_refused_stranger_may_call_himself_anything(daemon: Daemon) -> None:
    call = new_call()
    with daemon.switch() as switch:
        packet = switch.access(raw(1, b"m\0\xff\"'\\{}\x1b[2J"), user=None, call=call)
        reject = switch.ask(packet)

    [refusal] = daemon.billing("explain", call)["refusals"]

    assert reject.return_code == "1"
    assert refusal["decision"]["name"] == "m\\x00\\xff\"'\\{}\x1b[2J"
    assert "\x1b" not in daemon.billing.run("explain", call)[1]


def test_a_call_to_a_dearer_vendor_is_refused_and_explained(daemon: Daemon) -> None:
    client = daemon.client(credit="10", more="refuse_losses = true", rates="Flat")
    dear, fair, call = new_call(), new_call(), new_call()
    to_vendor = encode("Cisco-AVPair", "termination-address=203.0.113.20")
    with daemon.switch() as switch:
        reject = switch.ask(switch.access(to_vendor, user=client, call=dear))
        accept = switch.ask(switch.access(user=client, call=fair))
        other = switch.ask(
            switch.access(encode("Cisco-AVPair", "termination-address=203.0.113.99"), user=client, call=call)
        )

    [refusal] = daemon.billing("explain", dear)["refusals"]

    assert (accept.accepted, other.accepted) == (True, True)
    assert (reject.return_code, refusal["reason"]) == ("9", "blocked")
    assert refusal["decision"]["because"] == "0 a minute is below the vendor's 0.30"


def test_no_call_is_granted_more_than_charge_max_pays(daemon: Daemon) -> None:
    client, call = daemon.client(credit="10", more='charge_max = "2"'), new_call()
    with daemon.switch() as switch:
        accept = switch.ask(switch.access(user=client, call=call))

    assert accept.seconds == 200
    assert "granted: 200 s, the longest call that charge_max pays" in daemon.billing.run("explain", call)[1]
