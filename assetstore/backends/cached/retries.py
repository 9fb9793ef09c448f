"""This module owns which faults are worth another attempt, and when."""

from __future__ import annotations

import random
from collections.abc import Callable

from assetstore.errors import BackendThrottled, BackendUnavailable, BodyTruncated

#: The first pause is up to this long, and each further one up to twice the last.
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 1.0

#: What another attempt may mend. Missing, forbidden, wrong credentials and a changed version stay so.
PASSING = (BackendUnavailable, BodyTruncated)


def pause_seconds(error: Exception, attempt: int, jitter: Callable[[], float] = random.random) -> float | None:
    """How long to wait after *attempt* (the first is 1) ended in *error*; ``None``: do not try again.

    The whole pause is drawn by lot, so that a fleet that failed together does not come back together.
    A storage that asks for a longer rest than we would take is obeyed: the client is told to come back.
    """
    if not isinstance(error, PASSING):
        return None
    pause = jitter() * min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1))
    if isinstance(error, BackendThrottled) and error.retry_after_seconds is not None:
        if error.retry_after_seconds > MAX_PAUSE_SECONDS:
            return None
        return max(pause, error.retry_after_seconds)
    return pause
