"""A backend for dry runs: reads another one, and shows what would be written and deleted as if it had been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from assetstore.assets import paths
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, WritableBackend, WriteOptions
from assetstore.errors import AssetNotFound


class DryRunBackend:
    """In front of a writable backend: reads pass through, writes and deletes are only recorded."""

    def __init__(self, backend: WritableBackend) -> None:
        self._backend = backend
        #: No other publisher writes to a dry run, so its conditions hold.
        self.conditional_creates: bool | None = True
        self.conditional_replaces: bool | None = True
        #: The names that would have been written and deleted, in that order.
        self.written: list[str] = []
        self.deleted: list[str] = []
        self._files: dict[str, FileStat] = {}

    @property
    def label(self) -> str:
        return self._backend.label

    @property
    def remote(self) -> bool:
        return self._backend.remote

    @property
    def dot_names(self) -> bool | frozenset[str]:
        return getattr(self._backend, "dot_names", paths.WELL_KNOWN)

    @dot_names.setter
    def dot_names(self, names: bool | frozenset[str]) -> None:
        if hasattr(self._backend, "dot_names"):
            self._backend.dot_names = names

    @property
    def max_segment_bytes(self) -> int:
        return int(getattr(self._backend, "max_segment_bytes", 0))

    def stat(self, path: str) -> FileStat:
        if path in self._files:
            return self._files[path]
        if path in self.deleted:
            raise AssetNotFound(path, self.label)
        return self._backend.stat(path)

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return self._backend.open(path, span, validator=validator)

    def walk(self) -> Iterator[FileStat]:
        changed = {*self._files, *self.deleted}
        yield from (stat for stat in self._backend.walk() if stat.path not in changed)
        yield from (stat for stat in self._files.values() if paths.is_clean(stat.path, hidden=self.dot_names))

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        self.written.append(path)
        stat = replace(
            FileStat(path, source.stat.size, sha256=options.sha256), validator=f"dry-run-{len(self.written)}"
        )
        self._files[path] = stat
        return stat

    def delete(self, path: str) -> None:
        self.deleted.append(path)
        self._files.pop(path, None)
