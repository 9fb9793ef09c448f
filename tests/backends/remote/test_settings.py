"""What a user may choose is checked where it is written."""

from __future__ import annotations

from typing import Any

import pytest

from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.errors import SettingsError


def test_the_limits_are_those_that_are_documented() -> None:
    limits = RemoteLimits()
    assert (limits.connect_seconds, limits.read_seconds, limits.attempts) == (2.0, 5.0, 3)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (CacheSettings, {"memory_bytes": -1}),
        (CacheSettings, {"ttl_seconds": "10"}),
        (CacheSettings, {"ttl_seconds": float("nan")}),
        (CacheSettings, {"max_paths": 0}),
        (CacheSettings, {"disk_bytes": 1000}),
        (RemoteLimits, {"attempts": 0}),
        (RemoteLimits, {"attempts": True}),
        (RemoteLimits, {"breaker_faults": 0}),
    ],
    ids=str,
)
def test_a_number_out_of_range_is_named(kind: Any, given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(given))):
        kind(**given)
