"""The graph of own modules: which file imports which, found without changing a byte.

A browser resolves ``import "./dep.js"`` against the URL of the importing module, and looks the
result up in the import map. So for each such import the map gets the plain URL of the dependency,
with its fingerprinted URL as the value: a changed module changes one URL and the map.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from assetstore.backends.base import FileStat
from assetstore.mounts.mount import Mount
from assetstore.names.base import Asset
from assetstore.references import js
from assetstore.references.js import MAX_BYTES, is_module
from assetstore.references.reference import Reference
from assetstore.util.background import DeferredCache

_log = logging.getLogger("assetstore")

#: How many modules one graph holds; monaco-editor has about 2,000, three with its examples 1,000.
MAX_MODULES = 5_000


@dataclass(frozen=True, slots=True)
class Module:
    """One file of one mount."""

    mount: Mount
    path: str

    @property
    def asset(self) -> Asset | None:
        """What is known of the file; ``None`` if it is missing or not served."""
        return self.mount.resolver.find(self.path) if self.mount.allows(self.path) else None

    def __str__(self) -> str:
        return f"{self.path!r} in mount {self.mount.label} ({self.mount.backend.label})"


@dataclass(frozen=True, slots=True)
class Import:
    """One import of a module, or a URL beside it."""

    reference: Reference
    #: The file of ours that it means, if any.
    module: Module | None = None
    #: ``?query#fragment`` as written.
    suffix: str = ""
    #: Whether it is a URL that is not ours, or mapped to one.
    external: bool = False
    #: Whether the import map, and not a URL, says what it means.
    bare: bool = False


#: Says what a reference in a module means.
Resolve = Callable[[Module, Reference], Import]


@dataclass(frozen=True, slots=True)
class _ModuleVersion:
    mount: Mount
    stat: FileStat

    def __str__(self) -> str:
        return f"{self.stat.path!r} in {self.mount.backend.label}"


class ModuleGraph:
    """Reads modules for their imports, and keeps what each version says."""

    def __init__(self) -> None:
        self._scans: DeferredCache[_ModuleVersion, tuple[Reference, ...]] = DeferredCache(_scan)
        self._logged: set[str] = set()

    def close(self) -> None:
        """End the thread; the next use starts another."""
        self._scans.close()

    def references(self, module: Module) -> tuple[Reference, ...] | None:
        """What *module* refers to, in order; ``None`` where that is not known: missing, unread, or too large."""
        asset = module.asset
        if asset is None or asset.imports is not None:
            return None if asset is None else asset.imports
        if asset.stat is None or not is_module(module.path) or too_large(module) is not None:
            return None
        return self._scans.get(_ModuleVersion(module.mount, asset.stat))

    def walk(
        self,
        entries: Iterable[Module],
        resolve: Resolve,
        *,
        eager: bool = False,
        limit: int = MAX_MODULES,
        until: float = math.inf,
    ) -> Iterator[tuple[Module, list[Import]]]:
        """Each module that *entries* reach, with its imports, nearest first; at most *limit*, and not past the
        monotonic time *until*.

        With *eager*, only through imports that a browser fetches before the importing module runs.
        """
        followed = js.EAGER if eager else js.MAPPED
        queue = list(dict.fromkeys(entries))
        seen = set(queue)
        for module in queue:  # grows while it is walked
            references = self.references(module) or ()
            in_time = takewhile(lambda _: time.monotonic() <= until, references)
            imports = [resolve(module, each) for each in in_time if each.kind != "source-map"]
            if message := too_large(module):
                self._warn(f"{module}: {message}")
            yield module, imports
            if time.monotonic() > until:
                return
            for each in imports:
                if each.reference.kind in followed and each.module and each.module not in seen:
                    if len(queue) >= limit:
                        if not eager and limit >= MAX_MODULES:
                            self._warn(f"{module}: imports are followed up to {limit} modules, not further")
                        continue
                    seen.add(each.module)
                    queue.append(each.module)

    def settle(self) -> None:
        """Wait until every module that was requested is read."""
        self._scans.settle()

    def _warn(self, message: str) -> None:
        if message not in self._logged and len(self._logged) < 100:
            self._logged.add(message)
            _log.warning("import map: %s", message)


def too_large(module: Module) -> str | None:
    """Why *module* is not read for imports if it is larger than :data:`MAX_BYTES`."""
    asset = module.asset
    if asset is None or asset.imports is not None or asset.stat is None or not is_module(module.path):
        return None
    if asset.stat.size <= MAX_BYTES:
        return None
    return f"{asset.stat.size} bytes are too many to be read for imports ({MAX_BYTES} at most)"


def _scan(version: _ModuleVersion) -> tuple[Reference, ...] | None:
    """The references of exactly that version; ``None`` if it is gone."""
    opened = version.mount.backend.open(version.stat.path)
    try:
        if opened.stat.version != version.stat.version:
            return None
        return tuple(js.scan(b"".join(opened.chunks(0, opened.stat.size))))
    finally:
        opened.close()
