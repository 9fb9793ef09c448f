"""This module owns the backend that gives another backend's style sheets with their references named.

It is a backend around a backend, so serving, publishing and ``url_for`` see one and the same
bytes and fingerprints. JavaScript is left alone: the import map answers for it.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from assetstore.backends.base import WHOLE, Backend, BytesFile, FileStat, OpenFile, Span, Version
from assetstore.backends.reader import NO_FILE, AsyncOpenFile, Mark, MarkingReader, Reader, ThreadReader, reader_of
from assetstore.errors import AssetNotFound, BrokenReference, SettingsError, VersionChanged
from assetstore.names.fingerprint import Fingerprinter
from assetstore.references.css import MAX_BYTES as MAX_SHEET_BYTES
from assetstore.rewrite import graph as sheets
from assetstore.rewrite.graph import Look, Source
from assetstore.util.background import DeferredCache, on_event_loop
from assetstore.util.lru import LRU

_log = logging.getLogger("assetstore")

#: How many sources are remembered, and how many faults are remembered as said.
MAX_SOURCES = 500


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A style sheet as served, and the versions of all files that it was made of (``None``: missing)."""

    stat: FileStat
    data: bytes
    made_of: Mapping[str, FileStat | None]

    def still_holds(self, look: Look) -> bool:
        """Whether every file is still the version that went in."""
        return all(_version(look(path)) == _version(stat) for path, stat in self.made_of.items())


class Rewriter:
    """Makes rewritten style sheets from the files in *backend*, named as *fingerprinter* names them.

    Its owner lets one thread in at a time.
    """

    def __init__(self, backend: Backend, fingerprinter: Fingerprinter, *, strict: bool) -> None:
        self._backend = backend
        self._fingerprinter = fingerprinter
        self._strict = strict
        self._sources: LRU[str, Source] = LRU(MAX_SOURCES)
        self._said: set[str] = set()

    def make(self, path: str, stat: FileStat, look: Look) -> Rewritten:
        """The style sheet at *path*, of which *stat* was reported.

        Raises:
            BrokenReference: it names a missing file, where that is an error.
            AssetNotFound, BackendError: as :meth:`Backend.open`.
        """
        sources, made_of = self._gather(path, stat, look)
        self._report(sources, made_of)

        def fingerprint_of(other: str) -> str | None:
            found = made_of.get(other)
            return None if found is None else found.fingerprint or self._fingerprinter.of(found, self._backend)

        sheet = sheets.name(sources, fingerprint_of)[path]
        times = [each.mtime_ns for each in made_of.values() if each and each.mtime_ns is not None]
        digest = hashlib.sha256(sheet.data).hexdigest()
        served = FileStat(path, len(sheet.data), max(times, default=None), digest, digest, sheet.fingerprint)
        return Rewritten(served, sheet.data, made_of)

    def source(self, path: str, stat: FileStat) -> Source:
        """The style sheet as its author wrote it; read again only if *stat* is of another version."""
        source = self._sources.get(path)
        if source is None or source.stat.version != stat.version:
            opened = self._backend.open(path)
            try:
                source = Source.read(opened.stat, b"".join(opened.chunks(0, opened.stat.size)))
            finally:
                opened.close()
        return self._sources.put(path, source)

    def _gather(self, path: str, stat: FileStat, look: Look) -> tuple[dict[str, Source], dict[str, FileStat | None]]:
        """Every style sheet that *path* reaches, and the facts of every file that these refer to."""
        first = self.source(path, stat)
        sources, pending = {path: first}, [first]
        made_of: dict[str, FileStat | None] = {path: first.stat}
        while pending:
            for _, meant in pending.pop().targets():
                if meant is None or meant.path in made_of:
                    continue
                made_of[meant.path] = found = look(meant.path)
                if found is not None and sheets.is_sheet(meant.path) and found.size <= MAX_SHEET_BYTES:
                    sources[meant.path] = source = self.source(meant.path, found)
                    made_of[meant.path] = source.stat
                    pending.append(source)
        return sources, made_of

    def _report(self, sources: Mapping[str, Source], made_of: Mapping[str, FileStat | None]) -> None:
        faults = [": ".join(fault) for source in sources.values() for fault in sheets.broken(source, made_of.get)]
        if faults and self._strict:
            raise BrokenReference(f"in {self._backend.label}: " + "; ".join(faults))
        for fault in faults:
            if fault not in self._said and len(self._said) < MAX_SOURCES:
                self._said.add(fault)
                _log.warning("in %s: %s; the reference is left as it is", self._backend.label, fault)


def _version(stat: FileStat | None) -> Version | None:
    return None if stat is None else stat.version


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


#: What ``references=`` of a mount may be: rewrite and warn of what is missing, or refuse it.
CHOICES = ("rewrite", "strict")
#: Style sheets up to this size are rewritten where ``url_for`` was called; larger ones in a thread.
INLINE_BYTES = 16 * 1024
#: How many style sheets are remembered.
MAX_REWRITTEN = 500
#: How long an answer stands before the files behind it are looked at again: on disk, and over a network.
RECHECK_SECONDS, REMOTE_RECHECK_SECONDS = 0.1, 10.0
#: Stored variants of a style sheet hold the bytes before rewriting.
_VARIANTS = (".br", ".gz", ".zst")


