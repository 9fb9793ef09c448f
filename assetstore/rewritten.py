"""This module owns the backend that gives another backend's style sheets with their references named.

It is a backend around a backend, so serving, publishing and ``url_for`` see one and the same
bytes and fingerprints. JavaScript is left alone: the import map answers for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from assetstore import sheets, stylesheets
from assetstore.backends.base import WHOLE, Backend, FileStat, OpenFile, Span
from assetstore.backends.held import HeldFile
from assetstore.backends.readers import Reader
from assetstore.errors import AssetNotFound, SettingsError, VersionChanged
from assetstore.fingerprint import Fingerprinter
from assetstore.recent import Recent
from assetstore.rewriting import MAX_SHEET_BYTES, Rewriter, Rewritten
from assetstore.rewritten_reader import RewrittenReader
from assetstore.sheets import Look
from assetstore.soon import Soon, on_event_loop

#: What ``references=`` of a mount may be: rewrite and warn of what is missing, or refuse it.
CHOICES = ("rewrite", "strict")
#: Style sheets up to this size are rewritten where ``url_for`` was called; larger ones in a thread.
INLINE_BYTES = 16 * 1024
#: How many style sheets are remembered.
REMEMBERED = 500
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
        self._known: Recent[str, tuple[Rewritten, float]] = Recent(REMEMBERED)
        self._soon: Soon[str, Rewritten] = Soon(lambda path: self._sheet(path, self._look), seconds=0.0)
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
        return HeldFile(known.stat, known.data)

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
            self._known.keep(path, (known, time.monotonic() + self._recheck_seconds))
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
    stylesheets.require()
    return RewrittenBackend(backend, fingerprinter, strict=references == "strict")


def _described(path: str) -> str | None:
    """The style sheet that *path* would be a stored variant of."""
    sheet = next((path.removesuffix(each) for each in _VARIANTS if path.endswith(each)), None)
    return sheet if sheet is not None and sheets.is_sheet(sheet) else None
