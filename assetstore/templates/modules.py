"""This module owns the graph of own modules: which file imports which, found without touching a byte.

A browser resolves ``import "./dep.js"`` against the URL of the importing module, and looks the
result up in the import map. So for each such import the map gets the plain URL of the
dependency, which stands for its fingerprinted one: a changed module changes one URL and the map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from assetstore.backends.base import FileStat
from assetstore.mounts.mount import Mount
from assetstore.names.base import Asset
from assetstore.references import js as scripts
from assetstore.references.js import MAX_BYTES, is_module
from assetstore.references.reference import OutsideMount, Reference, is_relative, target
from assetstore.util.background import DeferredCache

#: How many modules one graph holds.
MAX_MODULES = 500


@dataclass(frozen=True, slots=True)
class Module:
    """One file of one mount."""

    mount: Mount
    path: str


@dataclass(frozen=True, slots=True)
class Import:
    """One import of a module, or a URL beside it: ``module`` is what it means, ``None`` for what is no file of ours."""

    reference: Reference
    module: Module | None
    #: ``?query#fragment`` as written.
    suffix: str = ""


#: Gives the module that a bare specifier is mapped to.
Lookup = Callable[[str], Module | None]


@dataclass(frozen=True, slots=True)
class _Version:
    mount: Mount
    stat: FileStat

    def __str__(self) -> str:
        return f"{self.stat.path!r} in {self.mount.backend.label}"


class ModuleGraph:
    """Reads modules for their imports, and remembers what each version says.

    Where no lexer is installed (extra ``js``) no module has imports that are known.
    """

    def __init__(self) -> None:
        self._scans: DeferredCache[_Version, tuple[Reference, ...]] = DeferredCache(_scan)

    def imports(self, module: Module, lookup: Lookup) -> list[Import]:
        """What *module* refers to, in order; nothing if it is missing or not read yet."""
        asset = module.mount.resolver.find(module.path)
        if asset is None:
            return []
        references = self._scanned(module, asset) if asset.imports is None else asset.imports
        return [_meaning(module, each, lookup) for each in references if each.kind != "source-map"]

    def _scanned(self, module: Module, asset: Asset) -> tuple[Reference, ...]:
        if asset.stat is None or not is_module(module.path) or asset.stat.size > MAX_BYTES:
            return ()
        return self._scans.get(_Version(module.mount, asset.stat)) or ()

    def walk(
        self, entries: Iterable[Module], lookup: Lookup, *, eager: bool = False
    ) -> Iterator[tuple[Module, list[Import]]]:
        """Each module that *entries* reach, with its imports, nearest first; at most :data:`MAX_MODULES`.

        With *eager*, only through imports that a browser fetches before the importing module runs.
        """
        queue = list(dict.fromkeys(entries))[:MAX_MODULES]
        seen = set(queue)
        for module in queue:  # grows while it is walked
            imports = self.imports(module, lookup)
            yield module, imports
            for each in imports:
                followed = each.reference.kind in (scripts.EAGER if eager else scripts.MAPPED)
                if followed and each.module and each.module not in seen and len(queue) < MAX_MODULES:
                    seen.add(each.module)
                    queue.append(each.module)

    def settle(self) -> None:
        """Wait until every module that was asked for is read."""
        self._scans.settle()


def _scan(version: _Version) -> tuple[Reference, ...] | None:
    """The imports of exactly that version; ``None`` if it is gone."""
    opened = version.mount.backend.open(version.stat.path)
    try:
        if opened.stat.version != version.stat.version:
            return None
        return tuple(scripts.scan(b"".join(opened.chunks(0, opened.stat.size))))
    finally:
        opened.close()


def _meaning(module: Module, reference: Reference, lookup: Lookup) -> Import:
    # Unlike an import, new URL("x", import.meta.url) needs no dot to mean a neighbour.
    neighbour = reference.url.startswith(("./", "../")) or (reference.kind == "url" and is_relative(reference.url))
    if not neighbour:
        return Import(reference, None if reference.kind == "url" else lookup(reference.url))
    try:
        meant = target(module.path, reference.url)
    except OutsideMount:
        return Import(reference, None)
    return Import(reference, Module(module.mount, meant.path), meant.suffix)
