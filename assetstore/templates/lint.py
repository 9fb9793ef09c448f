"""What is broken in pins, imports and references, found before a browser finds it.

Pins that mean no file, imports that nothing resolves, style sheets that name what is not there:
each with file, line and column. Modules that import each other in a circle are legal, and noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from assetstore.mounts.mount import MountTable
from assetstore.mounts.url_for import nearest
from assetstore.references.js import is_module
from assetstore.references.reference import OutsideMount, own, target
from assetstore.rewrite.backend import RewrittenBackend
from assetstore.templates.importmap import ImportMaps
from assetstore.templates.modules import Import, Module, too_large

#: How many modules are checked.
MAX_CHECKED = 100_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. Only a fault fails a check."""

    where: str
    message: str
    fault: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def lint(maps: ImportMaps, mounts: MountTable) -> list[Finding]:
    """Everything that is wrong with the import map, the modules that it reaches, and rewritten files.

    Raises:
        MountNotFound: a pin names a mount that is none.
        BackendError: storage failed.
    """
    walked = list(maps.walk(maps.entries(), limit=MAX_CHECKED))
    return [
        *_pins(maps),
        *chain.from_iterable(_imports(*each) for each in walked),
        *chain.from_iterable(_unread(maps, module) for module, _ in walked),
        *_circles(walked),
        *_rewritten(mounts),
    ]


def _pins(maps: ImportMaps) -> Iterator[Finding]:
    for specifier, module in maps.pinned():
        if module.asset is None:
            yield Finding("import map", f"{specifier!r} means {_missing(module)}")
    for specifier, first, other, decided in maps.collisions():
        said = f"{specifier!r} is pinned to {first}, so pin_all leaves out {other}"
        yield Finding("import map", said, fault=not decided)


def _imports(module: Module, imports: list[Import]) -> Iterator[Finding]:
    for each in imports:
        if (message := _fault(each)) is not None:
            yield Finding(f"{module.path}:{each.reference.position}", f"{each.reference}{message}")


def _fault(found: Import) -> str | None:
    """What is wrong with one import; ``None`` for nothing."""
    if found.module is not None:
        return f" means {_missing(found.module)}" if found.module.asset is None else None
    if found.external:
        return None
    if found.bare:
        return ": nothing in the import map answers for it; add a pin"
    return " leads out of the mount"


def _missing(module: Module) -> str:
    if not module.mount.allows(module.path):
        return f"{module}, which allowed_ext= or the names of secrets keep from being served"
    close = nearest(module.mount, module.path)
    return f"{module}, which is not there" + (f"; did you mean {' or '.join(map(repr, close))}?" if close else "")


def _unread(maps: ImportMaps, module: Module) -> Iterator[Finding]:
    """Notes of what could not be checked, and of source maps, which only developer tools fetch."""
    if message := too_large(module):
        yield Finding(module.path, message, fault=False)
    references = maps.references(module)
    asset = module.asset
    if references is None and asset is not None and asset.stat is None and is_module(module.path):
        yield Finding(module.path, "its manifest does not say what it imports; publish again", fault=False)
    for each in references or ():
        if each.kind == "source-map" and (problem := _source_map(module, each.url)):
            yield Finding(f"{module.path}:{each.position}", f"{each} {problem}", fault=False)


def _source_map(module: Module, url: str) -> str | None:
    if ":" in url or url.startswith("//"):
        return None  # data: as a rule
    try:
        meant = own(url, module.mount.url.prefixes) or (None if url.startswith("/") else target(module.path, url))
    except OutsideMount:
        return "leads out of the mount"
    if meant is None or module.mount.resolver.find(meant.path) is not None:
        return None
    return f"means {meant.path!r}, which is not there"


def _circles(walked: list[tuple[Module, list[Import]]]) -> Iterator[Finding]:
    """One note for each circle of imports, at the import that closes it."""
    imports = dict(walked)
    done: set[Module] = set()
    for entry in imports:
        trail: list[Module] = []
        on_trail: set[Module] = set()
        pending: list[tuple[Module, Iterator[Import]]] = []
        if entry not in done:
            trail, on_trail, pending = [entry], {entry}, [(entry, iter(imports[entry]))]
        while pending:
            module, remaining = pending[-1]
            following = next(remaining, None)
            if following is None:
                done.add(pending.pop()[0])
                on_trail.discard(trail.pop())
            elif following.module is not None and following.module in on_trail:
                circle = [*trail[trail.index(following.module) :], following.module]
                said = "modules import each other in a circle: " + " → ".join(each.path for each in circle)
                yield Finding(f"{module.path}:{following.reference.position}", said, fault=False)
            elif following.module in imports and following.module not in done:
                trail.append(following.module)
                on_trail.add(following.module)
                pending.append((following.module, iter(imports[following.module])))


def _rewritten(mounts: MountTable) -> Iterator[Finding]:
    for mount in mounts:
        if isinstance(mount.backend, RewrittenBackend):
            for fault in mount.backend.faults():
                yield Finding(fault.where, fault.message, fault.fatal)
