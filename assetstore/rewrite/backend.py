"""A backend whose style sheets, pages, SVGs and web manifests name fingerprinted files.

It is a backend around a backend, so serving, publishing and ``url_for`` see one and the same
bytes and fingerprints. JavaScript is left alone: the import map answers for it.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from assetstore.assets.paths import extension
from assetstore.backends.base import WHOLE, Backend, BytesFile, FileSignature, FileStat, OpenFile, Span, Version
from assetstore.backends.reader import (
    NO_FILE,
    AsyncOpenFile,
    Closing,
    Reader,
    SignatureReader,
    ThreadReader,
    reader_of,
    siblings_by,
)
from assetstore.errors import AssetNotFound, BrokenReference, SettingsError, VersionChanged
from assetstore.names.fingerprint import Fingerprint
from assetstore.rewrite import graph
from assetstore.rewrite.graph import MAX_BYTES, Fault, Source, StatOf, is_referrer
from assetstore.util import reset_after_fork
from assetstore.util.background import DeferredCache, LoopBudget, on_event_loop
from assetstore.util.lru import LRU

_log = logging.getLogger("assetstore")

#: What ``references=`` of a mount may be: rewrite and warn of what is missing, or refuse it.
CHOICES = ("rewrite", "strict")
#: How many files are kept as written and as rewritten, and how many bytes of each.
MAX_FILES, MAX_KEPT_BYTES = 5_000, 32 * 1024 * 1024
#: How many faults are logged, each once.
MAX_LOGGED = 500
#: On an event loop, files up to this size are rewritten at once if what they refer to is not larger than the second,
#: and not more files than the third (of which each costs a ``stat``, 20 microseconds).
INLINE_BYTES, INLINE_TARGET_BYTES, INLINE_TARGETS = 16 * 1024, 256 * 1024, 100
#: How much of each second an event loop spends on that and on looking at the files behind a result, in seconds.
INLINE_SECONDS = 0.005
#: Seconds for which a result is used before its files are examined again: on disk, and over a network.
RECHECK_SECONDS, REMOTE_RECHECK_SECONDS = 0.1, 10.0
#: Stored variants of a referrer hold the bytes before rewriting.
_VARIANTS = (".br", ".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file as served, and the versions of all files that it was made of (``None``: missing)."""

    stat: FileStat
    data: bytes
    made_of: Mapping[str, FileStat | None]
    #: Whether it refers to nothing, so that it is served as it is.
    unchanged: bool = False

    def still_holds(self, stat_of: StatOf) -> bool:
        """Whether every file is still the version that went in."""
        return all(_version(stat_of(path)) == _version(stat) for path, stat in self.made_of.items())


