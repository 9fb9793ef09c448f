"""Bytes in memory keep the promises of an open file."""

from __future__ import annotations

import pytest

from assetstore.backends.base import BytesFile, FileStat, OpenFile
from assetstore.errors import BodyTruncated


def test_chunks_are_a_slice() -> None:
    held: OpenFile = BytesFile(FileStat("x", 10), b"0123456789")
    assert b"".join(held.chunks(3, 9)) == b"345678"
    assert list(held.chunks(4, 4)) == []


def test_bytes_past_the_end_are_missed() -> None:
    with pytest.raises(BodyTruncated):
        list(BytesFile(FileStat("x", 10), b"0123456789").chunks(0, 11))
