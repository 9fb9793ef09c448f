"""Files that are held open: few of them, for a second, and closed whatever becomes of them or of the event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from assetstore.backends.local import reader as local_held
from assetstore.backends.local.reader import MAX_HELD, BytesFile, HeldFiles
from assetstore.backends.reader import Mark

MARK = Mark(1, 2, 3, 4, 5)


def opened(path: Path) -> BytesFile:
    return BytesFile(os.open(path, os.O_RDONLY), MARK, 0, 1)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"a")
    return tmp_path / "a"


@pytest.fixture
def file(path: Path) -> BytesFile:
    return opened(path)


def holding(path: Path) -> tuple[HeldFiles, int]:
    """Who alone holds *path* open, and its descriptor."""
    held, file = HeldFiles(), opened(path)
    in_a_loop(lambda: held.hold("a", file))
    return held, file.descriptor


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are held for the tenth part of a second."""
    monkeypatch.setattr(local_held, "HELD_SECONDS", 0.1)


def in_a_loop(work: Callable[[], object]) -> None:
    async def run() -> None:
        work()

    asyncio.run(run())


def test_what_is_held_is_found_by_its_path(file: BytesFile) -> None:
    held = HeldFiles()
    in_a_loop(lambda: held.hold("a", file))
    assert held.get("a") is file
    assert held.get("b") is None


def test_a_file_is_closed_when_nobody_has_it(path: Path) -> None:
    held, number = holding(path)
    assert is_open(number)
    held.let_go("a")
    assert not is_open(number)


def test_a_file_that_is_being_read_stays_open_until_that_is_done(file: BytesFile) -> None:
    held = HeldFiles()
    in_a_loop(lambda: held.hold("a", file))
    held.close()
    assert len(held) == 0
    assert os.pread(file.descriptor, 1, 0) == b"a"


def test_nothing_is_held_where_no_timer_would_close_it(file: BytesFile) -> None:
    held = HeldFiles()
    held.hold("a", file)
    assert len(held) == 0


@pytest.mark.usefixtures("short")
def test_everything_is_closed_within_its_time_though_nobody_asks_again(file: BytesFile) -> None:
    held = HeldFiles()

    async def run() -> None:
        held.hold("a", file)
        await asyncio.sleep(0.2)
        assert len(held) == 0
        held.hold("a", file)  # and the timer is set again
        await asyncio.sleep(0.2)
        assert len(held) == 0

    asyncio.run(run())


@pytest.mark.usefixtures("short")
def test_a_loop_that_ends_before_its_timer_rings_is_followed_by_another(file: BytesFile) -> None:
    held = HeldFiles()
    in_a_loop(lambda: held.hold("a", file))

    async def run() -> None:
        await asyncio.sleep(0.2)  # the first timer would have rung
        held.hold("b", file)
        await asyncio.sleep(0.2)

    asyncio.run(run())
    assert len(held) == 0


def test_what_is_held_goes_with_its_holder(path: Path) -> None:
    held, number = holding(path)
    assert is_open(number)
    del held
    gc.collect()  # the loop that had the timer
    assert not is_open(number)


def test_their_number_is_bounded_and_the_oldest_goes_first(path: Path) -> None:
    held, numbers = HeldFiles(), set[int]()

    def fill() -> None:
        for number in range(3 * MAX_HELD):
            file = opened(path)
            numbers.add(file.descriptor)
            held.hold(str(number), file)

    in_a_loop(fill)
    assert len(held) == MAX_HELD
    assert held.get(str(2 * MAX_HELD - 1)) is None
    assert held.get(str(2 * MAX_HELD)) is not None
    held.close()
    assert not any(map(is_open, numbers))


def test_threads_may_share_them(tmp_path: Path) -> None:
    """Each reads its own bytes, however often another thread lets go of what it reads from."""
    names = [str(number) for number in range(8)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode() * 100)
    held, faults = HeldFiles(), []

    async def work(seed: int) -> None:
        for turn in range(3_000):
            name = names[(turn * seed) % len(names)]
            file = held.get(name)
            if file is None:
                held.hold(name, file := opened(tmp_path / name))
            if os.pread(file.descriptor, 100, 0) != name.encode() * 100:
                faults.append(name)
            if turn % 7 == seed % 7:
                held.let_go(names[(turn + seed) % len(names)])
            if turn % 500 == 0:
                held.close()

    threads = [threading.Thread(target=lambda seed=seed: asyncio.run(work(seed))) for seed in (1, 3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
