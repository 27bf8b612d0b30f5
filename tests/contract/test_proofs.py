"""A response to a challenge of ours serves one call, whichever worker decides, on either storage."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from calls import ALICE_ACCOUNT, NOON, Password, at, failed, request, stop
from worlds import World

from billing_core.authorization import Authenticated, Authorized, Denied, ProofUsed
from billing_core.charging import Charging, Outcome
from billing_core.denial import Denial
from billing_core.proof import KEPT

USE = b"nonce and count."
BOBS: dict[str, Any] = {"name": "bob"}
DIALOG = {"tags": ("from-1",)}
OTHER_DIALOG = {"tags": ("from-2",)}
NO_CALL: dict[str, Any] = {"authentication_only": True, "called": ""}


class Workers:
    """Two workers on one storage, who are asked in turn: neither knows what the other has decided."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._workers = [world.charging(), world.charging()]

    def ask(self, call: str = "call-1", now: datetime = NOON, **fields: Any) -> Outcome:
        self._workers.reverse()
        fields.setdefault("session_id", call)
        (outcome,) = self._workers[0].handle([request(call, **{"proof_use": USE, **fields})], now)
        return outcome

    def kinds(self, *questions: dict[str, Any]) -> list[type[Outcome]]:
        return [type(self.ask(**fields)) for fields in questions]


@pytest.fixture
def workers(world: World) -> Workers:
    return Workers(world)


def test_a_proof_serves_one_call(workers: Workers) -> None:
    first = workers.ask()
    replays = [workers.ask(f"call-{number}", at(number)) for number in range(2, 14)]
    state = workers.world.state()

    assert isinstance(first, Authorized)
    assert replays == [ProofUsed(first.candidate.client, ALICE_ACCOUNT)] * 12
    assert [leg.call_id for leg in state.sessions.values()] == ["call-1"]
    assert state.refusals == []
    assert state.balances[1].in_use == 1


def test_it_serves_one_call_within_a_batch_too(world: World) -> None:
    batch = [request(f"call-{number}", proof_use=USE) for number in range(3)]

    assert [type(outcome) for outcome in world.charging().handle(batch, NOON)] == [
        Authorized,
        ProofUsed,
        ProofUsed,
    ]


@pytest.mark.parametrize(
    "again",
    [{}, DIALOG, {**DIALOG, "called": "4420"}],
    ids=["the same", "a tag told", "moved on"],
)
def test_a_question_about_the_same_conversation_is_believed_again(
    workers: Workers, again: dict[str, Any]
) -> None:
    first = DIALOG if "called" in again else {}

    assert workers.kinds(first, again, again) == [Authorized] * 3
    assert len(workers.world.state().sessions) == 1


@pytest.mark.parametrize(
    ("first", "twin"),
    [
        (DIALOG, OTHER_DIALOG),
        ({}, {"called": "4420"}),
        ({}, {"nas": "gw 2", "leg_key": b"a call of gw 2.."}),
    ],
    ids=["of another dialog", "to another number", "by another switch"],
)
def test_a_twin_of_the_call_is_not_believed(
    workers: Workers, first: dict[str, Any], twin: dict[str, Any]
) -> None:
    assert workers.kinds(first, twin, first, twin) == [Authorized, ProofUsed, Authorized, ProofUsed]


def test_a_call_that_has_ended_was_the_one_that_it_served(world: World) -> None:
    workers = Workers(world)
    workers.ask()
    world.charging().handle([stop(5, session_id="call-1", event_at=at(5))], at(5))

    assert isinstance(workers.ask(now=at(6)), ProofUsed)


def test_other_counts_other_clients_and_proofs_that_are_not_ours_are_not_meant(workers: Workers) -> None:
    counted = [{"call": f"call-{number}", "proof_use": bytes([number] * 16)} for number in range(3)]
    not_ours = [{"call": f"other-{number}", "proof_use": b""} for number in range(3)]

    assert ProofUsed not in workers.kinds({}, *counted, *not_ours, {"call": "bob's", **BOBS})


# --- what uses a proof up ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        ({"called": "33123"}, Denial.NO_RATE),
        ({"barred": "the realm of another"}, Denial.ACCOUNT_OFF),
    ],
    ids=lambda value: value.value if isinstance(value, Denial) else "",
)
def test_a_refused_question_uses_up_its_proof_for_every_other_call(
    workers: Workers, refused: dict[str, Any], reason: Denial
) -> None:
    first = workers.ask(**refused)
    replays = workers.kinds(
        {"call": "call-2"}, {"call": "call-3", **refused}, {}, {**DIALOG, "called": "4420"}
    )

    assert isinstance(first, Denied)
    assert first.reason is reason
    assert replays == [ProofUsed, ProofUsed, Authorized, ProofUsed]
    assert len(workers.world.state().refusals) == 1


def test_a_call_without_money_uses_it_up_and_may_be_asked_about_again(workers: Workers) -> None:
    workers.ask("all his money", proof_use=b"", **BOBS)
    kinds = workers.kinds(*[{"call": call, **BOBS} for call in ("call-1", "call-2", "call-1")])

    assert kinds == [Denied, ProofUsed, Denied]
    assert [item.call_id for item in workers.world.state().refusals] == ["call-1"] * 2


def test_what_is_not_proven_uses_nothing_up(workers: Workers) -> None:
    kinds = workers.kinds(
        {"call": "call-2", "credential": Password("guess")},
        {"call": "call-3", "malformed": "User-Name"},
        {"call": "call-4", "name": "nobody"},
        {"call": "call-1"},
    )

    assert kinds == [Denied, Denied, Denied, Authorized]


def test_who_is_only_identified_uses_his_proof_up_for_other_calls_and_may_then_call(workers: Workers) -> None:
    kinds = workers.kinds(
        NO_CALL, NO_CALL, {"call": "call-2", **NO_CALL}, {"call": "call-2"}, DIALOG, OTHER_DIALOG, NO_CALL
    )

    assert kinds == [Authenticated, Authenticated, ProofUsed, ProofUsed, Authorized, ProofUsed, Authenticated]


# --- how long, and at once --------------------------------------------------------------------------------


def test_uses_are_forgotten_when_their_nonces_are_long_too_old(world: World) -> None:
    workers = Workers(world)
    workers.ask()
    world.sweep().run(NOON + KEPT)
    kept = workers.ask("call-2", NOON + KEPT)
    world.sweep().run(NOON + 2 * KEPT)

    assert isinstance(kept, ProofUsed)
    assert not isinstance(workers.ask("call-2", NOON + 2 * KEPT), ProofUsed)


def test_of_two_workers_who_are_shown_one_proof_at_once_one_believes_it(postgres: World) -> None:
    workers = [postgres.charging() for _ in range(2)]
    both = threading.Barrier(2)

    def ask(worker: Charging, attempt: int, call: str) -> Outcome:
        both.wait()
        return worker.handle([request(call, proof_use=attempt.to_bytes(16), **BOBS)], NOON)[0]

    with ThreadPoolExecutor(2) as pool:
        for attempt in range(20):
            calls = [f"call-{attempt}-{place}" for place in range(2)]
            outcomes = pool.map(ask, workers, [attempt] * 2, calls)
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Authorized", "ProofUsed"]
            workers[0].handle([failed(call, session_id=call, name="bob") for call in calls], NOON)


def test_a_batch_without_such_proofs_asks_the_database_no_more_than_before(
    postgres: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        "billing_core.storage.postgres.PostgresTurn.proofs", lambda turn, ids: asked.append(ids)
    )
    postgres.charging().handle([request(), request("call-2", **BOBS), stop(5, "call-3")], NOON)

    assert asked == []
