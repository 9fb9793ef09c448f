"""That a pool is bounded, stops at a failure, and slows down when it is asked to."""

from __future__ import annotations

import threading
import time

import pytest

from assetstore.errors import BackendThrottled, BackendUnavailable
from assetstore.publish.pool import ATTEMPTS, LONGEST_WAIT_SECONDS, ConcurrencyLimit, WorkerPool


def test_results_come_with_their_jobs_in_order() -> None:
    assert list(WorkerPool(4).run(range(50), lambda job: job * job)) == [(job, job * job) for job in range(50)]


def test_no_more_than_the_workers_run_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(job: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    list(WorkerPool(3).run(range(40), work))
    assert most == 3


def test_jobs_are_taken_only_as_they_are_needed() -> None:
    taken = 0

    def jobs() -> object:
        nonlocal taken
        for job in range(1000):
            taken += 1
            yield job

    results = WorkerPool(2).run(jobs(), lambda job: job)  # type: ignore[arg-type]
    next(results)
    assert taken <= 4
    results.close()  # type: ignore[attr-defined]


def test_the_first_failure_is_raised_and_nothing_further_is_begun() -> None:
    begun: list[int] = []

    def work(job: int) -> None:
        begun.append(job)
        if job == 3:
            raise BackendUnavailable("down")

    with pytest.raises(BackendUnavailable, match="down"):
        list(WorkerPool(1).run(range(100), work))
    assert begun == [0, 1, 2, 3]


def test_a_throttled_job_is_tried_again_after_a_wait_and_fewer_run() -> None:
    waits: list[float] = []
    pool = WorkerPool(8, sleep=waits.append)
    refusals = iter([True, True, False])

    def work(job: int) -> str:
        if next(refusals):
            raise BackendThrottled("slow down")
        return "done"

    assert list(pool.run([1], work)) == [(1, "done")]
    assert len(waits) == 2
    assert all(0 < wait <= LONGEST_WAIT_SECONDS for wait in waits)
    assert pool.limit.limit < 8


def test_the_wait_that_the_storage_asks_for_is_kept() -> None:
    waits: list[float] = []
    refusals = iter([True, False])

    def work(job: int) -> None:
        if next(refusals):
            raise BackendThrottled("slow down", retry_after_seconds=3.5)

    list(WorkerPool(2, sleep=waits.append).run([1], work))
    assert waits == [3.5]


def test_a_storage_that_never_stops_throttling_is_given_up() -> None:
    tries: list[int] = []

    def work(job: int) -> None:
        tries.append(job)
        raise BackendThrottled("slow down")

    with pytest.raises(BackendThrottled):
        list(WorkerPool(2, sleep=lambda seconds: None).run([1], work))
    assert len(tries) == ATTEMPTS


def test_the_concurrency_limit_halves_and_grows_back_slowly() -> None:
    limit = ConcurrencyLimit(16)
    limit.slower()
    limit.slower()
    assert limit.limit == 4
    limit.slower()
    limit.slower()
    limit.slower()
    assert limit.limit == 1
    for _ in range(200):
        limit.faster()
    assert limit.limit == 16