class RewrittenBackend:
    """*inner*, with the relative references in its style sheets rewritten to fingerprinted, relative ones.

    Args:
        inner: where the files live.
        fingerprinter: names the files that are referred to, as the mount names them.
        strict: whether a reference to a missing file is a :class:`BrokenReference` or a warning.
    """

    def __init__(self, inner: Backend, fingerprinter: Fingerprinter, *, strict: bool = False) -> None:
        self._inner = inner
        self._rewriter = Rewriter(inner, fingerprinter, strict=strict)
        self._lock = threading.Lock()
        #: What was made, and until when it is not looked at again.
        self._known: LRU[str, tuple[Rewritten, float]] = LRU(MAX_REWRITTEN)
        self._soon: DeferredCache[str, Rewritten] = DeferredCache(
            lambda path: self._sheet(path, self._look), seconds=0.0
        )
        self._recheck_seconds = REMOTE_RECHECK_SECONDS if inner.remote else RECHECK_SECONDS

    @property
    def inner(self) -> Backend:
        """The backend below: where the files live as their authors wrote them."""
        return self._inner

    @property
    def label(self) -> str:
        return self._inner.label

    @property
    def remote(self) -> bool:
        return self._inner.remote

    def stat(self, path: str) -> FileStat:
        """As :meth:`Backend.stat`; of a style sheet, the facts of its rewritten bytes.

        Raises:
            BrokenReference: it names a missing file, where that is an error.
        """
        self._refuse_variant(path)
        if sheets.is_sheet(path) and on_event_loop():
            return self._stat_at_once(path)
        known = self._sheet(path, self._look)
        return self._inner.stat(path) if known is None else known.stat

    def _stat_at_once(self, path: str) -> FileStat:
        """As :meth:`stat`, where an event loop waits: what was known, or the file as it lies, until it is rewritten."""
        known, fresh_until = self._known.get(path, (None, 0.0))
        if known is not None and (time.monotonic() < fresh_until or known.still_holds(self._look)):
            return known.stat
        stat = self._inner.stat(path)
        if stat.size <= INLINE_BYTES and not self._lock.locked():
            known = self._sheet(path, self._look)
        else:
            self._soon.get(path)
        return stat if known is None else known.stat

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        """As :meth:`Backend.open`; of a style sheet, its rewritten bytes."""
        self._refuse_variant(path)
        known = self._sheet(path, self._look)
        if known is None:
            return self._inner.open(path, span, validator=validator)
        if validator is not None and validator != known.stat.validator:
            raise VersionChanged(f"{path!r} in {self.label} has changed", path=path)
        return BytesFile(known.stat, known.data)

    def walk(self) -> Iterator[FileStat]:
        """As :meth:`Backend.walk`. The one listing also answers for what the style sheets refer to."""
        listed = {stat.path: stat for stat in self._inner.walk()}
        for path, stat in listed.items():
            if _described(path) in listed:
                continue
            try:
                known = self._sheet(path, listed.get, anew=True)
            except AssetNotFound:  # deleted since it was listed
                continue
            yield stat if known is None else known.stat

    def prepare(self) -> None:
        """Rewrite every style sheet now, so that no page and no request waits for it (a tenth of a second for 100 KB).

        Raises:
            BrokenReference: one names a missing file, where that is an error.
        """
        if not self.remote:  # what is remote is listed in the background anyway
            for _ in self.walk():
                pass

    def faults(self) -> Iterator[tuple[str, str]]:
        """Every reference to a missing file, in any style sheet: where it stands, and what it says."""
        listed = {stat.path: stat for stat in self._inner.walk()}
        for path, stat in listed.items():
            if sheets.is_sheet(path) and stat.size <= MAX_SHEET_BYTES:
                with self._lock:
                    source = self._rewriter.source(path, stat)
                yield from sheets.broken(source, listed.get)

    def reader(self) -> Reader:
        """How serving reads: style sheets from here, everything else as the backend below is read best."""
        return RewrittenReader(self._inner, self, lambda path: sheets.is_sheet(_described(path) or path))

    def _refuse_variant(self, path: str) -> None:
        sheet = _described(path)
        if sheet is not None and self._look(sheet) is not None:
            raise AssetNotFound(path, self.label, "a stored variant of a rewritten style sheet is not served")

    def _look(self, path: str) -> FileStat | None:
        try:
            return self._inner.stat(path)
        except AssetNotFound:
            return None

    def _sheet(self, path: str, look: Look, *, anew: bool = False) -> Rewritten | None:
        """The style sheet at *path* as it is served; ``None`` if that is no style sheet to be rewritten.

        With *anew*, what *look* knows counts even if the files were looked at a moment ago.
        """
        if not sheets.is_sheet(path):
            return None
        with self._lock:
            known, fresh_until = self._known.get(path, (None, 0.0))
            if known is not None and time.monotonic() < fresh_until and not anew:
                return known
            if known is None or not known.still_holds(look):
                stat = look(path)
                if stat is None:
                    raise AssetNotFound(path, self.label)
                if stat.size > MAX_SHEET_BYTES:
                    return None
                known = self._rewriter.make(path, stat, look)
            self._known.put(path, (known, time.monotonic() + self._recheck_seconds))
            return known


def rewritten(backend: Backend, fingerprinter: Fingerprinter | None, references: object) -> Backend:
    """*backend* as ``references=`` of its mount wants it.

    Raises:
        SettingsError: *references* is none of the accepted values, or there are no fingerprints to write.
    """
    if references is None:
        return backend
    if references not in CHOICES:
        raise SettingsError(
            f"references={references!r} is not known; give 'rewrite' (a missing file is a warning), 'strict' "
            "(a missing file is an error), or leave it out to serve style sheets as they are"
        )
    if fingerprinter is None:
        raise SettingsError(f"references={references!r} writes fingerprints, and fingerprint=False makes none")
    return RewrittenBackend(backend, fingerprinter, strict=references == "strict")


def _described(path: str) -> str | None:
    """The style sheet that *path* would be a stored variant of."""
    sheet = next((path.removesuffix(each) for each in _VARIANTS if path.endswith(each)), None)
    return sheet if sheet is not None and sheets.is_sheet(sheet) else None
