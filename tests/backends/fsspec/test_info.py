"""How each filesystem spells a time and a validator: one row each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from assetstore.backends.fsspec.info import mtime_ns, spelled, validator_in

MOMENT = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
SECONDS = 1_704_164_645


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        pytest.param({"mtime": SECONDS + 0.25}, SECONDS * 10**9 + 250_000_000, id="local: float seconds"),
        pytest.param({"mtime": SECONDS}, SECONDS * 10**9, id="tar: whole seconds"),
        pytest.param({"mtime": MOMENT}, SECONDS * 10**9, id="sftp: aware datetime"),
        pytest.param({"LastModified": MOMENT}, SECONDS * 10**9, id="s3fs: aware datetime"),
        pytest.param({"last_modified": "2024-01-02T03:04:05+00:00"}, SECONDS * 10**9, id="obstore: ISO text"),
        pytest.param({"updated": "2024-01-02T03:04:05.250Z"}, SECONDS * 10**9 + 250_000_000, id="gcs: ISO text"),
        pytest.param({"Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT"}, SECONDS * 10**9, id="http: a date header"),
        pytest.param({"modify": "20240102030405"}, SECONDS * 10**9, id="ftp: digits"),
        pytest.param({"modificationTime": SECONDS * 1000 + 7}, SECONDS * 10**9 + 7_000_000, id="webhdfs: milliseconds"),
        pytest.param({"date_time": (2024, 1, 2, 3, 4, 5)}, SECONDS * 10**9, id="zip: a tuple"),
        pytest.param(
            {"mtime": MOMENT.astimezone(timezone(timedelta(hours=-5)))}, SECONDS * 10**9, id="any zone is the same time"
        ),
        pytest.param({"mtime": MOMENT.replace(tzinfo=None)}, SECONDS * 10**9, id="no zone is UTC"),
        pytest.param({"name": "x", "size": 3}, None, id="github: none"),
        pytest.param({"Last-Modified": "yesterday"}, None, id="nonsense is none"),
        pytest.param({"date_time": (1980, 0, 0, 0, 0, 0)}, None, id="zip: an impossible date is none"),
    ],
)
def test_modified_times(info: dict[str, Any], expected: int | None) -> None:
    assert mtime_ns(info) == expected


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        pytest.param({"ETag": '"abc"'}, "abc", id="s3 quotes it"),
        pytest.param({"etag": "abc"}, "abc", id="gcs does not"),
        pytest.param({"e_tag": '"abc-2"'}, "abc-2", id="obstore"),
        pytest.param({"ETag": 'W/"abc"'}, None, id="a weak one is none"),
        pytest.param({"sha": "c0ffee"}, "c0ffee", id="github"),
        pytest.param({"CRC": 0xC0FFEE}, "00c0ffee", id="zip"),
        pytest.param({}, None, id="none"),
    ],
)
def test_validators(info: dict[str, Any], expected: str | None) -> None:
    assert validator_in(info) == expected


def test_what_tells_no_time_is_none() -> None:
    assert spelled(object()) is None
