"""When a request is sent again: RFC 5080 section 2.2.1."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd.retransmission import IN_ALL_SECONDS, JITTER, SENT_MAX, first

JITTERS = st.lists(st.floats(-JITTER, JITTER), min_size=8, max_size=8)


def sent_at(chances: list[float]) -> tuple[list[float], float]:
    """Return when a request nobody answers is sent, and when it is given up."""
    schedule = first(100.0, chances[0])
    times = [100.0]
    for chance in chances[1:]:
        now = schedule.due
        following = schedule.again(now, chance)
        if following is None:
            return times, now
        times.append(now)
        schedule = following
    raise AssertionError("never given up")


@pytest.mark.parametrize(
    ("chance", "times"),
    [(0.0, [0, 2, 6, 14]), (-0.1, [0, 1.8, 5.22, 11.718, 24.0642]), (0.1, [0, 2.2, 6.82, 16.522])],
)
def test_each_wait_is_twice_the_one_before(chance, times):
    sent, given_up = sent_at([chance] * 8)

    assert [moment - 100 for moment in sent] == pytest.approx(times)
    assert given_up == 130


@given(JITTERS)
def test_whatever_chance_says_a_request_is_given_up_in_time(chances):
    sent, given_up = sent_at(chances)

    assert len(sent) <= SENT_MAX
    assert given_up - sent[0] <= IN_ALL_SECONDS
    assert all(1.79 < later - earlier < 17.61 for earlier, later in pairwise(sent))


def test_chance_keeps_requests_out_of_step():
    assert first(0, -JITTER).due < first(0, 0).due < first(0, JITTER).due
