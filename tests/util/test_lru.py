"""Memory has a bound, and what is used stays."""

from __future__ import annotations

from assetstore.util.lru import Recent


def test_what_was_used_longest_ago_is_forgotten() -> None:
    recent: Recent[str, int] = Recent(2)
    assert [recent.keep("a", 1), recent.keep("b", 2), recent.keep("a", 3), recent.keep("c", 4)] == [1, 2, 3, 4]
    assert dict(recent) == {"a": 3, "c": 4}
