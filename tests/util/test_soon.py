"""Answers that take reading never hold up an event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import pytest

from assetstore.errors import BackendUnavailable
from assetstore.util.background import Soon


def test_plain_code_has_the_answer_at_once() -> None:
    assert Soon(str.upper).get("a") == "A"


def test_an_answer_is_computed_once() -> None:
    asked: list[str] = []
    soon: Soon[str, str] = Soon(lambda key: asked.append(key) or key.upper())  # type: ignore[func-returns-value]
    assert [soon.get("a"), soon.get("a"), soon.get("b")] == ["A", "A", "B"]
    assert asked == ["a", "b"]


def test_an_event_loop_has_nothing_first_and_the_answer_later() -> None:
    threads: list[threading.Thread] = []
    soon: Soon[str, str] = Soon(lambda key: threads.append(threading.current_thread()) or key.upper())  # type: ignore[func-returns-value]

    async def ask() -> str | None:
        return soon.get("a")

    assert asyncio.run(ask()) is None
    assert soon.settle()
    assert asyncio.run(ask()) == "A"
    assert threads != [threading.main_thread()]


def test_an_event_loop_has_the_old_answer_while_the_new_one_is_computed() -> None:
    numbers = iter(range(10))
    soon: Soon[str, int] = Soon(lambda key: next(numbers), seconds=0.0)

    async def ask() -> int | None:
        return soon.get("a")

    assert soon.get("a") == 0
    assert asyncio.run(ask()) == 0
    assert soon.settle()
    assert asyncio.run(ask()) == 1
    assert soon.settle()


def test_a_storage_fault_is_said_and_rests() -> None:
    asked = []

    def fail(key: str) -> str:
        asked.append(key)
        raise BackendUnavailable("no route to the bucket")

    soon = Soon(fail)
    assert soon.get("a") is None
    assert soon.get("a") is None
    assert asked == ["a"]


def test_a_fault_in_the_thread_leaves_it_working(caplog: pytest.LogCaptureFixture) -> None:
    def compute(key: str) -> str:
        return {"good": "fine"}[key]

    soon = Soon(compute)

    async def ask() -> None:
        soon.get("bad")
        soon.get("good")

    with caplog.at_level(logging.ERROR, "assetstore"):
        asyncio.run(ask())
        assert soon.settle()
    assert "bad" in caplog.text
    assert soon.get("good") == "fine"


def test_many_threads_get_one_answer_each_and_the_queue_empties() -> None:
    soon: Soon[int, int] = Soon(lambda key: key * 2)

    async def ask_all() -> None:
        for key in range(500):
            soon.get(key)

    threads = [threading.Thread(target=asyncio.run, args=(ask_all(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert soon.settle()
    assert [soon.get(key) for key in range(500)] == [key * 2 for key in range(500)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_goes_on_by_itself() -> None:
    started, may_end = threading.Event(), threading.Event()

    def compute(key: str) -> str:
        started.set()
        may_end.wait(10 if key == "slow" else 0)
        return key.upper()

    soon = Soon(compute)

    async def ask(key: str) -> None:
        soon.get(key)

    asyncio.run(ask("slow"))
    assert started.wait(10)
    child = os.fork()
    if child == 0:
        asyncio.run(ask("quick"))
        os._exit(0 if soon.settle(10) and soon.get("quick") == "QUICK" else 1)
    may_end.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert soon.settle()
