"""Every way in which storage fails has its status, and none of them tells a client more."""

from __future__ import annotations

import inspect

import pytest

from assetstore import errors
from assetstore.errors import AssetNotFound, AssetStoreError, BackendError, BackendThrottled
from assetstore.http.response import TABLE, error_status

RAISED_BY_STORAGE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BackendError | AssetNotFound | errors.UnsafePath)
]


@pytest.mark.parametrize("kind", RAISED_BY_STORAGE, ids=lambda kind: kind.__name__)
def test_the_table_is_whole(kind: type[AssetStoreError]) -> None:
    assert kind in TABLE or any(base in TABLE and base is not BackendError for base in kind.__mro__)


def test_a_kind_that_nobody_thought_of_is_a_bad_gateway() -> None:
    class Unheard(BackendError):
        pass

    assert error_status(Unheard("x")).status == 502
    assert error_status(AssetStoreError("x")).status == 502


@pytest.mark.parametrize(("seconds", "expected"), [(None, 5), (0.0, 1), (0.2, 1), (7.2, 8), (1e12, 120)])
def test_a_throttled_client_is_told_when_to_come_back(seconds: float | None, expected: int) -> None:
    failure = error_status(BackendThrottled("x", retry_after_seconds=seconds))
    assert failure.headers == {"retry-after": str(expected)}
