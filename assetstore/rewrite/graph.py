"""Bytes and fingerprints of files whose references are rewritten.

The bytes follow the references, and the fingerprint is the SHA-256 of the bytes: whatever a file
refers to, directly or through ``@import``, changes its name too. Files are named after those that
they refer to. Where they refer to each other in a circle no such order exists; there the members
share one digest, of all their bytes with only the references out of the circle named.

Everything here is a function of values; :mod:`assetstore.rewrite.backend` reads the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from assetstore.assets.paths import extension, to_url
from assetstore.backends.base import FileStat
from assetstore.names import fingerprint as fingerprints
from assetstore.references import css, html
from assetstore.references.reference import (
    Located,
    Meaning,
    OutsideMount,
    Reference,
    is_relative,
    own,
    relative,
    replace,
    target,
)

#: Gives the stat of a path, ``None`` where there is no file that is served.
StatOf = Callable[[str], FileStat | None]

#: Files that refer to others, by extension. Scripts do too, but the import map answers for them. Source maps are not
#: rewritten: only developer tools read their ``sources``, which lead to the plain names from a fingerprinted map too
#: (ECMA-426 section 9, "resolve sources"), and error trackers know a map by its bytes.
SCANNERS: dict[str, Callable[[bytes], list[Located]]] = {
    ".css": css.scan,
    ".htm": html.scan,
    ".html": html.scan,
    ".svg": html.scan_svg,
    ".webmanifest": html.scan_manifest,
}
#: Larger files are not read for references but served as they are.
MAX_BYTES = css.MAX_BYTES


def is_referrer(path: str, length: int = fingerprints.LENGTH) -> bool:
    """Whether the file at *path* is read for references; one whose name carries a fingerprint was rewritten already.

    *length* is that of the mount's fingerprints.
    """
    return extension(path) in SCANNERS and fingerprints.split(path, length)[1] is None


@dataclass(frozen=True, slots=True)
class Source:
    """A file as its author wrote it, and what it refers to in its own mount."""

    #: The version that was read.
    stat: FileStat
    data: bytes
    found: tuple[Located, ...]
    #: The URLs of the mount, as :func:`assetstore.references.reference.own` takes them.
    prefixes: Sequence[str] = ()

    @classmethod
    def read(cls, stat: FileStat, data: bytes, prefixes: Sequence[str] = ()) -> Source:
        """Scan the bytes of one version."""
        scan = SCANNERS[extension(stat.path)]
        found = [
            each
            for each in scan(data)
            if is_relative(each.reference.url) or each.reference.url.strip().startswith(tuple(prefixes))
        ]
        return cls(stat, data, tuple(found), prefixes)

    def targets(self) -> Iterator[tuple[Reference, Meaning | None]]:
        """Each reference with what it means; ``None`` where it leaves the mount."""
        for each in self.found:
            yield each.reference, self.meaning(each.reference)

    def meaning(self, reference: Reference) -> Meaning | None:
        """What *reference* means; ``None`` where it leaves the mount."""
        try:
            return own(reference.url, self.prefixes) or target(self.stat.path, reference.url)
        except OutsideMount:
            return None

    def rewritten(self, name_of: Callable[[str], str | None]) -> bytes:
        """The bytes with each reference to a path that *name_of* knows replaced by its fingerprinted name.

        A relative reference stays relative, and one that begins with the mount's URL keeps it.
        """

        def replacement(reference: Reference) -> str | None:
            meant = self.meaning(reference)
            fingerprint = name_of(meant.path) if meant else None
            if meant is None or fingerprint is None:
                return None
            name = fingerprints.add(meant.path, fingerprint)
            url = meant.prefix + to_url(name) if meant.prefix else relative(self.stat.path, name)
            return url + meant.suffix

        return replace(self.data, self.found, replacement)


@dataclass(frozen=True, slots=True)
class Output:
    """A file as it is served."""

    data: bytes
    fingerprint: str


def rewrite(
    sources: Mapping[str, Source],
    fingerprint_of: Callable[[str], str | None],
    leaves_out: Callable[[str], bool] = lambda path: False,
    length: int = fingerprints.LENGTH,
) -> dict[str, Output]:
    """Every one of *sources* as it is served.

    *fingerprint_of* names every other file that they refer to; ``None`` leaves the reference as
    it is written. A file whose name carries a fingerprint already is left alone, and so is one that
    *leaves_out* says has none. *length* is that of the mount's fingerprints.
    """
    made: dict[str, Output] = {}

    def name_of(path: str) -> str | None:
        if path in sources:
            return made[path].fingerprint if path in made and not leaves_out(path) else None
        return None if fingerprints.split(path, length)[1] else fingerprint_of(path)

    for circle in _circles(sources):
        # Within the circle nothing is named yet, so these bytes have only what is outside of it named.
        partly = {path: sources[path].rewritten(name_of) for path in circle}
        if len(circle) > 1 or circle[0] in _next(sources, circle[0]):
            names = {path: name[:length] for path, name in _joint_names(partly).items()}
            made |= {path: Output(b"", names[path]) for path in circle}
            made |= {path: Output(sources[path].rewritten(name_of), names[path]) for path in circle}
        else:
            made |= {path: Output(data, hashlib.sha256(data).hexdigest()[:length]) for path, data in partly.items()}
    return made


def _joint_names(partly: Mapping[str, bytes]) -> dict[str, str]:
    joint = hashlib.sha256()
    for path in sorted(partly):
        joint.update(f"{path}\0{len(partly[path])}\0".encode() + partly[path])
    return {path: hashlib.sha256(joint.digest() + path.encode()).hexdigest() for path in partly}


def _next(sources: Mapping[str, Source], path: str) -> list[str]:
    return [meant.path for _, meant in sources[path].targets() if meant and meant.path in sources]


def _circles(sources: Mapping[str, Source]) -> Iterator[list[str]]:
    """The strongly connected components, each after those that it refers to (Tarjan's algorithm, without recursion)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    is_open: set[str] = set()
    for first in sources:
        pending: list[tuple[str, Iterator[str]]] = [] if first in order else [(first, iter(_next(sources, first)))]
        while pending:
            path, following = pending[-1]
            if path not in order:
                order[path] = lowest[path] = len(order)
                open_.append(path)
                is_open.add(path)
            for other in following:
                if other not in order:
                    pending.append((other, iter(_next(sources, other))))
                    break
                if other in is_open:
                    lowest[path] = min(lowest[path], order[other])
            else:
                pending.pop()
                if pending:
                    lowest[pending[-1][0]] = min(lowest[pending[-1][0]], lowest[path])
                if lowest[path] == order[path]:
                    component = [open_.pop()]
                    while component[-1] != path:
                        component.append(open_.pop())
                    is_open.difference_update(component)
                    yield sorted(component)


@dataclass(frozen=True, slots=True)
class Fault:
    """A reference that leads nowhere."""

    #: File, line and column.
    where: str
    message: str
    #: Whether a page lacks something because of it; a source map is read only by developer tools.
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def faults(source: Source, stat_of: StatOf, serves: Callable[[str], bool] = lambda path: True) -> Iterator[Fault]:
    """What *source* refers to in vain. *serves* is whether a path may be served at all."""
    for reference, meant in source.targets():
        where = f"{source.stat.path}:{reference.position}"
        fatal = reference.kind != "source-map"
        if meant is None:
            yield Fault(where, f"{reference} leads out of the mount", fatal)
        elif not serves(meant.path):
            yield Fault(
                where,
                f"{reference} means {meant.path!r}, which allowed_ext= or the names of secrets keep from being served",
                fatal,
            )
        elif stat_of(meant.path) is None and meant.prefix != "/":  # that may be a page of the application, too
            yield Fault(where, f"{reference} means {meant.path!r}, which is not there", fatal)
