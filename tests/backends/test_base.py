"""What backends report, and what is made of it."""

from __future__ import annotations

from dataclasses import replace

from assetstore.backends.base import CacheFacts, FileStat


def test_facts_through_a_cache_are_the_same_facts() -> None:
    stat = FileStat("a.css", 7, 8, "v", "s", "f", "p", "br")
    miss = CacheFacts("miss")
    through = stat.through(miss)
    assert through == stat
    assert repr(through) == repr(replace(stat, cache=miss))
