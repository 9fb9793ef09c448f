"""Exponential backoff with jitter, for everything that is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable


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
