"""The response cache: hot files by URL, within a budget of bytes; which one goes is chosen as SIEVE does.

What goes first is chosen as the SIEVE algorithm does (Zhang et al., NSDI 2024). Entries stand in
the order in which they came. A hand goes from the oldest towards the newest: what was asked for
since it last came past is passed over, anything else goes. New entries come in before the hand,
so that one pass over any number of files only evicts those very files. A hit sets one flag, and
so needs no lock.

Doors keep what they answered in tables of their own. Whenever anything is forgotten, so is all of that.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from assetstore.assets import media_types, paths
from assetstore.assets.compression import SUFFIXES
from assetstore.backends.base import CacheFacts, FileSignature
from assetstore.backends.reader import NO_FILE, AsyncOpenFile, SignatureReader
from assetstore.http.conditional import Validators
from assetstore.http.negotiation import Selection, preferred
from assetstore.http.representation import Representation
from assetstore.http.request import AssetRequest
from assetstore.http.response import (
    ByteSpan,
    FinishedResponse,
    Piece,
    Response,
    ServerFile,
    cut,
    finished,
    packed,
    respond,
)
from assetstore.http.response_headers import Headers
from assetstore.http.revalidation import DirectoryWatch, Revalidation, Snapshot
from assetstore.http.send import kind_for_server, pays_by_server, whole
from assetstore.mounts.mount import Mount

#: Answers that are kept for one URL; and the longest request, and the longest part of a file, that one
#: is kept for, in bytes.
MAX_ANSWERS, MAX_ASKED_BYTES, MAX_PART_BYTES = 64, 512, 64 * 1024
#: What an entry, a representation and an answer take without the bytes of files: measured, then rounded up.
ENTRY_BYTES, KEPT_BYTES, ANSWER_BYTES = 2304, 2304, 512

#: What a request asks: its method, and the headers that can change the answer.
RequestKey = tuple[str, tuple[tuple[bytes, bytes], ...]]


@dataclass(frozen=True, slots=True)
class CachedFileSpan:
    """An answer whose bytes a server sends by itself, if it can, from the file with that mark."""

    status: int
    headers: Headers
    file: str
    mark: FileSignature
    part: ByteSpan
    reader: SignatureReader

    def ready(self, extensions: Container[str]) -> FinishedResponse | None:
        """Left to the server; ``None`` if the file is another, or the server has to be given the bytes."""
        kind = kind_for_server(self.part, self.mark.size, extensions)
        path = None if kind is None else self.reader.path_of(self.file, self.mark)
        if kind is None or path is None:
            return None
        return FinishedResponse(self.status, self.headers, (), ServerFile(kind, path, self.part.start, self.part.stop))


#: What is known of an answer.
CachedResponse = FinishedResponse | CachedFileSpan


def finished_of(known: CachedResponse | None, extensions: Container[str]) -> FinishedResponse | None:
    """What is *known* of an answer, with its bytes; ``None`` where they would be waited for."""
    return known if known is None or isinstance(known, FinishedResponse) else known.ready(extensions)


@dataclass(frozen=True, slots=True)
class CachedRepresentation:
    """A representation; and its bytes in pieces, or else the file that they are in, with its mark."""

    representation: Representation
    pieces: tuple[bytes, ...] | None = None
    file: str | None = None
    mark: FileSignature | None = None

    def known(self, answer: Response, reader: SignatureReader | None) -> CachedResponse | None:
        """*answer*, which was made of this, as far as its bytes can be had without waiting: here, or from *reader*."""
        if not answer.needs_file:
            return finished(answer)
        if self.pieces is not None:
            return FinishedResponse(answer.status, answer.headers, packed(tuple(_bytes_of(answer.body, self.pieces))))
        part, file, mark = answer.body[0], self.file, self.mark
        if len(answer.body) > 1 or not isinstance(part, ByteSpan) or file is None or mark is None or reader is None:
            return None
        return CachedFileSpan(answer.status, answer.headers, file, mark, part, reader) if pays_by_server(part) else None


class CacheEntry:
    """One URL."""

    __slots__ = (
        "_codings",
        "_identity",
        "_kept",
        "_missing",
        "_reader",
        "answers",
        "charged",
        "cost",
        "forgotten",
        "visited",
        "revalidation",
    )

    def __init__(
        self,
        revalidation: Revalidation,
        reader: SignatureReader | None,
        *,
        codings: tuple[str, ...] = (),
        identity: Validators | None = None,
        missing: Callable[[AssetRequest], Response] | None = None,
    ) -> None:
        self.revalidation = revalidation
        #: Bytes of memory that it takes, and that the the cache has of.
        self.cost, self.charged = ENTRY_BYTES, 0
        #: Whether it was asked for since the memory last went past it.
        self.visited = False
        #: Whether memory has let it go: what a interface still has of it counts no more.
        self.forgotten = False
        self._reader = reader
        self._codings = codings
        self._identity = identity
        self._missing = missing
        self._kept: dict[str | None, CachedRepresentation] = {}
        #: What is known for requests that were made before.
        self.answers: dict[RequestKey, CachedResponse] = {}

    def is_about(self, revalidation: Revalidation, codings: tuple[str, ...], identity: Validators) -> bool:
        """Whether the same files were found, in the same state and codings."""
        return self.revalidation.matches(revalidation) and (self._codings, self._identity) == (codings, identity)

    def still_holds(self) -> bool:
        """Whether memory has it still and its files are the ones they were, as of before; somebody asks for it."""
        self.visited = True
        return not self.forgotten and (time.monotonic() < self.revalidation.until or self.revalidation.holds())

    def keep(self, kept: CachedRepresentation) -> None:
        """Remember a representation; one whose bytes are not known never replaces one whose are."""
        coding = kept.representation.coding
        if kept.pieces is None and kept.file is None and coding in self._kept:
            return
        self._kept[coding] = kept
        self._forget_answers()

    def _forget_answers(self) -> None:
        self.answers.clear()
        contents = sum(sum(map(len, each.pieces or ())) for each in self._kept.values())
        self.cost = ENTRY_BYTES + KEPT_BYTES * len(self._kept) + contents

    def plan(self, asked: RequestKey) -> CachedResponse | None:
        """What another request gets; ``None`` where memory does not know. It is remembered, where time cannot change it."""
        method, headers = asked
        if method not in {"GET", "HEAD"}:
            return None
        request = AssetRequest.from_headers(method, headers)
        now = time.time()
        kept = self._choose(request, now)
        if kept is not None:
            known = kept.known(respond(request, kept.representation, now), self._reader)
        else:
            known = None if self._missing is None else finished(self._missing(request))
        if known is not None and request.timeless:
            self._keep_answer(asked, known)
        return known

    def _choose(self, request: AssetRequest, now: float) -> CachedRepresentation | None:
        if self._identity is None:
            return None
        return self._kept.get(preferred(request, self._codings, self._identity, now))

    def _keep_answer(self, asked: RequestKey, known: CachedResponse) -> None:
        # A 200 shares its bytes with what is kept.
        own = sum(map(len, known.body)) if isinstance(known, FinishedResponse) and known.status != 200 else 0
        if own > MAX_PART_BYTES or sum(len(value) for _, value in asked[1]) > MAX_ASKED_BYTES:
            return
        if len(self.answers) >= MAX_ANSWERS:
            self._forget_answers()
        self.answers[shared(asked)] = known
        self.cost += ANSWER_BYTES + own


@lru_cache(maxsize=256)
def shared(asked: RequestKey) -> RequestKey:
    """The same, as one object for all URLs: most are asked in few ways."""
    return asked


def _bytes_of(body: Iterable[Piece], pieces: tuple[bytes, ...]) -> Iterator[bytes]:
    """*body* with its parts cut from *pieces*; a piece that is wanted whole is not copied."""
    for each in body:
        if not isinstance(each, ByteSpan):
            yield each
            continue
        start = 0
        for piece in pieces:
            stop = start + len(piece)
            if each.start < stop and start < each.stop:
                yield piece[max(0, each.start - start) : each.stop - start]
            start = stop


#: What plans may take besides the bytes of files, so that a budget of 0 still remembers plans.
PLAN_BYTES = 8 * 1024 * 1024
#: The part of the budget that one file may take: larger ones are read in pieces, or sent by the server itself.
SHARE = 8


class ResponseCache:
    """Remembered URLs, for all mounts of a store.

    Args:
        budget_bytes: for the bytes of files; 0 remembers none of them.
        plan_bytes: for everything else that is remembered of a URL; with 0 as well, nothing is.
    """

    def __init__(self, budget_bytes: int, plan_bytes: int = PLAN_BYTES) -> None:
        self._budget = budget_bytes + plan_bytes
        #: The largest body that may be remembered, in bytes.
        self.max_body = budget_bytes // SHARE
        #: Whether the Host header decides which mount answers.
        self.by_host = False
        self._tables: list[dict[Any, Any]] = []
        self._entries: dict[str, CacheEntry] = {}
        self._ahead: OrderedDict[str, CacheEntry] = OrderedDict()
        self._passed: OrderedDict[str, CacheEntry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What all entries take together."""
        return self._bytes

    def table(self) -> dict[Any, Any]:
        """For a interface to keep answers in, so as to find them at once; emptied when an entry goes, or knows more."""
        self._tables.append({})
        return self._tables[-1]

    def recall(self, key: str, asked: RequestKey, extensions: Container[str]) -> FinishedResponse | None:
        """What the URL remembered as *key* answers to a server with those ASGI *extensions*, if the cache has it."""
        return finished_of(self.known(key, asked), extensions)

    def known(self, key: str, asked: RequestKey) -> CachedResponse | None:
        """What is known of the answer that the URL remembered as *key* gives."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if not entry.still_holds():
            self.drop(key, entry)
            return None
        known = entry.answers.get(asked)
        if known is None:
            known = entry.plan(asked)
            self._charge(key, entry)
        return known

    def which_repeats(self, key: str, asked: RequestKey, known: CachedResponse) -> CacheEntry | None:
        """The entry that tells for how long *known* may be repeated; ``None`` if it is made anew for each request."""
        entry = self._entries.get(key)
        return entry if entry is not None and entry.answers.get(asked) is known else None

    def key_of(self, scope: Mapping[str, Any]) -> str:
        """What the URL of a request is remembered as: its path, where nothing else decides who answers."""
        path: str = scope["path"]
        root_path = scope.get("root_path")
        if not root_path and not self.by_host:
            return path
        host = next((value for name, value in scope["headers"] if name == b"host"), b"") if self.by_host else b""
        return f"{path}\n{root_path}\n{host.decode('latin-1').lower()}"

    def get(self, key: str) -> CacheEntry | None:
        """The entry of a URL, whether or not it still holds."""
        return self._entries.get(key)

    def put(self, key: str, entry: CacheEntry) -> None:
        """Remember *entry*, in the place of what was remembered of that URL."""
        if self._entries.get(key) is entry:
            self._empty_tables()
            self._charge(key, entry)
            return
        with self._lock:
            self._remove(key)
            if entry.cost > self._budget:
                return
            self._make_room(entry.cost)
            self._entries[key] = self._ahead[key] = entry
            entry.charged, entry.forgotten = entry.cost, False
            self._bytes += entry.charged

    def drop(self, key: str, entry: CacheEntry) -> None:
        """Forget *entry*, unless another has taken its place."""
        with self._lock:
            if self._entries.get(key) is entry:
                self._remove(key)

    def start_over(self, *, by_host: bool) -> None:
        """Forget everything, since there is another mount; *by_host* says whether the Host header decides who answers."""
        self.by_host = by_host
        with self._lock:
            for entry in self._entries.values():
                entry.forgotten = True
            self._empty_tables()
            self._entries.clear()
            self._ahead.clear()
            self._passed.clear()
            self._bytes = 0

    def _empty_tables(self) -> None:
        for table in self._tables:
            table.clear()

    def _charge(self, key: str, entry: CacheEntry) -> None:
        if entry.cost == entry.charged:
            return
        with self._lock:
            if self._entries.get(key) is entry:
                self._bytes += entry.cost - entry.charged
                entry.charged = entry.cost
                self._make_room()

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry.forgotten = True
            self._empty_tables()
            self._bytes -= entry.charged
            if self._ahead.pop(key, None) is None:
                self._passed.pop(key, None)

    def _make_room(self, wanted: int = 0) -> None:
        while self._entries and self._bytes + wanted > self._budget:
            if not self._ahead:  # the hand has come to the newest, and begins again with the oldest
                self._ahead, self._passed = self._passed, self._ahead
            key, entry = next(iter(self._ahead.items()))
            if entry.visited:
                entry.visited = False
                self._passed[key] = self._ahead.pop(key)
            else:
                self._remove(key)


#: Files that one mount reads into memory at once; what is asked for meanwhile is sent as it is read.
MAX_LOADING = 8
#: The largest file that a client is made to wait for where it does not lie on this machine.
MAX_AWAITED_BYTES = 1024 * 1024


class CacheWriter:
    """Remembers what one mount answered.

    Args:
        memory: of the whole store.
        mount: where the files are.
        bodies: whether the bytes of files may be remembered; not where a proxy sends them.
    """

    def __init__(self, memory: ResponseCache, mount: Mount, *, bodies: bool = True) -> None:
        self._memory = memory
        self._mount = mount
        self._reader = mount.reader if isinstance(mount.reader, SignatureReader) else None
        self._lookout = None if self._reader is None else DirectoryWatch(self._reader)
        self._bodies = bodies
        self._loading: set[str] = set()

    def look(self, file: str) -> Snapshot | None:
        """What the files look like now that an answer for *file* may be made of; ``None`` for no legal path.

        To be called before they are looked up: what changes meanwhile is then noticed at the next check.
        """
        if not paths.is_clean(file):
            return None
        if self._reader is None:
            return Snapshot(None, ())
        logical, fingerprint = self._mount.split(file)
        looked_at = _with_siblings(logical)
        if fingerprint is not None:
            looked_at += _with_siblings(file) if self._reader.mark(file) != NO_FILE else [file]
        return Snapshot(self._lookout, looked_at)

    async def keep(
        self, key: str, look: Snapshot | None, answer: Response, selection: Selection, *, with_bytes: bool = True
    ) -> Response:
        """Remember what was chosen, and *answer* with its bytes where these are remembered as well.

        *with_bytes* is false where somebody else will send them.

        Raises:
            BodyTruncated, VersionChanged, BackendError: the bytes cannot be read.
        """
        if look is None or not _is_settled(selection.stat.cache) or look.is_early:
            return answer
        chosen, opened = selection.chosen, selection.opened
        # A release that was switched since the look is another file: what was opened counts.
        used = [selection.stat] if opened is None else [selection.stat, opened.stat]
        if any(stat.signature is not None and stat.signature != look.mark_of(stat.path) for stat in used):
            return answer
        pieces: tuple[bytes, ...] | None = None if chosen.content is None else (chosen.content,)
        file = opened.stat.path if opened is not None and self._bodies else None
        if opened is not None and self._bodies and with_bytes and self._is_worth_loading(key, answer):
            pieces = loaded = await self._load(key, opened)
            answer = replace(answer, body=loaded)
        entry, revalidation = self._memory.get(key), look.revalidation()
        if entry is None or not entry.is_about(revalidation, selection.codings, selection.identity):
            entry = CacheEntry(revalidation, self._reader, codings=selection.codings, identity=selection.identity)
        mark = None if file is None else look.mark_of(file)
        entry.keep(CachedRepresentation(replace(chosen, content=None), pieces, file, mark))
        self._memory.put(key, entry)
        return answer

    def keep_missing(self, key: str, look: Snapshot | None, refusal: Callable[[AssetRequest], Response]) -> None:
        """Remember that there is no such file."""
        if look is not None:
            self._memory.put(key, CacheEntry(look.revalidation(), self._reader, missing=refusal))

    def _is_worth_loading(self, key: str, answer: Response) -> bool:
        """Whether the whole file is sent, and may be remembered; a client of a slow storage waits for no large one."""
        if answer.status != 200 or not answer.needs_file or key in self._loading or len(self._loading) >= MAX_LOADING:
            return False
        size = sum(piece.stop - piece.start for piece in answer.body if isinstance(piece, ByteSpan))
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
