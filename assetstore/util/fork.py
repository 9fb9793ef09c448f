"""What a forked process does anew: it has no threads of its parent, and whoever held a lock is not in it."""

from __future__ import annotations

import os
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
