"""Worker threads with a concurrency limit that follows the storage's throttling."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

from assetstore.errors import BackendThrottled
from assetstore.util import backoff_seconds

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Jobs at once.
WORKERS = 16
#: How often one job is tried while the storage says to slow down, and the waits between.
ATTEMPTS = 8
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 20.0


class WorkerPool:
    """A bounded number of threads that work through jobs.

    At most *workers* jobs run and as many again wait, however many there are. When the storage
    throttles, the number that may run is halved and the job is tried again after a wait; each
    job that succeeds lets the number grow again, slowly.
    """

    def __init__(self, workers: int = WORKERS, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.workers = max(1, workers)
        self.limit = ConcurrencyLimit(self.workers)
        self._sleep = sleep

    def run(self, jobs: Iterable[Job], work: Callable[[Job], Result]) -> Iterator[tuple[Job, Result]]:
        """Each job with its result, in the order of the jobs.

        The first failure is raised; jobs that already run are waited for, no further one is begun.
        """
        failures: list[BaseException] = []
        with ThreadPoolExecutor(self.workers, thread_name_prefix="assetstore-publish") as threads:
            waiting: deque[tuple[Job, Future[Result]]] = deque()
            try:
                for job in jobs:
                    waiting.append((job, threads.submit(self._do_unless, failures, work, job)))
                    if len(waiting) >= 2 * self.workers:
                        yield _first(waiting, failures)
                while waiting:
                    yield _first(waiting, failures)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _do_unless(self, failures: list[BaseException], work: Callable[[Job], Result], job: Job) -> Result:
        if failures:
            raise CancelledError
        try:
            return self._do(work, job)
        except BaseException as error:
            failures.append(error)
            raise

    def _do(self, work: Callable[[Job], Result], job: Job) -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.limit:
                    result = work(job)
            except BackendThrottled as error:
                self.limit.slower()
                if attempt == ATTEMPTS:
                    raise
                self._sleep(_wait_seconds(attempt, error.retry_after_seconds))
            else:
                self.limit.faster()
                return result
        raise AssertionError("the last attempt returns or raises")


class ConcurrencyLimit:
    """How many may work at once: halved by each throttling, one more for every round of successes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._working = 0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may work now."""
        return int(self._limit)

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._working < self.limit)
            self._working += 1

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._working -= 1
            self._changed.notify()

    def slower(self) -> None:
        """Halve the limit: the storage throttles."""
        with self._changed:
            self._limit = max(1.0, self._limit / 2)

    def faster(self) -> None:
        """Raise the limit by one for each round of successes."""
        with self._changed:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
            self._changed.notify()


def _first(waiting: deque[tuple[Job, Future[Result]]], failures: list[BaseException]) -> tuple[Job, Result]:
    job, future = waiting.popleft()
    try:
        return job, future.result()
    except CancelledError:
        raise failures[0] from None


def _wait_seconds(attempt: int, retry_after: float | None) -> float:
    if retry_after is not None:
        return min(retry_after, LONGEST_WAIT_SECONDS)
    return backoff_seconds(attempt, 2 * FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, least=0.1)
