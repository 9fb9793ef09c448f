"""Several directories as one backend: the first that has a file wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.reader import AsyncOpenFile, Reader, reader_of
from assetstore.errors import AssetNotFound

T = TypeVar("T")


class Overlay:
    """*layers*, the first of which that has a file wins; read only."""

    remote = False

    def __init__(self, layers: Sequence[LocalBackend]) -> None:
        self._layers = tuple(layers)
        self.label = ", ".join(each.label for each in layers)

    def __repr__(self) -> str:
        return f"Overlay({list(self._layers)!r})"

    @property
    def layers(self) -> tuple[LocalBackend, ...]:
        """The directories, the first that has a file first."""
        return self._layers

    @property
    def dot_names(self) -> frozenset[str]:
        """Names with a leading dot that are listed."""
        return self._layers[0].dot_names

    @dot_names.setter
    def dot_names(self, names: frozenset[str]) -> None:
        for layer in self._layers:
            layer.dot_names = names

    def stat(self, path: str) -> FileStat:
        return self._first(path, lambda layer: layer.stat(path))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return self._first(path, lambda layer: layer.open(path, span, validator=validator))

    def walk(self) -> Iterator[FileStat]:
        seen: set[str] = set()
        for layer in self._layers:
            for stat in layer.walk():
                if stat.path not in seen:
                    seen.add(stat.path)
                    yield stat

    def reader(self) -> Reader:
        """How serving reads: each directory in its own way."""
        return _OverlayReader([reader_of(each) for each in self._layers], self.label)

    def _first(self, path: str, look: Callable[[LocalBackend], T]) -> T:
        for layer in self._layers:
            try:
                return look(layer)
            except AssetNotFound:
                continue
        raise AssetNotFound(path, self.label)


class _OverlayReader:
    def __init__(self, readers: Sequence[Reader], label: str) -> None:
        self._readers = tuple(readers)
        self._label = label

    async def stat(self, path: str) -> FileStat:
        for reader in self._readers:
            try:
                return await reader.stat(path)
            except AssetNotFound:
                continue
        raise AssetNotFound(path, self._label)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        for reader in self._readers:
            try:
                return await reader.open(path, span, validator=validator)
            except AssetNotFound:
                continue
        raise AssetNotFound(path, self._label)

    async def aclose(self) -> None:
        for reader in self._readers:
            await reader.aclose()