class RewrittenBackend:
    """*inner*, with the references in its files rewritten to fingerprinted names of its own mount.

    Args:
        inner: where the files live.
        fingerprinter: names the files that are referred to, as the mount names them.
        strict: whether a reference to a missing file is a :class:`BrokenReference` or a warning.
        prefixes: URLs that mean this mount, such as ``/assets/``; references that begin with one are rewritten too.
        serves: whether a path may be served at all; what may not is as good as missing.
    """

    def __init__(
        self,
        inner: Backend,
        fingerprinter: Fingerprint,
        *,
        strict: bool = False,
        prefixes: Sequence[str] = (),
        serves: Callable[[str], bool] = lambda path: True,
    ) -> None:
        self._inner = inner
        self._fingerprinter = fingerprinter
        self._strict = strict
        self._prefixes = tuple(prefixes)
        self._serves = serves
        # Rewriting is for one thread at a time.
        self._lock = threading.RLock()
        self._sources: LRU[str, Source] = LRU(
            MAX_FILES, max_weight=MAX_KEPT_BYTES, weight=lambda source: len(source.data) + 200 * len(source.found)
        )
        #: Results, and until when each is used without another examination.
        self._made: LRU[str, tuple[Rewritten, float]] = LRU(
            MAX_FILES, max_weight=MAX_KEPT_BYTES, weight=lambda made: len(made[0].data) + 500 * len(made[0].made_of)
        )
        self._deferred: DeferredCache[str, Rewritten] = DeferredCache(
            lambda path: self._rewritten(path, self._stat_of), seconds=0.0, what="rewrite", name="assetstore-rewrite"
        )
        self._recheck_seconds = REMOTE_RECHECK_SECONDS if inner.remote else RECHECK_SECONDS
        self._logged: set[str] = set()
        self._budget = LoopBudget(INLINE_SECONDS)
        reset_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.RLock()

    def renamed(self, fingerprinter: Fingerprint) -> RewrittenBackend:
        """The same files, with the names that *fingerprinter* gives."""
        return RewrittenBackend(
            self._inner, fingerprinter, strict=self._strict, prefixes=self._prefixes, serves=self._serves
        )

    def close(self) -> None:
        """End the thread that rewrites, and what the backend below holds; the next use begins anew."""
        self._deferred.close()
        if isinstance(self._inner, Closing):
            self._inner.close()

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
        """As :meth:`Backend.stat`; of a rewritten file, the stat of its rewritten bytes.

        Raises:
            BrokenReference: it refers to a missing file, where that is an error.
        """
        self._refuse_variant(path)
        if self._is_referrer(path) and on_event_loop():
            return self._stat_on_loop(path)
        made = self._rewritten(path, self._stat_of)
        return self._inner.stat(path) if made is None else made.stat

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        """As :meth:`Backend.open`; of a rewritten file, its rewritten bytes."""
        self._refuse_variant(path)
        made = self._rewritten(path, self._stat_of)
        if made is None:
            return self._inner.open(path, span, validator=validator)
        if validator is not None and validator != made.stat.validator:
            raise VersionChanged(f"{path!r} in {self.label} has changed", path=path)
        return BytesFile(made.stat, made.data)

    def walk(self) -> Iterator[FileStat]:
        """As :meth:`Backend.walk`. The one listing also answers for what the files refer to."""
        listed = {stat.path: stat for stat in self._inner.walk()}
        for path, stat in listed.items():
            try:
                if self._is_stale_variant(path, listed.get):
                    continue
                made = self._rewritten(path, listed.get, anew=True)
            except AssetNotFound:  # deleted since it was listed
                continue
            yield stat if made is None else made.stat

    def defers(self, path: str) -> bool:
        """Whether the bytes at *path* may have to be made first, so that an event loop does not read them for a name."""
        return self._is_referrer(path)

    def prepare(self) -> None:
        """Rewrite every file now, so that no page and no request waits for it. For start-up, in a thread.

        Raises:
            BrokenReference: one refers to a missing file, where that is an error.
        """
        if not self.remote:  # what is remote is listed in the background anyway
            for _ in self.walk():
                pass

    def faults(self) -> Iterator[Fault]:
        """Every reference to a missing file, and every file that is too large to be read."""
        listed = {stat.path: stat for stat in self._inner.walk()}
        for path, stat in listed.items():
            if not self._is_referrer(path) or not self._serves(path):
                continue
            if stat.size > MAX_BYTES:
                yield Fault(path, _too_large(stat), fatal=self._strict)
                continue
            with self._lock:
                source = self._source(path, stat)
            yield from graph.faults(source, listed.get, self._serves)

    def reader(self) -> Reader:
        """How serving reads: rewritten files from here, everything else as the backend below is read best."""
        return RewrittenReader(self._inner, self, lambda path: self._is_referrer(self._original(path) or path))

    def _stat_on_loop(self, path: str) -> FileStat:
        """As :meth:`stat`, on an event loop: what is known, or the file as it lies until it is rewritten."""
        made, fresh_until = self._made.get(path, (None, 0.0))
        if made is not None and time.monotonic() < fresh_until:
            return made.stat
        if self._budget.is_spent or (made is not None and len(made.made_of) > INLINE_TARGETS):
            self._deferred.soon(path)
            return self._inner.stat(path) if made is None or made.unchanged else made.stat
        with self._budget.spend():
            if made is not None and made.still_holds(self._stat_of):
                self._made.put(path, (made, time.monotonic() + self._recheck_seconds))
                return made.stat
            stat = self._inner.stat(path)
            if stat.size <= INLINE_BYTES and self._lock.acquire(blocking=False):
                try:
                    if self._is_cheap(path, stat):
                        made = self._rewritten(path, self._stat_of)
                    else:
                        self._deferred.soon(path)
                finally:
                    self._lock.release()
            else:
                self._deferred.soon(path)
            return stat if made is None or made.unchanged else made.stat

    def _is_cheap(self, path: str, stat: FileStat) -> bool:
        if self.remote:
            return False
        targets = {meant.path for _, meant in self._source(path, stat).targets() if meant}
        if len(targets) > INLINE_TARGETS:
            return False
        sizes = [found.size for found in map(self._stat_of, targets) if found is not None]
        return sum(sizes) <= INLINE_TARGET_BYTES

    def _refuse_variant(self, path: str) -> None:
        if self._is_stale_variant(path, self._stat_of):
            raise AssetNotFound(path, self.label, "a stored variant of a rewritten file is not served")

    def _is_referrer(self, path: str) -> bool:
        return is_referrer(path, self._fingerprinter.length)

    def _original(self, path: str) -> str | None:
        """The rewritten file that *path* would be a stored variant of."""
        original = next((path.removesuffix(each) for each in _VARIANTS if path.endswith(each)), None)
        return original if original is not None and self._is_referrer(original) else None

    def _is_stale_variant(self, path: str, stat_of: StatOf) -> bool:
        """Whether *path* is a stored variant of a file that is rewritten, so that it holds other bytes."""
        original = self._original(path)
        if original is None or stat_of(original) is None:
            return False
        if _always_rewritten(original):
            return True
        if on_event_loop():
            made, _ = self._made.get(original, (None, 0.0))
            return made is None or not made.unchanged
        return self._rewritten(original, stat_of) is not None

    def _stat_of(self, path: str) -> FileStat | None:
        try:
            return self._inner.stat(path)
        except AssetNotFound:
            return None

    def _rewritten(self, path: str, stat_of: StatOf, *, anew: bool = False) -> Rewritten | None:
        """The file at *path* as it is served; ``None`` if it is served as it lies.

        With *anew*, what *stat_of* gives counts even within the recheck interval.
        """
        if not self._is_referrer(path):
            return None
        with self._lock:
            made, fresh_until = self._made.get(path, (None, 0.0))
            if made is None or anew or time.monotonic() >= fresh_until:
                if made is None or not made.still_holds(stat_of):
                    stat = stat_of(path)
                    if stat is None:
                        raise AssetNotFound(path, self.label)
                    if stat.size > MAX_BYTES:
                        self._report([Fault(path, _too_large(stat))])
                        return None
                    made = self._make(path, stat, stat_of)
                self._made.put(path, (made, time.monotonic() + self._recheck_seconds))
            return None if made.unchanged else made

    def _make(self, path: str, stat: FileStat, stat_of: StatOf) -> Rewritten:
        source = self._source(path, stat)
        if not (source.found or _always_rewritten(path)):
            return Rewritten(source.stat, b"", {path: source.stat}, unchanged=True)
        sources, made_of = self._gather(source, stat_of)
        self._report(fault for each in sources.values() for fault in graph.faults(each, made_of.get, self._serves))

        def fingerprint_of(other: str) -> str | None:
            found = made_of.get(other) if self._serves(other) else None
            return None if found is None else self._fingerprinter.of(found, self._inner)

        output = graph.rewrite(sources, fingerprint_of, self._fingerprinter.leaves_out, self._fingerprinter.length)[
            path
        ]
        times = [each.mtime_ns for each in made_of.values() if each and each.mtime_ns is not None]
        digest = hashlib.sha256(output.data).hexdigest()
        served = FileStat(path, len(output.data), max(times, default=None), digest, digest, output.fingerprint)
        return Rewritten(served, output.data, made_of)

    def _source(self, path: str, stat: FileStat) -> Source:
        """The file as its author wrote it; read again only if *stat* is of another version."""
        source = self._sources.get(path)
        if source is None or source.stat.version != stat.version:
            opened = self._inner.open(path)
            try:
                source = Source.read(opened.stat, b"".join(opened.chunks(0, opened.stat.size)), self._prefixes)
            finally:
                opened.close()
        return self._sources.put(path, source)

    def _gather(self, first: Source, stat_of: StatOf) -> tuple[dict[str, Source], dict[str, FileStat | None]]:
        """Every rewritten file that *first* reaches, and the stat of every file that these refer to."""
        sources, pending = {first.stat.path: first}, [first]
        made_of: dict[str, FileStat | None] = {first.stat.path: first.stat}
        while pending:
            for _, meant in pending.pop().targets():
                if meant is None or meant.path in made_of:
                    continue
                made_of[meant.path] = found = stat_of(meant.path)
                if found is not None and self._is_referrer(meant.path) and found.size <= MAX_BYTES:
                    source = self._source(meant.path, found)
                    made_of[meant.path] = source.stat
                    if source.found or _always_rewritten(meant.path):  # else it is served as it lies
                        sources[meant.path] = source
                        pending.append(source)
        return sources, made_of

    def _report(self, faults: Iterable[Fault]) -> None:
        found = list(faults)
        if self._strict and (fatal := [str(fault) for fault in found if fault.fatal]):
            raise BrokenReference(f"in {self.label}: " + "; ".join(fatal))
        for each in map(str, found):
            if each not in self._logged and len(self._logged) < MAX_LOGGED:
                self._logged.add(each)
                _log.warning("in %s: %s; the reference is left as it is", self.label, each)


