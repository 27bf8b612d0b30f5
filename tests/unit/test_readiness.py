"""When we say that calls can be served, and what keeps us from it."""

from radiusd.readiness import BELIEVED_SECONDS, Beacon, Reason, readiness

NOW = 1000.0
AWAY = Reason("database", "away", "connection refused")
LOADING = Reason("worker 1", "loading", "process 7 has not all definitions yet")


def test_a_fresh_commit_and_loaded_workers_are_all_it_takes() -> None:
    assert readiness(None, NOW - 1, [], NOW).is_ready


def test_a_commit_is_believed_for_three_seconds() -> None:
    assert readiness(None, NOW - 2.9, [], NOW).is_ready

    assert not readiness(None, NOW - BELIEVED_SECONDS, [], NOW).is_ready


def test_one_failed_commit_is_no_outage_while_the_last_one_is_fresh() -> None:
    assert readiness(AWAY, NOW - 1, [], NOW).is_ready


def test_the_trouble_of_the_database_is_the_reason_once_commits_are_missing() -> None:
    assert readiness(AWAY, NOW - 60, [], NOW).reasons == (AWAY,)


def test_a_database_that_says_nothing_is_named_as_silent() -> None:
    [reason] = readiness(None, NOW - 60, [], NOW).reasons

    assert reason == ("database", "silent", "it takes no commit: the last 60 s ago")


def test_nothing_is_ready_before_the_first_commit() -> None:
    [reason] = readiness(None, None, [], NOW).reasons

    assert reason == ("database", "silent", "it takes no commit: none was taken yet")


def test_every_worker_that_has_not_loaded_is_a_reason_beside_the_database() -> None:
    assert readiness(AWAY, None, [LOADING], NOW).reasons == (AWAY, LOADING)


def test_the_beacon_goes_out_by_itself() -> None:
    supervisor = Beacon()
    worker = Beacon(supervisor.descriptor)
    assert not worker.is_lit(NOW)

    supervisor.light(NOW + 3)

    assert worker.is_lit(NOW + 2.9)
    assert not worker.is_lit(NOW + 3)
    supervisor.light(0.0)
    assert not worker.is_lit(NOW)
