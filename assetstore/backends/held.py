"""This module owns bytes in memory that are read as an open file."""

from __future__ import annotations

from collections.abc import Iterator

from assetstore.backends.base import FileStat
from assetstore.errors import BodyTruncated


class HeldFile:
    """One version of a short file, held in memory; an :class:`OpenFile`."""

    __slots__ = ("_data", "stat")

    def __init__(self, stat: FileStat, data: bytes) -> None:
        self.stat = stat
        self._data = data

    @classmethod
    def of(cls, path: str, data: bytes) -> HeldFile:
        """*data* as what will be written under *path*."""
        return cls(FileStat(path, len(data)), data)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """As :meth:`OpenFile.chunks`, in one piece."""
        if stop > len(self._data):
            raise BodyTruncated(f"{self.stat.path!r} has {len(self._data)} bytes, not {stop}", path=self.stat.path)
        if start < stop:
            yield self._data[start:stop]

    def close(self) -> None:
        """Memory needs no giving back."""
