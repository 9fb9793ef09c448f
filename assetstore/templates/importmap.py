"""This module owns the import map as pages carry it: every pin resolved to the URL that it has now."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any
from urllib.parse import urljoin

from assetstore.mounts.mount import Mount
from assetstore.mounts.urls import NO_HOST
from assetstore.references import js as scripts
from assetstore.references.js import is_module
from assetstore.templates import html
from assetstore.templates.addresses import File
from assetstore.templates.html import Markup
from assetstore.templates.importmap_setting import ImportMap, Pin, PinAll
from assetstore.templates.links import Named, PageNames
from assetstore.templates.modules import MAX_MODULES, Import, Module, ModuleGraph
from assetstore.util.background import DeferredCache

_log = logging.getLogger("assetstore")

#: How long a map stands. With what a resolver remembers it stays under the second within which a saved file is seen.
MAP_SECONDS = 0.3
#: How long a folder's listing stands.
LIST_SECONDS = 0.5
#: How many maps are kept: one for each root path and each choice of hosts.
MAPS = 64


class MappedImports:
    """One import map, resolved: a value for tests, JSON for files, a tag for pages, a hash for policies."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        #: What the map says, as ``json.loads`` would give it.
        self.value = value

    @cached_property
    def json(self) -> Markup:
        """The map as JSON that may stand in a script element; the same on every machine."""
        return html.json_for_script(self.value)

    @cached_property
    def csp_hash(self) -> str:
        """The source expression that allows this very map in ``script-src`` (CSP Level 3 section 6.7.3.3)."""
        return f"'sha256-{base64.b64encode(hashlib.sha256(self.json.encode()).digest()).decode()}'"

    def tag(self, nonce: str | None = None) -> Markup:
        """The script element; it must stand before the first module script."""
        return html.script({"type": "importmap", "nonce": nonce}, self.json)


@dataclass(slots=True)
class _Draft:
    """A map while it is put together."""

    request: object | None
    imports: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, dict[str, str]] = field(default_factory=dict)
    integrity: dict[str, str] = field(default_factory=dict)

    def finished(self) -> MappedImports:
        sections: dict[str, Any] = {"imports": self.imports, "scopes": self.scopes, "integrity": self.integrity}
        return MappedImports({name: section for name, section in sections.items() if section or name == "imports"})


