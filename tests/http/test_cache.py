"""Which URLs are remembered: within the budget, whatever is asked for, on any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from asgi.caching import cached
from asgi.client import scope_of
from assetstore.http import revalidation as revalidation
from assetstore.http.cache import RESOURCE_BYTES, Resource, ResponseCache
from assetstore.http.response import Response
from assetstore.http.revalidation import Snapshot

CAPACITY = 10


@pytest.fixture
def memory() -> ResponseCache:
    """One that holds :data:`CAPACITY` entries."""
    return ResponseCache(0, plan_bytes=CAPACITY * RESOURCE_BYTES)


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Resource]:
    monkeypatch.setattr(revalidation, "CHECK_SECONDS", 600.0)  # so that a slow machine makes no entry stale
    return lambda: Resource(Snapshot(None).revalidation(), missing=Response(404, ()))


def key(number: int) -> str:
    return scope_of(str(number))["path"]


def test_what_was_put_is_found(memory: ResponseCache, entry: Callable[[], Resource]) -> None:
    memory.put(key(1), entry())
    found = cached(memory, scope_of("1"))
    assert found is not None
    assert found.status == 404


def test_the_budget_is_kept(memory: ResponseCache, entry: Callable[[], Resource]) -> None:
    for number in range(100):
        memory.put(key(number), entry())
        assert memory.bytes <= CAPACITY * RESOURCE_BYTES
    assert len(memory) == CAPACITY


def test_long_urls_are_charged_for_their_length(memory: ResponseCache, entry: Callable[[], Resource]) -> None:
    """Anybody can request many URLs that are not there, of eight kilobytes each."""
    for number in range(100):
        memory.put(f"/assets/{number}{'ä' * 8_000}", entry())
    assert len(memory) == 0
    memory.put(f"/assets/{'ä' * 1_000}", entry())
    assert memory.bytes > RESOURCE_BYTES + 4 * 2_000


def test_without_a_budget_nothing_is_remembered(entry: Callable[[], Resource]) -> None:
    memory = ResponseCache(0, plan_bytes=0)
    memory.put(key(1), entry())
    assert (len(memory), memory.bytes) == (0, 0)


def test_an_entry_that_grows_is_charged_for_it(memory: ResponseCache, entry: Callable[[], Resource]) -> None:
    memory.put(key(1), entry())
    before = memory.bytes
    cached(memory, scope_of("1", headers={"Range": "bytes=0-1"}))
    assert memory.bytes > before
    memory.put(key(1), entry())
    assert memory.bytes == before


def test_one_pass_over_many_files_does_not_evict_what_is_hot(
    memory: ResponseCache, entry: Callable[[], Resource]
) -> None:
    hot = [str(number) for number in range(CAPACITY // 2)]
    for path in hot:
        memory.put(key(int(path)), entry())
        cached(memory, scope_of(path))
    for number in range(100_000, 200_000):
        memory.put(key(number), entry())
    assert all(cached(memory, scope_of(path)) is not None for path in hot)


def test_what_is_no_longer_hot_makes_room_in_the_end(memory: ResponseCache, entry: Callable[[], Resource]) -> None:
    memory.put(key(0), entry())
    cached(memory, scope_of("0"))
    for number in range(1, 10 * CAPACITY):
        memory.put(key(number), entry())
        cached(memory, scope_of(str(number)))
    assert memory.get(key(0)) is None


def test_an_entry_that_no_longer_holds_is_forgotten(
    memory: ResponseCache, entry: Callable[[], Resource], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.put(key(1), entry())
    monkeypatch.setattr("time.monotonic", lambda: float("inf"))
    assert cached(memory, scope_of("1")) is None
    assert (len(memory), memory.bytes) == (0, 0)


def test_another_root_path_is_another_url(memory: ResponseCache, entry: Callable[[], Resource]) -> None:
    memory.put(key(1), entry())
    assert cached(memory, {**scope_of("1"), "root_path": "/assets"}) is None


def test_hosts_are_told_apart_only_where_a_mount_asks_for_one(
    memory: ResponseCache, entry: Callable[[], Resource]
) -> None:
    one, other = (scope_of("1", headers={"Host": host}) for host in ("a.example", "b.example"))
    memory.put(memory.key_of(one), entry())
    assert cached(memory, other) is not None
    memory.start_over(by_host=True)
    assert len(memory) == 0
    memory.put(memory.key_of(one), entry())
    assert cached(memory, scope_of("1", headers={"Host": "A.EXAMPLE"})) is not None
    assert cached(memory, other) is None


def test_threads_may_share_it(entry: Callable[[], Resource]) -> None:
    memory = ResponseCache(0, plan_bytes=50 * RESOURCE_BYTES)
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for turn in range(2_000):
                number = (turn * seed) % 120
                if cached(memory, scope_of(str(number))) is None:
                    memory.put(key(number), entry())
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 7, 11, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    entries = [found for number in range(120) if (found := memory.get(key(number))) is not None]
    assert memory.bytes == sum(each.cost for each in entries) <= 50 * RESOURCE_BYTES
