"""This module owns what a style sheet's bytes and fingerprint are once its references are named.

The bytes follow the references, and the fingerprint is the SHA-256 of the bytes: whatever a
sheet names, directly or through ``@import``, changes its name too. Sheets are named after those
they refer to. Where they refer to each other in a circle no such order exists; there the members
share one digest, of all their bytes with only the references out of the circle named.

Everything here is a function of values; :mod:`assetstore.rewrite.backend` reads the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from assetstore.assets.paths import extension
from assetstore.backends.base import FileStat
from assetstore.names import fingerprint as fingerprints
from assetstore.references import css as stylesheets
from assetstore.references.css import Located
from assetstore.references.reference import Meaning, OutsideMount, Reference, is_relative, relative, target

#: Gives the facts of a path, ``None`` where nothing is there.
Look = Callable[[str], FileStat | None]


def is_sheet(path: str) -> bool:
    """Whether *path* names a style sheet to be rewritten; a name that carries a fingerprint was already."""
    return extension(path) == ".css" and fingerprints.split(path)[1] is None


@dataclass(frozen=True, slots=True)
class Source:
    """A style sheet as its author wrote it, and what it refers to."""

    #: The facts of the version that was read.
    stat: FileStat
    data: bytes
    found: tuple[Located, ...]

    @classmethod
    def read(cls, stat: FileStat, data: bytes) -> Source:
        """Scan the bytes of one version."""
        return cls(stat, data, tuple(each for each in stylesheets.scan(data) if is_relative(each.reference.url)))

    def targets(self) -> Iterator[tuple[Reference, Meaning | None]]:
        """Each relative reference with what it means; ``None`` where it leaves the mount."""
        for each in self.found:
            yield each.reference, self.meaning(each.reference)

    def meaning(self, reference: Reference) -> Meaning | None:
        """What *reference* means; ``None`` where it leaves the mount."""
        try:
            return target(self.stat.path, reference.url)
        except OutsideMount:
            return None

    def rewritten(self, name_of: Callable[[str], str | None]) -> bytes:
        """The bytes with each reference to a path that *name_of* knows replaced by its fingerprinted name."""

        def replacement(reference: Reference) -> str | None:
            meant = self.meaning(reference)
            fingerprint = name_of(meant.path) if meant else None
            if meant is None or fingerprint is None:
                return None
            return relative(self.stat.path, fingerprints.add(meant.path, fingerprint)) + meant.suffix

        return stylesheets.rewrite(self.data, self.found, replacement)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A style sheet as it is served."""

    data: bytes
    fingerprint: str


def name(sources: Mapping[str, Source], fingerprint_of: Callable[[str], str | None]) -> dict[str, Sheet]:
    """Every one of *sources* as it is served.

    *fingerprint_of* names every other file that they refer to; ``None`` leaves the reference as
    it is written. A file whose name carries a fingerprint already is left alone.
    """
    named: dict[str, Sheet] = {}

    def name_of(path: str) -> str | None:
        if path in sources:
            return named[path].fingerprint if path in named else None
        return None if fingerprints.split(path)[1] else fingerprint_of(path)

    for circle in _circles(sources):
        # Within the circle nothing is named yet, so these bytes have only what is outside of it named.
        partly = {path: sources[path].rewritten(name_of) for path in circle}
        if _refers_within(sources, circle):
            names = _joint_names(partly)
            named |= {path: Sheet(b"", names[path]) for path in circle}
            named |= {path: Sheet(sources[path].rewritten(name_of), names[path]) for path in circle}
        else:
            named |= {path: Sheet(data, hashlib.sha256(data).hexdigest()) for path, data in partly.items()}
    return named


def _joint_names(partly: Mapping[str, bytes]) -> dict[str, str]:
    joint = hashlib.sha256()
    for path in sorted(partly):
        joint.update(f"{path}\0{len(partly[path])}\0".encode() + partly[path])
    return {path: hashlib.sha256(joint.digest() + path.encode()).hexdigest() for path in partly}


def _refers_within(sources: Mapping[str, Source], circle: list[str]) -> bool:
    return len(circle) > 1 or circle[0] in _next(sources, circle[0])


def _circles(sources: Mapping[str, Source]) -> list[list[str]]:
    """The sheets in groups, each after the groups that it refers to; most groups have one member."""
    reach = {path: _reach(sources, path) for path in sources}
    circles = {frozenset(other for other in reach[path] if path in reach[other]) for path in sources}
    # Who refers to another group reaches strictly more than it.
    return [sorted(circle) for circle in sorted(circles, key=lambda each: (len(reach[min(each)]), min(each)))]


def _reach(sources: Mapping[str, Source], path: str) -> set[str]:
    reached, pending = {path}, [path]
    while pending:
        new = _next(sources, pending.pop()) - reached
        reached |= new
        pending += new
    return reached


def _next(sources: Mapping[str, Source], path: str) -> set[str]:
    return {meant.path for _, meant in sources[path].targets() if meant and meant.path in sources}


def broken(source: Source, look: Look) -> Iterator[tuple[str, str]]:
    """What *source* refers to in vain: file, line and column of each, and what is wrong with it."""
    for reference, meant in source.targets():
        where, said = f"{source.stat.path}:{reference.position}", f"{reference.kind} of {reference.url!r}"
        if meant is None:
            yield where, f"{said} leads out of the mount"
        elif look(meant.path) is None:
            yield where, f"{said} means {meant.path!r}, which is not there"
