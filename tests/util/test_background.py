"""Work in the background repeats, wakes, and ends with its owner."""

from __future__ import annotations

import gc
import logging
import math
import os
import sys
import threading

import pytest

from assetstore.util import background
from assetstore.util.background import NICE, Background, DeferredCache, failing
from waiting import eventually


class Owner:
    def __init__(self, pause: float = 0.01) -> None:
        self.done = 0
        self.pause = pause
        self.background = Background(self.work, "assetstore-test")

    def work(self) -> float:
        self.done += 1
        return self.pause


def threads() -> int:
    return sum(thread.name == "assetstore-test" for thread in threading.enumerate())


def run(pause: float, times: int) -> None:
    owner = Owner(pause)
    for _ in range(5):
        owner.background.start()
    assert eventually(lambda: owner.done >= times)
    assert threads() == 1


def test_work_is_repeated_in_one_thread_however_often_it_is_started() -> None:
    run(pause=0.01, times=4)
    gc.collect()
    assert eventually(lambda: threads() == 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only there each thread has a nice value")
def test_a_thread_that_hashes_stands_back_for_the_event_loop_and_no_other_does() -> None:
    found: dict[int, int] = {}

    class Priority:
        def note(self) -> float:
            found[len(found)] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            return math.inf

    owner = Priority()
    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    for nice in (0, NICE):
        repeated = Background(owner.note, "assetstore-test", nice)
        repeated.start()
        assert eventually(lambda nice=nice: len(found) > (nice > 0))
        repeated.close()
    assert found == {0: mine, 1: max(mine, NICE)}


def test_a_thread_that_sleeps_long_ends_with_its_owner() -> None:
    run(pause=float("inf"), times=1)
    gc.collect()
    assert eventually(lambda: threads() == 0)


def test_waking_does_not_wait_for_the_pause() -> None:
    owner = Owner(pause=float("inf"))
    owner.background.start()
    assert eventually(lambda: owner.done == 1)
    owner.background.wake()
    assert eventually(lambda: owner.done == 2)


def test_a_forked_process_begins_anew() -> None:
    owner = Owner()
    owner.background.start()
    assert eventually(lambda: owner.done > 0)
    child = os.fork()
    if child == 0:
        before = owner.done
        owner.background.start()
        os._exit(0 if eventually(lambda: owner.done > before) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Failing(Owner):
    def work(self) -> float:
        self.done += 1
        if self.done < 3:
            raise RuntimeError("not yet")
        return self.pause


def test_an_exception_is_logged_once_and_the_work_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "FIRST_RETRY_SECONDS", 0.01)
    owner = Failing(pause=60.0)
    with caplog.at_level(logging.ERROR, "assetstore"):
        owner.background.start()
        assert eventually(lambda: owner.done >= 1 and owner.background.error is not None)
        assert eventually(lambda: owner.done >= 3 and owner.background.error is None)
    assert owner.background.is_running
    assert [record.message for record in caplog.records] == ["assetstore-test failed, and is tried again"]
    owner.background.close()


class Exiting(Failing):
    def work(self) -> float:
        self.done += 1
        if self.done < 3:
            raise SystemExit("a library that means well")
        return self.pause


@pytest.mark.parametrize("kind", [Failing, Exiting])
def test_a_thread_that_keeps_failing_is_known_by_name_until_it_succeeds(
    kind: type[Owner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "FIRST_RETRY_SECONDS", 0.01)
    owner = kind(pause=60.0)
    seen = []
    owner.background.start()
    assert eventually(lambda: seen.append(failing().get("assetstore-test")) or owner.done >= 3)  # type: ignore[func-returns-value]
    assert set(seen) >= {"RuntimeError" if kind is Failing else "SystemExit"}
    assert eventually(lambda: "assetstore-test" not in failing())
    owner.background.close()


def test_a_value_that_cannot_be_computed_is_a_failing_thread_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def compute(item: str) -> str:
        if item.startswith("bad"):
            raise ZeroDivisionError("this user's own")
        return item

    cache: DeferredCache[str, str] = DeferredCache(compute, name="assetstore-test")
    with caplog.at_level(logging.ERROR, "assetstore"):
        for number in range(5):
            cache.soon(f"bad {number}")
        assert cache.settle()
        assert eventually(lambda: failing().get("assetstore-test") == "ZeroDivisionError")
        assert len(caplog.records) == 1
        cache.soon("good")
        assert eventually(lambda: cache.known("good") == "good" and "assetstore-test" not in failing())
    cache.close()


def test_a_thread_with_nothing_left_to_do_ends_and_waking_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LINGER_SECONDS", 0.01)
    owner = Owner(pause=float("inf"))
    owner.background.wake()
    assert eventually(lambda: owner.done == 1 and threads() == 0)
    assert not owner.background.is_running
    owner.background.wake()
    assert eventually(lambda: owner.done == 2 and threads() == 0)


def test_closing_ends_the_thread_and_starting_begins_another() -> None:
    owner = Owner()
    owner.background.start()
    assert eventually(lambda: owner.done > 0)
    owner.background.close()
    assert threads() == 0
    done = owner.done
    owner.background.start()
    assert eventually(lambda: owner.done > done)
    owner.background.close()
    owner.background.close()
    assert threads() == 0
