"""The import map as pages carry it: every pin resolved to the URL that it has now."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import Any, TypeAlias
from urllib.parse import urljoin

from assetstore.assets.paths import to_url
from assetstore.errors import AssetStoreError
from assetstore.mounts.mount import Mount
from assetstore.mounts.urls import NO_HOST
from assetstore.references import js
from assetstore.references.js import is_module
from assetstore.references.reference import Meaning, OutsideMount, Reference, is_relative, own, target
from assetstore.templates import html
from assetstore.templates.addresses import Address, File, Verbatim, is_url
from assetstore.templates.html import Markup
from assetstore.templates.importmap_setting import ImportMap, Pin, PinAll
from assetstore.templates.links import Link, Links
from assetstore.templates.modules import MAX_MODULES, Import, Module, ModuleGraph
from assetstore.util.background import DeferredCache, on_event_loop

_log = logging.getLogger("assetstore")

#: How long a map stands, in seconds. With what a resolver keeps it stays under the second within which a saved
#: file is seen.
MAP_SECONDS = 0.3
#: How long a folder's listing stands, in seconds.
LIST_SECONDS = 0.5
#: How many maps are kept: one for each root path and each choice of hosts.
MAPS = 64
#: How many modules the first map of an event loop follows; the whole one is made in the background.
FIRST_MODULES = 50


class ResolvedImportMap:
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

    def finished(self) -> ResolvedImportMap:
        sections: dict[str, Any] = {"imports": self.imports, "scopes": self.scopes, "integrity": self.integrity}
        return ResolvedImportMap({name: section for name, section in sections.items() if section or name == "imports"})


class _Specifiers:
    """What bare specifiers mean (HTML standard, "resolve an imports match"), in one scope or in all."""

    def __init__(self, pins: Iterable[Pin]) -> None:
        self._addresses: dict[str, Address] = {}
        for pin in pins:
            self._addresses.setdefault(pin.specifier, pin.address)
        folders = (each for each in self._addresses if each.endswith("/"))
        self._folders = sorted(folders, key=len, reverse=True)

    def find(self, specifier: str) -> tuple[Address, str] | None:
        """The address that a pin gives for *specifier*, and the rest of it behind the pin of a folder."""
        if (address := self._addresses.get(specifier)) is not None:
            return address, ""
        folder = next((each for each in self._folders if specifier.startswith(each)), None)
        return None if folder is None else (self._addresses[folder], specifier[len(folder) :])


_Request: TypeAlias = tuple[object, object | None]


class ImportMaps:
    """Resolves the import map setting, for each page that asks."""

    def __init__(self, setting: ImportMap, names: Links) -> None:
        self._setting = setting
        self._names = names
        self._graph = ModuleGraph()
        self._listings: DeferredCache[tuple[Mount, str], tuple[str, ...]] = DeferredCache(_listed, seconds=LIST_SECONDS)
        self._maps: DeferredCache[_Request, ResolvedImportMap | AssetStoreError] = DeferredCache(
            self._made_or_error,
            key=lambda item: item[0],
            seconds=MAP_SECONDS,
            max_count=MAPS,
            name="assetstore-importmap",
        )
        self._logged: set[str] = set()

    def close(self) -> None:
        """End the threads; the next use starts others."""
        self._maps.close()
        self._listings.close()
        self._graph.close()

    def get(self, request: object | None = None) -> ResolvedImportMap:
        """The map for the page of *request*. On an event loop it is the last one that was made, while the next one
        is made in the background; the first one is without most of a large graph until that is read.

        Raises:
            MountNotFound, AssetNotFound: a pin names a mount that is none; or a missing file, where the store is strict.
        """
        mounts = self._names.namer.mounts
        hosts = tuple(mount.hosts.key(request) for mount in mounts)
        # Whose page it is counts only where a URL may be on its host or on another.
        page_host = (
            _page_host(request) if any(each.url.absolute or each.hosts is not NO_HOST for each in mounts) else None
        )
        made = self._maps.get(((self._names.namer.root_path(request), page_host, hosts), request))
        if isinstance(made, AssetStoreError):
            raise made
        return self._make(request, limit=FIRST_MODULES if on_event_loop() else MAX_MODULES) if made is None else made

    def entries(self) -> list[Module]:
        """Every own module that the setting names."""
        return [module for module in dict.fromkeys(module for _, module in self.pinned()) if is_module(module.path)]

    def pinned(self) -> list[tuple[str, Module]]:
        """Each pin, in a scope or not, with the file that it means; the entries stand for themselves."""
        pins = chain(self._pins(), *(self._expanded(scope.pins) for scope in self._setting.scopes))
        entries = (Pin(entry.path, entry) for entry in self._setting.entries)
        found = ((pin.specifier, self._names.module(pin.address)) for pin in chain(pins, entries))
        return [(specifier, module) for specifier, module in found if module is not None]

    def walk(
        self, entries: Iterable[Module], *, eager: bool = False, limit: int = MAX_MODULES
    ) -> Iterator[tuple[Module, list[Import]]]:
        """Each module that *entries* reach, with its imports; *eager* and *limit* as :meth:`ModuleGraph.walk`."""
        everywhere = _Specifiers(self._pins())
        scopes = [(scope.prefix, _Specifiers(self._expanded(scope.pins))) for scope in self._setting.scopes]
        # The longest prefix is the most specific scope, and comes first.
        scopes.sort(key=lambda scope: -len(scope[0].url if isinstance(scope[0], Verbatim) else scope[0].path))

        def resolve(importer: Module, reference: Reference) -> Import:
            return self._meaning(
                importer,
                reference,
                [table for prefix, table in scopes if self._is_in(importer, prefix)] + [everywhere],
            )

        return self._graph.walk(entries, resolve, eager=eager, limit=limit)

    def references(self, module: Module) -> tuple[Reference, ...] | None:
        """As :meth:`ModuleGraph.references`."""
        return self._graph.references(module)

    def collisions(self) -> Iterator[tuple[str, str, str, bool]]:
        """Each specifier of ``pin_all`` that two files claim: it, the one that has it, the other, and whether the
        author decided by a pin."""
        claimed = {pin.specifier: str(pin.address) for pin in self._setting.pins}
        pinned = set(claimed)
        for pin in chain.from_iterable(map(self._all_in, self._setting.folders)):
            if pin.specifier in claimed and claimed[pin.specifier] != str(pin.address):
                yield pin.specifier, claimed[pin.specifier], str(pin.address), pin.specifier in pinned
            claimed.setdefault(pin.specifier, str(pin.address))

    def settle(self) -> None:
        """Make every answer that pages wait for, and wait until it is known."""
        self.get()
        self._graph.settle()
        self._names.settle()

    def _made_or_error(self, item: _Request) -> ResolvedImportMap | AssetStoreError:
        try:
            return self._make(item[1])
        except AssetStoreError as error:  # for the page, which raises it
            return error

    def _make(self, request: object | None, *, limit: int = MAX_MODULES) -> ResolvedImportMap:
        draft = _Draft(request, integrity=dict(self._setting.digests))
        for pin in self._pins():
            if pin.specifier not in draft.imports:
                draft.imports[pin.specifier] = self._resolved(pin, draft)
        for scope in self._setting.scopes:
            prefix = self._names.name(scope.prefix, request).url
            section = draft.scopes.setdefault(prefix, {})
            for pin in self._expanded(scope.pins):
                if pin.specifier not in section:
                    section[pin.specifier] = self._resolved(pin, draft)
        for module, imports in self.walk(self.entries(), limit=limit):
            self._urls(module, imports, draft)
        for specifier, first, other, decided in self.collisions():
            if not decided and specifier not in self._logged:
                self._logged.add(specifier)
                _log.warning("import map: pin_all gives %r to %s, and leaves out %s", specifier, first, other)
        return draft.finished()

    def _resolved(self, pin: Pin, draft: _Draft) -> str:
        named = self._names.name(pin.address, draft.request)
        self._digest(named, draft, pin.integrity)
        return named.url

    def _urls(self, module: Module, imports: list[Import], draft: _Draft) -> None:
        """An entry for each import of *module* that the browser would resolve to a plain URL."""
        importer = self._names.name(_file(module), draft.request).url
        for each in imports:
            # A bare specifier has its pin already, and new URL() does not ask the map.
            if each.module is None or each.bare or each.reference.kind not in js.MAPPED or each.module.asset is None:
                continue
            named = self._names.name(_file(each.module), draft.request)
            plain = urljoin(importer, each.reference.url)
            if plain != named.url:
                draft.imports.setdefault(plain, named.url + each.suffix)
                self._digest(named, draft)

    def _digest(self, named: Link, draft: _Draft, given: str | None = None) -> None:
        digest = self._names.integrity(named, self._setting.integrity if given is None else given)
        if digest is not None:
            draft.integrity.setdefault(named.url, digest)

    def _meaning(self, importer: Module, reference: Reference, tables: list[_Specifiers]) -> Import:
        url = reference.url
        try:
            # Unlike an import, new URL("x", import.meta.url) needs no dot to mean a neighbour.
            if url.startswith(("./", "../")) or (reference.kind == "url" and is_relative(url)):
                meant = target(importer.path, url)
                return Import(reference, Module(importer.mount, meant.path), meant.suffix)
            if reference.kind != "url":
                for found in filter(None, (table.find(url) for table in tables)):
                    return self._mapped(reference, *found)
            if is_url(url):
                return self._absolute(reference)
        except OutsideMount:
            return Import(reference)
        return Import(reference, external=reference.kind == "url", bare=True)

    def _mapped(self, reference: Reference, address: Address, rest: str) -> Import:
        if isinstance(address, Verbatim):
            return Import(reference, external=True, bare=True)
        if not rest:
            return Import(reference, self._names.module(address), external=address.is_folder, bare=True)
        meant = target("", to_url(address.path) + rest)
        return Import(reference, Module(self._names.mount(address.mount), meant.path), meant.suffix, bare=True)

    def _absolute(self, reference: Reference) -> Import:
        """An absolute URL, which may be one of ours."""
        found: list[tuple[int, Mount, Meaning]] = []
        for mount in self._names.namer.mounts:
            if (meant := own(reference.url, [mount.url.base, *mount.url.prefixes])) is not None:
                found.append((len(meant.prefix), mount, meant))
        if not found:
            return Import(reference, external=True)
        _, mount, meant = max(found, key=lambda each: each[0])
        if meant.prefix == "/" and mount.resolver.find(meant.path) is None:
            return Import(reference, external=True)  # a page of the application, as likely as a missing file
        return Import(reference, Module(mount, meant.path), meant.suffix)

    def _is_in(self, importer: Module, prefix: Address) -> bool:
        """Whether a module is in the scope of *prefix*."""
        if isinstance(prefix, Verbatim):
            url = importer.mount.url.join(to_url(importer.path))
            return url == prefix.url or (prefix.is_folder and url.startswith(prefix.url))
        if self._names.mount(prefix.mount) is not importer.mount:
            return False
        return importer.path == prefix.path or (prefix.is_folder and importer.path.startswith(prefix.path))

    def _pins(self) -> Iterator[Pin]:
        """Every pin outside of scopes. Of two with one specifier the first counts: the author's before a folder's."""
        yield from self._expanded(self._setting.pins)
        for each in self._setting.folders:
            yield from self._all_in(each)

    def _expanded(self, pins: Iterable[Pin]) -> Iterator[Pin]:
        """*pins*, and after them the modules of each folder among them, so that these too are fingerprinted."""
        pins = tuple(pins)
        yield from pins
        for pin in pins:
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
    names = (asset.path for asset in mount.resolver.all())
    found = (path for path in names if path.startswith(folder) and is_module(path) and mount.allows(path))
    paths = tuple(islice(found, MAX_MODULES + 1))
    if len(paths) > MAX_MODULES:
        _log.warning("%r in mount %s has more than %d modules; pin what is needed", folder, mount.label, MAX_MODULES)
    return tuple(sorted(paths[:MAX_MODULES]))


def _file(module: Module) -> File:
    return File(module.mount.name, module.path)


def _page_host(request: object | None) -> str | None:
    return None if request is None else str(getattr(getattr(request, "url", None), "netloc", ""))
