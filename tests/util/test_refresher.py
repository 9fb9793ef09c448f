"""BackgroundResolver anew: never two at once, jittered, patient with storage that fails, and over with its owner."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time

import pytest

from assetstore.errors import BackendError, BackendUnavailable
from assetstore.util.background import FIRST_RETRY_SECONDS, SHARE, Refresher
from waiting import eventually


class Owner:
    def __init__(self, refresh_seconds: float = 60.0) -> None:
        self.runs = self.at_once = self.most_at_once = 0
        self.down = False
        self.error: Exception = BackendUnavailable("it is down")
        self.takes_seconds = 0.0
        self.refresher = Refresher(self.refresh, "list the storage", refresh_seconds, "assetstore-test-refresher")

    def refresh(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.takes_seconds)
        self.at_once -= 1
        if self.down:
            raise self.error
        self.runs += 1


def threads() -> int:
    return sum(thread.name == "assetstore-test-refresher" for thread in threading.enumerate())


def test_the_pause_is_at_most_what_was_wished_and_a_tenth_less_at_the_least() -> None:
    owner = Owner(60.0)
    pauses = {owner.refresher._again() for _ in range(50)}
    assert 54.0 <= min(pauses) < max(pauses) <= 60.0


def test_what_takes_long_is_done_rarely() -> None:
    owner = Owner(0.001)
    owner.takes_seconds = 0.05
    assert owner.refresher._again() >= 0.05 / SHARE


def test_the_pause_grows_while_the_storage_fails_and_names_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner(60.0)
    owner.down = True
    with caplog.at_level(logging.WARNING, "assetstore"):
        pauses = [owner.refresher._again() for _ in range(12)]
    assert 0.5 * FIRST_RETRY_SECONDS <= pauses[0] <= FIRST_RETRY_SECONDS
    assert all(30.0 <= each <= 60.0 for each in pauses[6:])
    assert "cannot list the storage, so its names stay as they were: it is down" in caplog.text
    owner.down = False
    owner.refresher._again()
    owner.down = True
    assert owner.refresher._again() <= FIRST_RETRY_SECONDS


def test_two_never_learn_at_once() -> None:
    owner = Owner(0.001)
    owner.takes_seconds = 0.005
    owner.refresher.start()
    callers = [threading.Thread(target=owner.refresher.now) for _ in range(8)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert owner.most_at_once == 1
    assert owner.runs >= 8


def test_how_it_ended_is_told() -> None:
    owner = Owner()
    assert owner.refresher.contact is None
    owner.down = True
    with pytest.raises(BackendUnavailable):
        owner.refresher.now()
    assert owner.refresher.contact is not None
    assert isinstance(owner.refresher.contact.fault, BackendUnavailable)
    owner.down = False
    owner.refresher.now()
    assert owner.refresher.contact.fault is None


def begin() -> Refresher:
    """What is left of an owner that is gone."""
    owner = Owner()
    owner.refresher.start()
    assert eventually(lambda: owner.runs == 1)
    return owner.refresher


def test_it_ends_with_its_owner() -> None:
    left = begin()
    gc.collect()
    left.now()  # the object that refreshes is gone
    del left
    gc.collect()
    assert eventually(lambda: threads() == 0)


def test_a_fork_during_a_refresh_can_refresh() -> None:
    owner = Owner()
    with owner.refresher._reading:
        child = os.fork()
        if child == 0:
            owner.refresher.now()
            os._exit(owner.runs)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_an_exception_of_any_kind_is_a_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner()
    owner.down = True
    owner.error = OverflowError("date value out of range")
    with caplog.at_level(logging.WARNING, "assetstore"):
        assert owner.refresher._again() <= FIRST_RETRY_SECONDS
        owner.refresher._again()
    assert owner.refresher.contact is not None
    assert isinstance(owner.refresher.contact.fault, BackendError)
    assert len(caplog.records) == 1
    assert "date value out of range" in caplog.text
