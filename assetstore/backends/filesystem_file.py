"""This module owns one opened file of an fsspec filesystem."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from assetstore.backends.base import FileStat
from assetstore.errors import BodyTruncated

#: Bytes read at a time. Large, because on most filesystems each read is a request.
CHUNK_BYTES = 1024 * 1024


class FilesystemFile:
    """An fsspec file as an :class:`OpenFile`; *errors* translates what the filesystem raises."""

    def __init__(self, errors: Callable[[str], AbstractContextManager[None]], stat: FileStat, file: Any) -> None:
        self.stat = stat
        self._errors = errors
        # A memory file is shared by all who open it, position included: read a snapshot instead.
        self._file = io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else file

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            with self._errors(self.stat.path):
                self._file.seek(start)
                chunk = self._file.read(min(CHUNK_BYTES, stop - start))
            if not chunk:
                raise BodyTruncated(f"{self.stat.path!r} ended after {start} bytes", path=self.stat.path)
            yield bytes(chunk)
            start += len(chunk)

    def close(self) -> None:
        self._file.close()
