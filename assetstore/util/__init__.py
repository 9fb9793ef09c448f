"""Helpers that know nothing of assets: backoff, lists in messages, and what a forked process does anew."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What holds locks or threads."""

    def after_fork(self) -> None:
        """Replace the locks, and note that no thread runs; called in the child, which has one thread."""


_ALL: WeakSet[Forkable] = WeakSet()


def reset_after_fork(each: Forkable) -> None:
    """Call ``each.after_fork()`` in every process that is forked from this one, for as long as *each* lives."""
    _ALL.add(each)


def _reset_all() -> None:
    for each in list(_ALL):
        each.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


def backoff_seconds(
    failures: int, first: float, longest: float, *, least: float = 0.0, jitter: Callable[[], float] = random.random
) -> float:
    """The pause in seconds after so many *failures* in a row, the first of which is 1.

    It doubles from *first* up to *longest*; of that a random share is taken, so that a fleet that
    failed together does not come back together.

    Args:
        least: the smallest share, 0 to 1.
        jitter: a random number from 0 to 1.
    """
    share = least + (1 - least) * jitter()
    return share * min(longest, first * 2.0 ** min(failures - 1, 30))


def listed(names: Collection[str], most: int = 5) -> str:
    """The first *most* of *names* in their order, quoted, and how many more there are."""
    more = len(names) - most
    return ", ".join(map(repr, sorted(names)[:most])) + (f" and {more} more" if more > 0 else "")
