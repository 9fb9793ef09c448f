"""Modified time and validator in the ``info`` of each fsspec filesystem.

There is no agreed name for anything but ``name``, ``size`` and ``type``: the tables below say
under which keys the modified time and the validator appear, and how each is spelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from assetstore.util.dates import datetime_ns, parse_storage_date


def _from_number(value: float) -> int:
    return int(Decimal(str(value)) * 1_000_000_000)


def _from_tuple(value: tuple[int, ...]) -> int:
    year, month, day, hour, minute, second = value[:6]
    return datetime_ns(datetime(year, month, day, hour, minute, second, tzinfo=UTC))


# The first key that is present is used; beside it, the filesystems that report it.
_TIME_KEYS = (
    "mtime",  # local, sftp, smb, tar, libarchive, gcs
    "LastModified",  # s3
    "last_modified",  # azure, obstore
    "Last-Modified",  # http
    "updated",  # gcs
    "modify",  # ftp: 20240131120000
    "modificationTime",  # webhdfs: milliseconds
    "date_time",  # zip: a tuple in the packer's own time, taken as UTC so that every machine agrees
)
_VALIDATOR_KEYS = (
    "ETag",  # s3, http
    "etag",  # azure, gcs
    "e_tag",  # obstore
    "sha",  # github, git
    "CRC",  # zip
)


def mtime_ns(info: Mapping[str, Any]) -> int | None:
    """The modified time that *info* reports, in whole nanoseconds since the epoch; ``None`` for none."""
    for key in _TIME_KEYS:
        if (value := info.get(key)) is None:
            continue
        try:
            return _SPELLINGS.get(key, spelled)(value)
        except (ValueError, TypeError, ArithmeticError):
            return None
    return None


def spelled(value: object) -> int | None:
    """*value* as nanoseconds since the epoch, by its type; ``None`` for a type that is no time."""
    if isinstance(value, datetime):
        return datetime_ns(value)
    if isinstance(value, int | float):
        return _from_number(value)
    if isinstance(value, str):
        return parse_storage_date(value)
    if isinstance(value, tuple):
        return _from_tuple(value)
    return None


_SPELLINGS: dict[str, Callable[[Any], int | None]] = {
    "modify": lambda value: datetime_ns(datetime.strptime(value[:14], "%Y%m%d%H%M%S")),
    "modificationTime": lambda value: int(value) * 1_000_000,
}


def validator_in(info: Mapping[str, Any]) -> str | None:
    """The strong validator that *info* reports, unquoted; a weak one is none."""
    for key in _VALIDATOR_KEYS:
        value = info.get(key)
        if isinstance(value, int):
            return f"{value:08x}"
        if isinstance(value, str) and value and not value.startswith("W/"):
            return value.strip('"')
    return None
