"""A retransmission gets the first answer again and is never processed twice (P-060 to P-067)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd.duplicates import EXTENDED_LIFETIME_SECONDS, Admission, DuplicateCache, Resend

KEY = ("192.0.2.1", 50_000, 1812, 1, 42)
OTHER_KEY = ("192.0.2.1", 50_001, 1812, 1, 42)
FIRST = b"a" * 16
SECOND = b"b" * 16


def answered_cache(now: float = 0.0) -> DuplicateCache:
    cache = DuplicateCache(lifetime_seconds=10.0)
    cache.admit(KEY, FIRST, now)
    cache.answer(KEY, FIRST, b"reply", now)
    return cache


def test_a_new_request_is_fresh() -> None:
    assert DuplicateCache().admit(KEY, FIRST, 0.0) is Admission.FRESH


def test_a_copy_of_a_request_in_progress_is_dropped_however_often_it_comes() -> None:
    cache = DuplicateCache()
    cache.admit(KEY, FIRST, 0.0)

    assert [cache.admit(KEY, FIRST, 100.0 * copy) for copy in range(10)] == [Admission.IN_FLIGHT] * 10


def test_a_copy_of_an_answered_request_gets_the_same_octets_again() -> None:
    cache = answered_cache()

    assert [cache.admit(KEY, FIRST, 1.0) for _ in range(3)] == [Resend(b"reply")] * 3


def test_requests_from_another_port_do_not_meet() -> None:
    assert answered_cache().admit(OTHER_KEY, FIRST, 0.0) is Admission.FRESH


@pytest.mark.parametrize(("now", "outcome"), [(9.999, Resend(b"reply")), (10.0, Admission.FRESH)])
def test_an_answer_is_kept_for_its_lifetime_p_063(now: float, outcome: Admission | Resend) -> None:
    assert answered_cache().admit(KEY, FIRST, now) == outcome


def test_every_copy_extends_the_lifetime_but_not_past_thirty_seconds_after_the_first_answer() -> None:
    cache = answered_cache(now=1000.0)
    outcomes = {after: cache.admit(KEY, FIRST, 1000.0 + after) for after in (9.0, 18.0, 27.0, 29.9, 30.0)}

    assert outcomes.pop(30.0) is Admission.FRESH
    assert set(outcomes.values()) == {Resend(b"reply")}


def test_a_reused_number_is_a_new_request_and_purges_the_old_answer() -> None:
    cache = answered_cache()

    assert cache.admit(KEY, SECOND, 1.0) is Admission.FRESH
    assert cache.octets == 0
    assert cache.admit(KEY, FIRST, 1.0) is Admission.FRESH


def test_the_answer_to_a_superseded_request_is_not_sent_and_the_newer_ones_is() -> None:
    cache = DuplicateCache()
    cache.admit(KEY, FIRST, 0.0)
    cache.admit(KEY, SECOND, 0.001)

    assert not cache.answer(KEY, FIRST, b"old", 0.002)
    assert cache.admit(KEY, SECOND, 0.003) is Admission.IN_FLIGHT
    assert cache.answer(KEY, SECOND, b"new", 0.004)
    assert cache.admit(KEY, SECOND, 0.005) == Resend(b"new")


def test_the_answer_to_a_superseded_request_is_not_sent_even_when_it_comes_last() -> None:
    cache = DuplicateCache()
    cache.admit(KEY, FIRST, 0.0)
    cache.admit(KEY, SECOND, 0.001)
    cache.answer(KEY, SECOND, b"new", 0.002)

    assert not cache.answer(KEY, FIRST, b"old", 0.003)
    assert cache.admit(KEY, SECOND, 0.004) == Resend(b"new")


def test_a_request_that_failed_without_an_answer_is_processed_afresh_when_it_comes_again() -> None:
    cache = DuplicateCache()
    cache.admit(KEY, FIRST, 0.0)

    assert cache.forget(KEY, FIRST)
    assert cache.admit(KEY, FIRST, 1.0) is Admission.FRESH


def test_forgetting_a_superseded_request_leaves_the_newer_one_in_progress() -> None:
    cache = DuplicateCache()
    cache.admit(KEY, FIRST, 0.0)
    cache.admit(KEY, SECOND, 0.001)

    assert not cache.forget(KEY, FIRST)
    assert cache.admit(KEY, SECOND, 0.002) is Admission.IN_FLIGHT


def test_the_oldest_answers_go_first_when_there_are_too_many() -> None:
    cache = DuplicateCache(entries_max=3)
    for number in range(5):
        cache.admit(number, FIRST, float(number))
        cache.answer(number, FIRST, b"reply", float(number))

    assert len(cache) == 3
    assert cache.admit(2, FIRST, 5.0) == Resend(b"reply")
    assert cache.admit(0, FIRST, 5.0) is Admission.FRESH


def test_the_oldest_answers_go_first_when_they_are_too_big() -> None:
    cache = DuplicateCache(octets_max=100)
    for number in range(5):
        cache.admit(number, FIRST, 0.0)
        cache.answer(number, FIRST, b"r" * 40, 0.0)

    assert cache.octets == 80
    assert cache.admit(4, FIRST, 0.0) == Resend(b"r" * 40)
    assert cache.admit(2, FIRST, 0.0) is Admission.FRESH


def test_an_answer_just_repeated_outlives_those_that_were_not() -> None:
    cache = DuplicateCache(entries_max=2)
    for number in range(2):
        cache.admit(number, FIRST, 0.0)
        cache.answer(number, FIRST, b"reply", 0.0)
    cache.admit(0, FIRST, 1.0)
    cache.admit(2, FIRST, 1.0)

    assert cache.admit(0, FIRST, 1.0) == Resend(b"reply")


def test_requests_that_never_get_an_answer_cannot_fill_the_memory() -> None:
    cache = DuplicateCache(entries_max=100)
    for number in range(1000):
        cache.admit(number, FIRST, 0.0)

    assert len(cache) == 100
    assert cache.admit(999, FIRST, 0.0) is Admission.IN_FLIGHT


def test_a_thousand_reuses_of_one_number_take_one_place() -> None:
    cache = DuplicateCache()
    for number in range(1000):
        assert cache.admit(KEY, number.to_bytes(16), 0.001 * number) is Admission.FRESH

    assert len(cache) == 1


def test_expired_answers_leave_the_memory() -> None:
    cache = DuplicateCache()
    for number in range(100):
        cache.admit(number, FIRST, 0.0)
        cache.answer(number, FIRST, b"reply", 0.0)
    cache.admit(KEY, FIRST, 60.0)

    assert len(cache) == 1
    assert cache.octets == 0


@pytest.mark.parametrize("seconds", [0.0, 4.9, 30.1, float("nan")])
def test_a_lifetime_the_rfc_does_not_allow_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="5 to 30"):
        DuplicateCache(lifetime_seconds=seconds)


steps = st.lists(
    st.tuples(
        st.sampled_from(("admit", "answer", "forget")),
        st.integers(0, 2),
        st.sampled_from((FIRST, SECOND)),
        st.floats(0.0, 12.0),
    ),
    max_size=60,
)


@given(steps)
def test_the_cache_agrees_with_a_naive_account_of_the_rule(
    steps: list[tuple[str, int, bytes, float]],
) -> None:
    cache = DuplicateCache(lifetime_seconds=10.0)
    in_progress: dict[int, bytes] = {}
    told: dict[int, tuple[bytes, float, float]] = {}
    now = 0.0
    for step, key, authenticator, elapsed in steps:
        now += elapsed
        current = in_progress.get(key) == authenticator
        if step == "admit":
            known, first_at, last_at = told.get(key, (b"", 0.0, 0.0))
            repeated = known == authenticator and now < min(
                last_at + 10.0, first_at + EXTENDED_LIFETIME_SECONDS
            )
            if current:
                expected: Admission | Resend = Admission.IN_FLIGHT
            elif repeated:
                expected = Resend(authenticator)
                told[key] = (known, first_at, now)
            else:
                expected = Admission.FRESH
                told.pop(key, None)
                in_progress[key] = authenticator
            assert cache.admit(key, authenticator, now) == expected
        elif step == "answer":
            assert cache.answer(key, authenticator, authenticator, now) is current
            if current:
                del in_progress[key]
                told[key] = (authenticator, now, now)
        else:
            assert cache.forget(key, authenticator) is current
            if current:
                del in_progress[key]
