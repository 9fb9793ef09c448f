"""An LRU has a bound in number and in weight, and drops what was not used for longest."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.util.lru import LRU, weight_of_bytes


def test_the_least_recently_used_goes_first() -> None:
    lru: LRU[str, int] = LRU(2)
    lru.put("a", 1)
    lru.put("b", 2)
    lru.get("a")
    assert lru.put("c", 3) == 3
    assert lru.items() == [("a", 1), ("c", 3)]
    lru.put("a", 4)
    assert list(lru) == ["c", "a"]


def test_what_is_missing_is_the_default() -> None:
    lru: LRU[str, int] = LRU(2)
    assert lru.get("a") is None
    assert lru.get("a", 7) == 7
    lru.put("a", 1)
    assert ("a" in lru, "b" in lru, lru.drop("a"), lru.drop("a"), len(lru)) == (True, False, 1, None, 0)


def test_what_does_not_fit_at_all_drives_nothing_out() -> None:
    lru: LRU[str, bytes] = LRU(max_weight=1000, weight=weight_of_bytes)
    lru.put("a", b"x")
    lru.put("b", b"x" * 1000)
    assert list(lru) == ["a"]
    lru.clear()
    assert (len(lru), lru.weight) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=600) | st.none())))
def test_it_never_exceeds_either_bound(steps: list[tuple[int, bytes | None]]) -> None:
    lru: LRU[int, bytes] = LRU(3, max_weight=1500, weight=weight_of_bytes)
    for key, value in steps:
        if value is None:
            lru.drop(key)
        else:
            lru.put(key, value)
        assert lru.weight == sum(weight_of_bytes(content) for _, content in lru.items()) <= 1500
        assert len(lru) <= 3


def test_threads_may_share_one() -> None:
    lru: LRU[int, bytes] = LRU(50, max_weight=20_000, weight=weight_of_bytes)
    faults: list[Exception] = []

    def use(seed: int) -> None:
        try:
            for turn in range(3000):
                key = (seed * 31 + turn * 7) % 90
                if lru.get(key) is None:
                    lru.put(key, bytes(key))
                if turn % 11 == 0:
                    lru.drop(key)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert lru.weight == sum(weight_of_bytes(content) for _, content in lru.items()) <= 20_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_in_the_middle_of_a_change_can_use_it() -> None:
    lru: LRU[str, int] = LRU(2)
    with lru._lock:
        child = os.fork()
        if child == 0:
            lru.put("a", 1)
            os._exit(len(lru))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
