"""This module owns what the handler of one mount tells the memory: which files it looks at, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from assetstore import fingerprint as fingerprints
from assetstore import media_types, paths
from assetstore.backends.base import CacheFacts
from assetstore.backends.readers import NO_FILE, AsyncOpenFile, MarkingReader
from assetstore.compress import SUFFIXES
from assetstore.http.answer import Answer, Part, cut
from assetstore.http.body import whole
from assetstore.http.memory import Memory
from assetstore.http.remembered import Kept, Remembered
from assetstore.http.request import AssetRequest
from assetstore.http.selection import Selection
from assetstore.http.witness import Look, Lookout
from assetstore.mounts import Mount

#: Files that one mount reads into memory at once; what is asked for meanwhile is sent as it is read.
MAX_LOADING = 8
#: The largest file that a client is made to wait for where it does not lie on this machine.
MAX_AWAITED_BYTES = 1024 * 1024


class Recall:
    """Remembers what one mount answered.

    Args:
        memory: of the whole store.
        mount: where the files are.
        bodies: whether the bytes of files may be remembered; not where a proxy sends them.
    """

    def __init__(self, memory: Memory, mount: Mount, *, bodies: bool = True) -> None:
        self._memory = memory
        self._reader = mount.reader if isinstance(mount.reader, MarkingReader) else None
        self._lookout = None if self._reader is None else Lookout(self._reader)
        self._bodies = bodies
        self._loading: set[str] = set()

    def look(self, file: str) -> Look | None:
        """What the files look like now that an answer for *file* may be made of; ``None`` for no legal path.

        To be called before they are looked up: what changes meanwhile is then noticed at the next check.
        """
        if not paths.is_clean(file):
            return None
        if self._reader is None:
            return Look(None, ())
        logical, fingerprint = fingerprints.split(file)
        looked_at = _with_siblings(logical)
        if fingerprint is not None:
            looked_at += _with_siblings(file) if self._reader.mark(file) != NO_FILE else [file]
        return Look(self._lookout, looked_at)

    async def keep(
        self, key: str, look: Look | None, answer: Answer, selection: Selection, *, with_bytes: bool = True
    ) -> Answer:
        """Remember what was chosen, and *answer* with its bytes where these are remembered as well.

        *with_bytes* is false where somebody else will send them.

        Raises:
            BodyTruncated, VersionChanged, BackendError: the bytes cannot be read.
        """
        if look is None or not _is_settled(selection.stat.cache) or look.is_early:
            return answer
        chosen, opened = selection.chosen, selection.opened
        pieces: tuple[bytes, ...] | None = None if chosen.content is None else (chosen.content,)
        file = opened.stat.path if opened is not None and self._bodies else None
        if opened is not None and self._bodies and with_bytes and self._is_worth_loading(key, answer):
            pieces = loaded = await self._load(key, opened)
            answer = replace(answer, body=loaded)
        entry, witness = self._memory.get(key), look.witness()
        if entry is None or not entry.is_about(witness, selection.codings, selection.identity):
            entry = Remembered(witness, self._reader, codings=selection.codings, identity=selection.identity)
        mark = None if file is None else look.mark_of(file)
        entry.keep(Kept(replace(chosen, content=None), pieces, file, mark))
        self._memory.put(key, entry)
        return answer

    def keep_missing(self, key: str, look: Look | None, refusal: Callable[[AssetRequest], Answer]) -> None:
        """Remember that there is no such file."""
        if look is not None:
            self._memory.put(key, Remembered(look.witness(), self._reader, missing=refusal))

    def _is_worth_loading(self, key: str, answer: Answer) -> bool:
        """Whether the whole file is sent, and may be remembered; a client of a slow storage waits for no large one."""
        if answer.status != 200 or not answer.needs_file or key in self._loading or len(self._loading) >= MAX_LOADING:
            return False
        size = sum(piece.stop - piece.start for piece in answer.body if isinstance(piece, Part))
        return size <= (self._memory.max_body if self._reader else min(self._memory.max_body, MAX_AWAITED_BYTES))

    async def _load(self, key: str, opened: AsyncOpenFile) -> tuple[bytes, ...]:
        self._loading.add(key)
        try:
            pieces = await whole(opened, opened.stat.size)
        finally:
            self._loading.discard(key)
        return cut(pieces)


def _with_siblings(path: str) -> list[str]:
    return [path, *(path + suffix for suffix in SUFFIXES.values())] if media_types.may_have_variants(path) else [path]


def _is_settled(cache: CacheFacts | None) -> bool:
    """Whether a cache before the storage would say the same again."""
    return cache is None or cache.outcome == "hit"
