"""This module owns making one rewritten style sheet: reading all that it reaches, and saying what is missing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from assetstore import sheets
from assetstore.backends.base import Backend, FileStat
from assetstore.errors import BrokenReference
from assetstore.fingerprint import Fingerprinter
from assetstore.recent import Recent
from assetstore.sheets import Look, Source

_log = logging.getLogger("assetstore")

#: Larger style sheets are passed through as they are, so that no file can exhaust memory.
MAX_SHEET_BYTES = 4 * 1024 * 1024
#: How many sources are remembered, and how many faults are remembered as said.
REMEMBERED = 500


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
        self._sources: Recent[str, Source] = Recent(REMEMBERED)
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
        if source is None or _version(source.stat) != _version(stat):
            opened = self._backend.open(path)
            try:
                source = Source.read(opened.stat, b"".join(opened.chunks(0, opened.stat.size)))
            finally:
                opened.close()
        return self._sources.keep(path, source)

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
            if fault not in self._said and len(self._said) < REMEMBERED:
                self._said.add(fault)
                _log.warning("in %s: %s; the reference is left as it is", self._backend.label, fault)


def _version(stat: FileStat | None) -> tuple[int, int | None, str | None] | None:
    return None if stat is None else (stat.size, stat.mtime_ns, stat.validator)
