"""What an outage leaves in the log: its traceback once, then lines that are few and count what they leave out."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import pytest

from assetstore.errors import AssetStoreError, BackendForbidden, BackendTimeout, BackendUnavailable
from assetstore.http.handler import KINDS, NEWS_SECONDS, PAUSE_SECONDS, ErrorLog
from assetstore.http.send import BrokenOff


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def complaints(clock: Clock) -> ErrorLog:
    return ErrorLog("s3://bucket", clock)


def raised(error: AssetStoreError) -> AssetStoreError:
    try:
        raise error
    except AssetStoreError as caught:
        return caught


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, bool]]:
    """Every line since the last look, and whether it had a traceback."""
    lines = [(record.getMessage(), bool(record.exc_info)) for record in caplog.records]
    caplog.clear()
    return lines


def test_the_first_of_a_kind_is_told_with_its_traceback(complaints: ErrorLog, caplog: pytest.LogCaptureFixture) -> None:
    complaints.refused("app.css", 503, raised(BackendUnavailable("no route")))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Traceback" in caplog.text
    assert said(caplog) == [("503 for 'app.css': s3://bucket failed: no route", True)]


def test_an_hour_of_outage_is_one_traceback_and_a_line_in_ten_seconds_that_counts(
    complaints: ErrorLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    error = raised(BackendUnavailable("no route"))
    for _ in range(3600 * 4):
        complaints.refused("app.css", 503, error)
        clock.now += 0.25
    first, *lines = said(caplog)
    assert first[1]
    assert len(lines) == 3600 / PAUSE_SECONDS - 1
    assert set(lines) == {("503 for 'app.css': s3://bucket failed: no route (and 39 more like it, left out)", False)}


def test_each_kind_is_told_by_itself(complaints: ErrorLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        complaints.refused("a.css", 503, raised(BackendUnavailable("away")))
        complaints.refused("a.css", 504, raised(BackendTimeout("slow")))
        complaints.refused("a.css", 502, raised(BackendForbidden("denied")))
    assert [(line[:3], traceback) for line, traceback in said(caplog)] == [("503", True), ("504", True), ("502", True)]


def test_each_mount_is_told_by_itself(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    for label in ("s3://one", "s3://two"):
        ErrorLog(label, clock).refused("a.css", 503, raised(BackendUnavailable("away")))
    assert [traceback for _, traceback in said(caplog)] == [True, True]


def test_after_a_long_silence_it_is_news_again_and_no_count_is_lost(
    complaints: ErrorLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    error = raised(BackendUnavailable("away"))
    complaints.refused("a.css", 503, error)
    complaints.refused("a.css", 503, error)
    said(caplog)
    clock.now += NEWS_SECONDS
    complaints.refused("a.css", 503, error)
    assert said(caplog) == [("503 for 'a.css': s3://bucket failed: away (and 1 more like it, left out)", True)]


def test_broken_bodies_are_counted_too_and_their_traceback_is_left_to_the_server(
    complaints: ErrorLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        complaints.broke_off("big.bin", BrokenOff("short"))
    clock.now += PAUSE_SECONDS
    complaints.broke_off("big.bin", BrokenOff("short"))
    line = "'big.bin' from s3://bucket broke off: short"
    assert said(caplog) == [(line, False), (f"{line} (and 2 more like it, left out)", False)]


def test_no_number_of_kinds_grows_the_memory(complaints: ErrorLog, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(KINDS * 3):
        kind = type(f"Fault{number}", (BackendUnavailable,), {})
        complaints.refused("a.css", 503, kind("away"))
    assert len(said(caplog)) == KINDS * 3
    assert len(complaints._kinds) == KINDS


def test_threads_together_tell_one_story_and_lose_no_count(
    complaints: ErrorLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    error = raised(BackendUnavailable("away"))

    def fail() -> None:
        for _ in range(500):
            complaints.refused("a.css", 503, error)

    threads = [threading.Thread(target=fail) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += PAUSE_SECONDS
    complaints.refused("a.css", 503, error)
    (_, first), (line, again) = said(caplog)
    assert (first, again) == (True, False)
    assert line.endswith("(and 1999 more like it, left out)")
