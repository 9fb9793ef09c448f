"""What is remembered of each path, and whether the storage has to be asked."""

from __future__ import annotations

from typing import Any

import pytest

from assetstore.backends.base import FileStat
from assetstore.backends.remote import CacheSettings
from assetstore.backends.remote.metadata import MetadataCache

APP = FileStat("app.css", 3, validator="v1")


@pytest.fixture
def known(clock: Any) -> MetadataCache:
    settings = CacheSettings(ttl_seconds=10, stale_seconds=100, miss_seconds=5, max_paths=3)
    return MetadataCache(settings, lambda stat: stat.path.startswith("fixed-"), clock=clock)


def test_what_was_just_asked_for_is_fresh_and_then_stale_and_then_nothing(known: MetadataCache, clock: Any) -> None:
    held = known.put(APP, clock.now, known.generation)
    seen = []
    for seconds in (0, 9, 2, 98, 2):
        clock.now += seconds
        seen.append((known.fresh(held), known.may_be_stale(held)))
    assert seen == [(True, True), (True, True), (False, True), (False, True), (False, False)]


def test_what_never_changes_is_always_fresh(known: MetadataCache, clock: Any) -> None:
    held = known.put(FileStat("fixed-1.css", 3), clock.now, known.generation)
    clock.now += 10_000_000
    known.forget()
    assert known.fresh(held)
    assert known.may_be_stale(held)


@pytest.mark.parametrize("paths", [None, ["app.css"]], ids=["all", "one path"])
def test_what_is_forgotten_is_asked_for_again_but_may_stand_in(known: MetadataCache, clock: Any, paths: Any) -> None:
    held = known.put(APP, clock.now, known.generation)
    clock.now += 1
    known.forget(paths)
    found = known.held("app.css")
    assert found is not None
    assert not known.fresh(found)
    assert known.may_be_stale(found)
    assert held.stat == found.stat


def test_forgetting_one_path_leaves_the_others(known: MetadataCache, clock: Any) -> None:
    held = known.put(APP, clock.now, known.generation)
    known.forget(["other.css"])
    assert known.fresh(held)


def test_an_answer_that_was_asked_for_before_a_forget_is_not_remembered(known: MetadataCache, clock: Any) -> None:
    generation = known.generation
    known.forget()
    known.put(APP, clock.now, generation)
    known.miss("gone.css", generation)
    assert known.held("app.css") is None
    assert not known.missing("gone.css")


@pytest.mark.parametrize("paths", [None, ["app.css"]], ids=["all", "one path"])
def test_what_was_confirmed_before_a_forget_has_to_be_confirmed_again(
    known: MetadataCache, clock: Any, paths: Any
) -> None:
    clock.now += 5
    known.forget(paths)
    held = known.put(APP, clock.now - 1, known.generation)
    assert not known.fresh(held)
    assert known.may_be_stale(held)
    assert known.fresh(known.put(APP, clock.now, known.generation))


def test_a_miss_ends_by_itself_or_when_the_file_is_seen(known: MetadataCache, clock: Any) -> None:
    known.miss("app.css", known.generation)
    assert known.missing("app.css")
    known.put(APP, clock.now, known.generation)
    assert not known.missing("app.css")
    known.miss("app.css", known.generation)
    clock.now += 6
    assert not known.missing("app.css")


def test_facts_are_bounded_in_number(known: MetadataCache, clock: Any) -> None:
    for number in range(10):
        known.put(FileStat(f"{number}.css", 3), clock.now, known.generation)
    assert [known.held(f"{number}.css") is not None for number in range(10)] == [False] * 7 + [True] * 3
