"""A bounded memory: the least recently used goes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assetstore.util.lru import Lru, weight_of_bytes


def test_the_least_recently_used_goes_first() -> None:
    memory: Lru[str, int] = Lru(2)
    memory.put("a", 1)
    memory.put("b", 2)
    memory.get("a")
    memory.put("c", 3)
    assert list(memory) == ["a", "c"]


def test_what_does_not_fit_at_all_drives_nothing_out() -> None:
    memory: Lru[str, bytes] = Lru(1000, weight_of_bytes)
    memory.put("a", b"x")
    memory.put("b", b"x" * 1000)
    assert list(memory) == ["a"]


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=600) | st.none())))
def test_it_never_weighs_more_than_its_limit(steps: list[tuple[int, bytes | None]]) -> None:
    memory: Lru[int, bytes] = Lru(1500, weight_of_bytes)
    for key, value in steps:
        if value is None:
            memory.drop(key)
        else:
            memory.put(key, value)
        weights = [weight_of_bytes(content) for each in list(memory) if (content := memory.get(each)) is not None]
        assert memory.weight == sum(weights) <= 1500
