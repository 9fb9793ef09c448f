"""This module owns how serving reads a mount whose style sheets are rewritten.

Style sheets are short and come from memory, through a thread; every other file is read by the
best reader that the backend below has.
"""

from __future__ import annotations

from collections.abc import Callable

from assetstore.backends.base import WHOLE, Backend, FileStat, Span
from assetstore.backends.readers import NO_FILE, AsyncOpenFile, Mark, MarkingReader, Reader, ThreadReader, reader_of


class RewrittenReader:
    """Two readers side by side: *outer* for the paths that *is_rewritten* picks, *inner*'s for all others."""

    def __init__(self, inner: Backend, outer: Backend, is_rewritten: Callable[[str], bool]) -> None:
        self._others = reader_of(inner)
        self._marking = self._others if isinstance(self._others, MarkingReader) else None
        self._sheets = ThreadReader(outer)
        self._is_rewritten = is_rewritten

    async def stat(self, path: str) -> FileStat:
        return await self._for(path).stat(path)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        return await self._for(path).open(path, span, validator=validator)

    def mark(self, path: str) -> Mark | None:
        """As :meth:`MarkingReader.mark`; a style sheet follows other files, so nothing of its own tells."""
        return self._marking.mark(path) if self._marking and not self._is_rewritten(path) else None

    def glance(self, path: str) -> int:
        return hash(NO_FILE) if self._marking is None else self._marking.glance(path)

    def path_of(self, path: str, mark: Mark) -> str | None:
        return self._marking.path_of(path, mark) if self._marking else None

    def read_now(self, path: str, mark: Mark, start: int, stop: int) -> bytes | None:
        return self._marking.read_now(path, mark, start, stop) if self._marking else None

    async def aclose(self) -> None:
        await self._others.aclose()
        await self._sheets.aclose()

    def _for(self, path: str) -> Reader:
        return self._sheets if self._is_rewritten(path) else self._others
