"""What is counted of one mount's remote reads."""

from __future__ import annotations

from assetstore.backends.remote.retry import Counters
from assetstore.errors import BackendThrottled, BackendTimeout


def test_every_outcome_has_its_number() -> None:
    counters = Counters()
    for outcome in ("hit", "hit", "miss", "collapsed", "stale"):
        counters.count(outcome)  # type: ignore[arg-type]
    counts = counters.counts()
    assert (counts.hits, counts.misses, counts.coalesced, counts.stale) == (2, 1, 1, 1)


def test_faults_are_told_apart_by_their_class() -> None:
    counters = Counters()
    for error in (BackendTimeout("x"), BackendThrottled("x"), BackendTimeout("y")):
        counters.error(error)
    assert counters.counts().errors == {"BackendTimeout": 2, "BackendThrottled": 1}


def test_what_was_read_does_not_change_afterwards() -> None:
    counters = Counters()
    before = counters.counts()
    counters.count("hit")
    counters.error(BackendTimeout("x"))
    assert (before.hits, dict(before.errors)) == (0, {})
