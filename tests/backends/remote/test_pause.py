"""Which faults are worth another attempt, and when."""

from __future__ import annotations

import pytest

from assetstore.backends.remote.retry import pause_seconds
from assetstore.errors import (
    AssetNotFound,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    VersionChanged,
)


@pytest.mark.parametrize(
    "error", [BackendUnavailable("x"), BackendTimeout("x"), BackendThrottled("x"), BodyTruncated("x")]
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert pause_seconds(error, 1) is not None


@pytest.mark.parametrize(
    "error",
    [
        AssetNotFound("x"),
        BackendForbidden("x"),
        BackendCredentials("x"),
        VersionChanged("x"),
        RangeNotSatisfiable("x"),
        ValueError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_stays_so_is_not(error: Exception) -> None:
    assert pause_seconds(error, 1) is None


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.8), (5, 1.0), (50, 1.0)])
def test_the_longest_pause_doubles_up_to_a_second(attempt: int, longest: float) -> None:
    assert pause_seconds(BackendUnavailable("x"), attempt, lambda: 1.0) == pytest.approx(longest)
    assert pause_seconds(BackendUnavailable("x"), attempt, lambda: 0.0) == 0.0


def test_a_short_rest_that_the_storage_asks_for_is_kept() -> None:
    assert pause_seconds(BackendThrottled("x", retry_after_seconds=1.0), 1, lambda: 0.0) == 1.0


def test_a_long_one_is_left_to_the_client() -> None:
    assert pause_seconds(BackendThrottled("x", retry_after_seconds=3.0), 1) is None
