"""A remote backend held in memory: it counts its requests, and can be slow or unreachable."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

from assetstore.backends.base import WHOLE, BytesFile, FileStat, OpenFile, Span
from assetstore.errors import AssetNotFound, BackendUnavailable


class RemoteFiles:
    """Files by path; every change of content is a new version."""

    label = "remote://bucket"
    remote = True

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.listings = 0
        self.stats = 0
        self.opens = 0
        self.at_once = 0
        self.most_at_once = 0
        self.down = False
        self.gate = threading.Event()
        self.gate.set()
        self.stop_after: int | None = None

    def stat(self, path: str) -> FileStat:
        self.stats += 1
        return self._wait_for(path)

    def _wait_for(self, path: str) -> FileStat:
        self.gate.wait(5)
        if self.down:
            raise BackendUnavailable("down")
        if path not in self.files:
            raise AssetNotFound(path)
        return self.facts(path)

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        self.opens += 1
        return BytesFile(self._wait_for(path), self.files[path])

    def walk(self) -> Iterator[FileStat]:
        self.listings += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for number, path in enumerate(sorted(self.files)):
                if number == self.stop_after:
                    self.gate.wait(5)
                if self.down:
                    raise BackendUnavailable("down")
                yield self.facts(path)
        finally:
            self.at_once -= 1

    def facts(self, path: str) -> FileStat:
        """The stat of *path* now."""
        return FileStat(path, len(self.files[path]), 5, hashlib.md5(self.files[path]).hexdigest())
