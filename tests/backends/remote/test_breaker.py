"""The breaker: it opens after a run of faults, and probes gently."""

from __future__ import annotations

from typing import Any

import pytest

from assetstore.backends.remote.retry import Breaker, Permit


@pytest.fixture
def breaker(clock: Any) -> Breaker:
    return Breaker(3, 1.0, 4.0, clock=clock, jitter=lambda: 0.0)


def admitted(breaker: Breaker) -> Permit:
    given = breaker.admit()
    assert given is not None
    return given


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(admitted(breaker))


def test_a_run_of_faults_opens_it(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert not breaker.is_open
    fail(breaker)
    assert breaker.is_open
    assert breaker.admit() is None
    assert breaker.wait_seconds == 1.0


def test_a_success_ends_the_run(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.succeeded(admitted(breaker))
    fail(breaker, 2)
    assert not breaker.is_open


def test_one_probe_at_a_time_goes_out(breaker: Breaker, clock: Any) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    assert admitted(breaker).probe
    assert breaker.admit() is None


def test_a_probe_that_works_closes_it(breaker: Breaker, clock: Any) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    breaker.succeeded(admitted(breaker))
    assert not breaker.is_open
    assert not admitted(breaker).probe


def test_each_probe_that_fails_doubles_the_wait_up_to_a_limit(breaker: Breaker, clock: Any) -> None:
    fail(breaker, 3)
    waits = []
    for _ in range(4):
        waits.append(breaker.wait_seconds)
        clock.now += breaker.wait_seconds
        fail(breaker)
    assert waits == [1.0, 2.0, 4.0, 4.0]


def test_after_it_closed_the_wait_is_the_first_one_again(breaker: Breaker, clock: Any) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    fail(breaker)
    clock.now += 2.0
    breaker.succeeded(admitted(breaker))
    fail(breaker, 3)
    assert breaker.wait_seconds == 1.0


def test_a_probe_whose_client_left_makes_room_for_another(breaker: Breaker, clock: Any) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    breaker.abandoned(admitted(breaker))
    assert admitted(breaker).probe


def test_requests_from_before_it_opened_change_nothing_by_failing(breaker: Breaker) -> None:
    early = [admitted(breaker) for _ in range(10)]
    for given in early:
        breaker.failed(given)
    assert breaker.wait_seconds == 1.0


def test_a_storage_that_names_a_rest_gets_it_within_the_limit(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.failed(admitted(breaker), 3.0)
    assert breaker.wait_seconds == 3.0
    other = Breaker(1, 1.0, 4.0, jitter=lambda: 0.0)
    other.failed(admitted(other), 600.0)
    assert 3.9 < other.wait_seconds <= 4.0


def test_a_fleet_does_not_probe_in_step(clock: Any) -> None:
    waits = set()
    for lot in (0.0, 0.5, 1.0):
        breaker = Breaker(1, 1.0, 4.0, clock=clock, jitter=lambda lot=lot: lot)  # type: ignore[misc]
        breaker.failed(admitted(breaker))
        waits.add(breaker.wait_seconds)
    assert waits == {1.0, 1.125, 1.25}