class ImportMaps:
    """Resolves the import map setting, for each page that asks."""

    def __init__(self, setting: ImportMap, names: PageNames) -> None:
        self._setting = setting
        self._names = names
        self._graph = ModuleGraph()
        self._listings: DeferredCache[tuple[Mount, str], tuple[str, ...]] = DeferredCache(_listed, seconds=LIST_SECONDS)
        self._maps: dict[object, tuple[float, MappedImports]] = {}

    def get(self, request: object | None = None) -> MappedImports:
        """The map for the page of *request*.

        Raises:
            MountNotFound, AssetNotFound: a pin names a mount that is none; or a missing file, where the store is strict.
        """
        mounts = self._names.namer.mounts
        hosts = tuple(mount.hosts.key(request) for mount in mounts)
        # Whose page it is counts only where a URL may be on its host or on another.
        page_host = (
            _page_host(request) if any(each.url.absolute or each.hosts is not NO_HOST for each in mounts) else None
        )
        key = (self._names.namer.root_path(request), page_host, hosts)
        now = time.monotonic()
        kept = self._maps.get(key)
        if kept is not None and now < kept[0]:
            return kept[1]
        made = self._make(request)
        if len(self._maps) >= MAPS:
            self._maps.clear()
        self._maps[key] = (now + MAP_SECONDS, made)
        return made

    def entries(self) -> list[Module]:
        """Every own module that the setting names."""
        return [module for module in dict.fromkeys(module for _, module in self.pinned()) if is_module(module.path)]

    def pinned(self) -> list[tuple[str, Module]]:
        """Each pin, in a scope or not, with the file that it means; the entries stand for themselves."""
        pins = [*self._pins(), *(pin for scope in self._setting.scopes for pin in self._expanded(scope.pins))]
        pins += (Pin(entry.path, entry) for entry in self._setting.entries)
        found = ((pin.specifier, self._names.module(pin.address)) for pin in pins)
        return [(specifier, module) for specifier, module in found if module is not None]

    def walk(self, entries: Iterable[Module], *, eager: bool = False) -> Iterator[tuple[Module, list[Import]]]:
        """Each module that *entries* reach, with its imports; *eager* as :meth:`ModuleGraph.walk`."""
        pinned = {pin.specifier: self._names.module(pin.address) for pin in self._pins()}
        return self._graph.walk(entries, pinned.get, eager=eager)

    def answers(self, specifier: str) -> bool:
        """Whether a pin, in a scope or not, stands for the bare *specifier*."""
        pins = [*self._pins(), *(pin for scope in self._setting.scopes for pin in self._expanded(scope.pins))]
        return any(
            pin.specifier == specifier or (pin.specifier.endswith("/") and specifier.startswith(pin.specifier))
            for pin in pins
        )

    def settle(self) -> None:
        """Make every answer that pages wait for, and wait until it is known."""
        self.get()
        self._graph.settle()
        self._names.settle()

    def _make(self, request: object | None) -> MappedImports:
        draft = _Draft(request, integrity=dict(self._setting.digests))
        for pin in self._pins():
            draft.imports[pin.specifier] = self._resolved(pin, draft)
        for scope in self._setting.scopes:
            prefix = self._names.name(scope.prefix, request).url
            draft.scopes[prefix] = {pin.specifier: self._resolved(pin, draft) for pin in self._expanded(scope.pins)}
        for module, imports in self.walk(self.entries()):
            self._relative(module, imports, draft)
        return draft.finished()

    def _resolved(self, pin: Pin, draft: _Draft) -> str:
        named = self._names.name(pin.address, draft.request)
        self._digest(named, draft, pin.integrity)
        return named.url

    def _relative(self, module: Module, imports: list[Import], draft: _Draft) -> None:
        """An entry for each import of *module* that the browser would resolve to a plain URL."""
        owner = self._names.name(_file(module), draft.request).url
        for each in imports:
            if each.module is None or not each.reference.url.startswith(("./", "../")):
                continue  # a bare specifier, which a pin answers for
            if each.reference.kind not in scripts.MAPPED:
                continue  # new URL() does not ask the map
            if each.module.mount.resolver.find(each.module.path) is None:
                continue
            named = self._names.name(_file(each.module), draft.request)
            plain = urljoin(owner, each.reference.url)
            if plain != named.url:
                draft.imports.setdefault(plain, named.url + each.suffix)
                self._digest(named, draft)

    def _digest(self, named: Named, draft: _Draft, given: str | None = None) -> None:
        digest = self._names.integrity(named, self._setting.integrity if given is None else given)
        if digest is not None:
            draft.integrity.setdefault(named.url, digest)

    def _pins(self) -> Iterator[Pin]:
        yield from self._expanded(self._setting.pins)
        for each in self._setting.folders:
            yield from self._all_in(each)

    def _expanded(self, pins: Iterable[Pin]) -> Iterator[Pin]:
        """*pins*, and behind each folder its modules, so that these too are fingerprinted."""
        for pin in pins:
            yield pin
            if isinstance(pin.address, File) and pin.address.is_folder:
                for path in self._modules_in(pin.address):
                    rest = path.removeprefix(pin.address.path)
                    yield Pin(pin.specifier + rest, File(pin.address.mount, path))

    def _all_in(self, each: PinAll) -> Iterator[Pin]:
        for path in self._modules_in(each.folder):
            stem = path.removeprefix(each.folder.path).rpartition(".")[0]
            specifier = (each.prefix + stem).removesuffix("/index")
            yield Pin(specifier, File(each.folder.mount, path))

    def _modules_in(self, folder: File) -> tuple[str, ...]:
        return self._listings.get((self._names.mount(folder.mount), folder.path)) or ()


def _listed(key: tuple[Mount, str]) -> tuple[str, ...]:
    mount, folder = key
    found = (asset.path for asset in mount.resolver.all() if asset.path.startswith(folder) and is_module(asset.path))
    paths = tuple(islice(found, MAX_MODULES + 1))
    if len(paths) > MAX_MODULES:
        _log.warning("%r in mount %s has more than %d modules; pin what is needed", folder, mount.label, MAX_MODULES)
    return tuple(sorted(paths[:MAX_MODULES]))


def _file(module: Module) -> File:
    return File(module.mount.name, module.path)


def _page_host(request: object | None) -> str | None:
    return None if request is None else str(getattr(getattr(request, "url", None), "netloc", ""))