def _version(stat: FileStat | None) -> Version | None:
    return None if stat is None else stat.version


def _always_rewritten(path: str) -> bool:
    """Whether a file takes its fingerprint from here even if it refers to nothing: a style sheet may at any time."""
    return extension(path) == ".css"


def _too_large(stat: FileStat) -> str:
    return f"{stat.size} bytes are too many to be read for references ({MAX_BYTES} at most), so it is served as it is"


class RewrittenReader:
    """Two readers side by side: *outer* for the paths that *is_rewritten* picks, *inner*'s for all others."""

    def __init__(self, inner: Backend, outer: Backend, is_rewritten: Callable[[str], bool]) -> None:
        self._others = reader_of(inner)
        self._local = self._others if isinstance(self._others, SignatureReader) else None
        self._rewritten = ThreadReader(outer)
        self._is_rewritten = is_rewritten

    async def stat(self, path: str) -> FileStat:
        return await self._for(path).stat(path)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        return await self._for(path).open(path, span, validator=validator)

    async def siblings(self, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
        return await siblings_by(self._for(stat.path), stat, suffixes)

    def signature(self, path: str) -> FileSignature | None:
        """As :meth:`Signatures.signature`; a rewritten file depends on other files, so it has no signature of its own."""
        return self._local.signature(path) if self._local and not self._is_rewritten(path) else None

    def signature_hash(self, path: str) -> int:
        return hash(NO_FILE) if self._local is None else self._local.signature_hash(path)

    async def aclose(self) -> None:
        await self._others.aclose()
        await self._rewritten.aclose()

    def _for(self, path: str) -> Reader:
        return self._rewritten if self._is_rewritten(path) else self._others


def rewritten(
    backend: Backend,
    fingerprinter: Fingerprint | None,
    references: object,
    *,
    prefixes: Sequence[str] = (),
    serves: Callable[[str], bool] = lambda path: True,
) -> Backend:
    """*backend* as ``references=`` of its mount wants it; *prefixes* and *serves* as :class:`RewrittenBackend`.

    Raises:
        SettingsError: *references* is none of the accepted values, or there are no fingerprints to write.
    """
    if references is None:
        return backend
    if references not in CHOICES:
        raise SettingsError(
            f"references={references!r} is not known; give 'rewrite' (a missing file is a warning), 'strict' "
            "(a missing file is an error), or leave it out to serve files as they are"
        )
    if fingerprinter is None:
        raise SettingsError(f"references={references!r} writes fingerprints, and fingerprint=False makes none")
    return RewrittenBackend(backend, fingerprinter, strict=references == "strict", prefixes=prefixes, serves=serves)
