"""A backend for dry runs: reads the real one, and only records what would be written and deleted."""

from __future__ import annotations

from collections.abc import Iterator

from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, WritableBackend, WriteOptions


class DryRunBackend:
    """In front of a writable backend: reads pass through, writes and deletes are only recorded."""

    #: No other publisher writes to a dry run.
    conditional_creates = conditional_replaces = True

    def __init__(self, backend: WritableBackend) -> None:
        self._backend = backend
        #: The names that would have been written and deleted, in that order.
        self.written: list[str] = []
        self.deleted: list[str] = []

    @property
    def label(self) -> str:
        return self._backend.label

    @property
    def remote(self) -> bool:
        return self._backend.remote

    def stat(self, path: str) -> FileStat:
        return self._backend.stat(path)

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return self._backend.open(path, span, validator=validator)

    def walk(self) -> Iterator[FileStat]:
        return self._backend.walk()

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        self.written.append(path)
        return FileStat(path, source.stat.size, sha256=options.sha256)

    def delete(self, path: str) -> None:
        self.deleted.append(path)
