"""What clients are told of the cache before the storage."""

from __future__ import annotations

import pytest

from assetstore.backends.base import CacheFacts
from assetstore.http.response_headers import cache_headers, raw


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        pytest.param(None, {}, id="local files have no cache"),
        pytest.param(CacheFacts("hit"), {"cache-status": "assetstore; hit"}, id="it was held"),
        pytest.param(CacheFacts("miss"), {"cache-status": "assetstore; fwd=miss"}, id="the storage was asked"),
        pytest.param(
            CacheFacts("collapsed"),
            {"cache-status": "assetstore; fwd=miss; collapsed"},
            id="another request was asking already",
        ),
        pytest.param(
            CacheFacts("stale", 61.9),
            {"cache-status": "assetstore; hit; detail=stale-if-error", "age": "61"},
            id="an old copy says how old",
        ),
    ],
)
def test_what_is_told(cache: CacheFacts | None, expected: dict[str, str]) -> None:
    assert cache_headers(cache) == raw(expected)
