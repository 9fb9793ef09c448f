"""This module owns what is wrong with what pages and files say, found before a browser finds it.

Pins that mean no file, imports that nothing answers, style sheets that name what is not there:
each with file, line and column. Modules that import each other in a circle are legal, and noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from assetstore.mounts.mount import MountTable
from assetstore.mounts.url_for import nearest
from assetstore.rewrite.backend import RewrittenBackend
from assetstore.templates import addresses
from assetstore.templates.importmap import ImportMaps
from assetstore.templates.modules import Import, Module


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. Only a fault fails a check."""

    where: str
    message: str
    fault: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def inspect(maps: ImportMaps, mounts: MountTable) -> list[Finding]:
    """Everything that is wrong with the import map, the modules that it reaches, and rewritten style sheets.

    Raises:
        MountNotFound: a pin names a mount that is none.
        BackendError: storage failed.
    """
    walked = list(maps.walk(maps.entries()))
    return [
        *_pins(maps),
        *chain.from_iterable(_imports(maps, *each) for each in walked),
        *_circles(walked),
        *_sheets(mounts),
    ]


def _pins(maps: ImportMaps) -> Iterator[Finding]:
    for specifier, module in maps.pinned():
        if module.mount.resolver.find(module.path) is None:
            yield Finding("import map", f"{specifier!r} means {_missing(module)}")


def _imports(maps: ImportMaps, module: Module, imports: list[Import]) -> Iterator[Finding]:
    for each in imports:
        message = _fault(maps, each)
        if message is not None:
            yield Finding(f"{module.path}:{each.reference.position}", message)


def _fault(maps: ImportMaps, found: Import) -> str | None:
    """What is wrong with one import; ``None`` for nothing."""
    said = f"{found.reference.kind} of {found.reference.url!r}"
    if found.module is not None:
        missing = found.module.mount.resolver.find(found.module.path) is None
        return f"{said} means {_missing(found.module)}" if missing else None
    if found.reference.url.startswith(("./", "../")):
        return f"{said} leads out of the mount"
    if addresses.is_url(found.reference.url) or maps.answers(found.reference.url):
        return None
    if found.reference.kind == "url":
        return None  # new URL("x", import.meta.url) is no specifier: it means "./x"
    return f"{said}: nothing in the import map answers for it; add a pin"


def _missing(module: Module) -> str:
    where = f"{module.path!r} in mount {module.mount.label} ({module.mount.backend.label}), which is not there"
    close = nearest(module.mount, module.path)
    return f"{where}; did you mean {' or '.join(map(repr, close))}?" if close else where


def _circles(walked: list[tuple[Module, list[Import]]]) -> Iterator[Finding]:
    """One note for each circle of imports, at the import that closes it."""
    imports = dict(walked)
    done: set[Module] = set()
    for entry in imports:
        trail: list[Module] = []
        pending: list[tuple[Module, Iterator[Import]]] = []
        if entry not in done:
            trail, pending = [entry], [(entry, iter(imports[entry]))]
        while pending:
            module, remaining = pending[-1]
            following = next(remaining, None)
            if following is None:
                done.add(pending.pop()[0])
                trail.pop()
            elif following.module in trail:
                circle = [*trail[trail.index(following.module) :], following.module]
                said = "modules import each other in a circle: " + " → ".join(each.path for each in circle)
                yield Finding(f"{module.path}:{following.reference.position}", said, fault=False)
            elif following.module in imports and following.module not in done:
                trail.append(following.module)
                pending.append((following.module, iter(imports[following.module])))


def _sheets(mounts: MountTable) -> Iterator[Finding]:
    for mount in mounts:
        if isinstance(mount.backend, RewrittenBackend):
            for fault in mount.backend.faults():
                yield Finding(fault.where, fault.message, fault.fatal)
