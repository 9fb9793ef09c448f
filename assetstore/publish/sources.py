"""This module owns opened files whose bytes are in memory: manifests, and what was just encoded."""

from __future__ import annotations

from collections.abc import Iterator

from assetstore.backends.base import FileStat


class MemorySource:
    """Bytes in memory as an opened file."""

    __slots__ = ("_data", "stat")

    def __init__(self, path: str, data: bytes) -> None:
        self.stat = FileStat(path, len(data))
        self._data = data

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        yield self._data[start:stop]

    def close(self) -> None:
        """Nothing is held."""
