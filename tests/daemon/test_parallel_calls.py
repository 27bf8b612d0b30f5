"""Many questions at once about the money of one client, decided by several workers."""

import time
from collections import Counter
from contextlib import ExitStack

from daemon_process import StartDaemon, locked_balance
from radius_switch import STOP, new_call

SWITCHES, CALLS = 10, 20


def test_of_200_calls_at_once_exactly_those_are_accepted_that_the_money_pays_b_052_r_28(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon(radius='listen = ["127.0.0.1"]\nworkers = 3')
    client = daemon.client(credit="3", rates="Flat")
    with ExitStack() as stack:
        switches = [stack.enter_context(daemon.switch()) for _ in range(SWITCHES)]
        calls = [(switch, new_call()) for switch in switches for _ in range(CALLS)]
        questions = [(switch, call, switch.access(user=client, call=call)) for switch, call in calls]
        # Every worker has questions before any of them can look at the money.
        with locked_balance(daemon.url, client):
            for switch, _, question in questions:
                switch.send(question)
            time.sleep(0.4)
        # They come in any order: of what waits the newest is decided first.
        found = {one: one.answers([q for of, _, q in questions if of is one], 30) for one in switches}
        answers = [(switch, call, found[switch].get(question)) for switch, call, question in questions]
        accepted = [(switch, call) for switch, call, answer in answers if answer and answer.accepted]
        codes = Counter(answer.return_code for *_, answer in answers if answer)
        held = daemon.billing.money(client)
        for switch, call in accepted:
            switch.ask(switch.record(STOP, call, user=client, seconds=60))

    assert codes == {"0": 3, "6": 197}
    assert held == ("0", "3", 3)
    assert daemon.billing.money(client) == ("-3", "0", 0)
    assert daemon.billing.is_sound()
