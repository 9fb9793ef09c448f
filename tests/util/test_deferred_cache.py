"""Answers that take reading never hold up an event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import pytest

from assetstore.errors import BackendUnavailable
from assetstore.util.background import DeferredCache


def test_plain_code_has_the_answer_at_once() -> None:
    assert DeferredCache(str.upper).get("a") == "A"


def test_an_answer_is_computed_once() -> None:
    asked: list[str] = []
    cache: DeferredCache[str, str] = DeferredCache(lambda key: asked.append(key) or key.upper())  # type: ignore[func-returns-value]
    assert [cache.get("a"), cache.get("a"), cache.get("b")] == ["A", "A", "B"]
    assert asked == ["a", "b"]


def test_an_event_loop_has_nothing_first_and_the_answer_later() -> None:
    threads: list[threading.Thread] = []
    cache: DeferredCache[str, str] = DeferredCache(
        lambda key: threads.append(threading.current_thread()) or key.upper()
    )  # type: ignore[func-returns-value]

    async def ask() -> str | None:
        return cache.get("a")

    assert asyncio.run(ask()) is None
    assert cache.settle()
    assert asyncio.run(ask()) == "A"
    assert threads != [threading.main_thread()]


def test_an_event_loop_has_the_old_answer_while_the_new_one_is_computed() -> None:
    numbers = iter(range(10))
    cache: DeferredCache[str, int] = DeferredCache(lambda key: next(numbers), seconds=0.0)

    async def ask() -> int | None:
        return cache.get("a")

    assert cache.get("a") == 0
    assert asyncio.run(ask()) == 0
    assert cache.settle()
    assert asyncio.run(ask()) == 1
    assert cache.settle()


def test_a_storage_fault_is_said_and_rests() -> None:
    asked = []

    def fail(key: str) -> str:
        asked.append(key)
        raise BackendUnavailable("no route to the bucket")

    cache = DeferredCache(fail)
    assert cache.get("a") is None
    assert cache.get("a") is None
    assert asked == ["a"]


def test_a_fault_in_the_thread_leaves_it_working(caplog: pytest.LogCaptureFixture) -> None:
    def compute(key: str) -> str:
        return {"good": "fine"}[key]

    cache = DeferredCache(compute)

    async def ask() -> None:
        cache.get("bad")
        cache.get("good")

    with caplog.at_level(logging.ERROR, "assetstore"):
        asyncio.run(ask())
        assert cache.settle()
    assert "bad" in caplog.text
    assert cache.get("good") == "fine"


def test_many_threads_get_one_answer_each_and_the_queue_empties() -> None:
    cache: DeferredCache[int, int] = DeferredCache(lambda key: key * 2)

    async def ask_all() -> None:
        for key in range(500):
            cache.get(key)

    threads = [threading.Thread(target=asyncio.run, args=(ask_all(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.settle()
    assert [cache.get(key) for key in range(500)] == [key * 2 for key in range(500)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_goes_on_by_itself() -> None:
    started, may_end = threading.Event(), threading.Event()

    def compute(key: str) -> str:
        started.set()
        may_end.wait(10 if key == "slow" else 0)
        return key.upper()

    cache = DeferredCache(compute)

    async def ask(key: str) -> None:
        cache.get(key)

    asyncio.run(ask("slow"))
    assert started.wait(10)
    child = os.fork()
    if child == 0:
        asyncio.run(ask("quick"))
        os._exit(0 if cache.settle(10) and cache.get("quick") == "QUICK" else 1)
    may_end.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.settle()


def test_the_cheapest_is_computed_first_and_each_once() -> None:
    started, may_go, computed = threading.Event(), threading.Event(), list[int]()

    def compute(key: int) -> int:
        computed.append(key)
        started.set()
        may_go.wait(10)
        return key

    cache = DeferredCache(compute, cost=float)
    cache.soon(50)
    assert started.wait(10)
    for key in (30, 50, 10, 40, 10, 20):
        cache.soon(key)
    may_go.set()
    assert cache.settle()
    assert computed == [50, 10, 20, 30, 40]
    cache.close()


def test_who_needs_what_is_being_computed_waits_for_it() -> None:
    started, may_go, computed = threading.Event(), threading.Event(), list[str]()

    def compute(key: str) -> str:
        computed.append(key)
        started.set()
        may_go.wait(10)
        return key.upper()

    cache = DeferredCache(compute)
    cache.soon("a")
    assert started.wait(10)
    threading.Timer(0.05, may_go.set).start()
    assert cache.get("a") == "A"
    assert computed == ["a"]
    cache.close()


def test_what_identifies_an_item_may_be_a_part_of_it() -> None:
    cache: DeferredCache[tuple[str, int], int] = DeferredCache(lambda item: item[1], key=lambda item: item[0])
    assert [cache.get(("a", 1)), cache.get(("a", 2)), cache.known(("a", 3)), cache.known(("b", 3))] == [1, 1, 1, None]


def test_closing_breaks_off_what_is_computed() -> None:
    started = threading.Event()

    def compute(key: str) -> str | None:
        started.set()
        while not cache.is_closing:
            pass
        return None

    cache: DeferredCache[str, str] = DeferredCache(compute, name="assetstore-test-deferred")
    cache.soon("a")
    assert started.wait(10)
    cache.soon("b")
    cache.close()
    assert cache.settle(0)
    assert not [thread for thread in threading.enumerate() if thread.name == "assetstore-test-deferred"]


def test_an_event_loop_does_not_wait_for_the_thread_that_computes() -> None:
    begun, end = threading.Event(), threading.Event()

    def slow(key: str) -> str:
        begun.set()
        assert end.wait(20)
        return key.upper()

    cache: DeferredCache[str, str] = DeferredCache(slow)
    thread = threading.Thread(target=cache.compute, args=("a",))
    thread.start()
    try:
        assert begun.wait(20)

        async def compute() -> str | None:
            return cache.compute("a")

        assert asyncio.run(compute()) is None
    finally:
        end.set()
        thread.join()
    assert cache.known("a") == "A"
