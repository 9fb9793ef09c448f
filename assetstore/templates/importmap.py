"""The ``IMPORT_MAP`` setting, and the import map as pages carry it: every pin resolved to the URL that it has now.

The short form of the setting maps specifiers to files. The long form has sections::

    {"imports": {"app": "js/app.js", "lib/": "js/lib/"},
     "pin_all": {"controllers/": "js/controllers/"},
     "entries": ["js/app.js"],
     "scopes": {"js/admin/": {"turbo": "js/turbo-7.js"}},
     "integrity": True}
"""

from __future__ import annotations

import base64
import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import Any, TypeAlias
from urllib.parse import urljoin

from assetstore.assets.paths import to_url
from assetstore.errors import AssetStoreError, SettingsError
from assetstore.mounts.mount import Mount
from assetstore.mounts.urls import NO_HOST
from assetstore.references import js
from assetstore.references.js import is_module
from assetstore.references.reference import Meaning, OutsideMount, Reference, is_relative, own, target
from assetstore.templates import html
from assetstore.templates.html import Markup
from assetstore.templates.integrity import is_integrity
from assetstore.templates.links import Address, File, Link, Links, Verbatim, is_url, read_address
from assetstore.templates.modules import MAX_MODULES, Import, Module, ModuleGraph
from assetstore.util.background import DeferredCache, on_event_loop

_log = logging.getLogger("assetstore")

SECTIONS = ("imports", "pin_all", "entries", "scopes", "integrity")


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of the map, and the integrity that its author gave for it."""

    specifier: str
    address: Address
    integrity: str | None = None


@dataclass(frozen=True, slots=True)
class PinAll:
    """Every module of a folder, under a prefix: ``hello.js`` as ``<prefix>hello``, ``index.js`` as the prefix."""

    prefix: str
    folder: File


@dataclass(frozen=True, slots=True)
class Scope:
    """Pins that hold only for importing modules below *prefix*."""

    prefix: Address
    pins: tuple[Pin, ...]


@dataclass(frozen=True, slots=True)
class ImportMap:
    """The import map as it was set."""

    pins: tuple[Pin, ...] = ()
    folders: tuple[PinAll, ...] = ()
    #: Files whose imports are followed, besides those of the pins.
    entries: tuple[File, ...] = ()
    scopes: tuple[Scope, ...] = ()
    #: Whether the map carries integrity; ``None`` leaves it to the store's own setting.
    integrity: bool | None = None
    #: Integrity of URLs that are not ours.
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, setting: Mapping[str, Any]) -> ImportMap:
        """Read the setting, in its short or its long form.

        Raises:
            SettingsError: something in it is malformed; the message says where, and shows a good value.
        """
        if not setting or not all(key in SECTIONS and not isinstance(setting[key], str) for key in setting):
            _refuse_mixture(setting)
            return cls(pins=_pins(setting, "IMPORT_MAP"))
        wanted, digests = _integrity(setting.get("integrity"))
        return cls(
            pins=_pins(setting.get("imports", {}), "imports"),
            folders=tuple(_each(setting.get("pin_all", {}), "pin_all", _pin_all)),
            entries=tuple(_entry(each) for each in _list(setting.get("entries", ()))),
            scopes=tuple(_each(setting.get("scopes", {}), "scopes", _scope)),
            integrity=wanted,
            digests=digests,
        )


def _refuse_mixture(setting: Mapping[str, Any]) -> None:
    for key, value in setting.items():
        sectionlike = key in SECTIONS and (isinstance(value, bool | list | tuple) or key in {"imports", "scopes"})
        if sectionlike and not isinstance(value, str):
            others = ", ".join(repr(each) for each in setting if each not in SECTIONS)
            raise SettingsError(
                f"import map: {key!r} is a section, and {others} stand beside it; put pins under 'imports'"
            )


def _each(section: object, name: str, read: Callable[[str, Any, str], Any]) -> Iterable[Any]:
    if not isinstance(section, Mapping):
        raise SettingsError(f"import map: {name!r} is no mapping but {section!r}; a good one is {{'app': 'js/app.js'}}")
    for key, value in section.items():
        where = f"import map: {name}[{key!r}]"
        if not isinstance(key, str) or not key or key != key.strip():
            raise SettingsError(f"{where}: the key is no specifier; give a bare name such as '@hotwired/turbo'")
        yield read(key, value, where)


def _pins(section: object, name: str) -> tuple[Pin, ...]:
    return tuple(_each(section, name, _pin))


def _pin(specifier: str, value: Any, where: str) -> Pin:
    if specifier.startswith(("./", "../")):
        raise SettingsError(
            f"{where}: a relative key means another module on every page; write a bare name, as {specifier.lstrip('./')!r}"
        )
    integrity = value.get("integrity") if isinstance(value, Mapping) else None
    if integrity is not None and not is_integrity(integrity):
        raise SettingsError(f"{where}: integrity {integrity!r} is none; give 'sha384-' and 64 characters of base64")
    address = read_address(_without(value, "integrity"), where)
    if address.is_folder != specifier.endswith("/"):
        raise SettingsError(f"{where}: either both or neither of key and value end in '/', which makes them folders")
    return Pin(specifier, address, integrity)


def _without(value: Any, key: str) -> Any:
    return {name: value[name] for name in value if name != key} if isinstance(value, Mapping) else value


def _pin_all(prefix: str, value: Any, where: str) -> PinAll:
    folder = read_address(f"{value.rstrip('/')}/" if isinstance(value, str) else value, where)
    if not isinstance(folder, File) or not folder.is_folder:
        raise SettingsError(f"{where}: {value!r} is no folder of a mount; give one such as 'js/controllers/'")
    return PinAll(prefix.rstrip("/") + "/", folder)


def _scope(prefix: str, value: Any, where: str) -> Scope:
    pins = tuple(_each(value, f"scopes[{prefix!r}]", _pin))
    return Scope(read_address(prefix, where), pins)


def _list(entries: object) -> Iterable[object]:
    if not isinstance(entries, list | tuple):
        raise SettingsError(f"import map: 'entries' is no list but {entries!r}; a good one is ['js/app.js']")
    return entries


def _entry(value: object) -> File:
    address = read_address(value, "import map: entries")
    if isinstance(address, Verbatim) or address.is_folder:
        raise SettingsError(f"import map: entries: {value!r} is no file of a mount; give one such as 'js/app.js'")
    return address


def _integrity(section: object) -> tuple[bool | None, Mapping[str, str]]:
    if section is None or isinstance(section, bool):
        return section, {}
    good = "give True, False, or {'https://esm.sh/x': 'sha384-…'}"
    if not isinstance(section, Mapping):
        raise SettingsError(f"import map: 'integrity' is {section!r}; {good}")
    for url, digest in section.items():
        if not isinstance(url, str) or not is_url(url) or not is_integrity(digest):
            raise SettingsError(f"import map: integrity[{url!r}] is {digest!r}, which no browser understands; {good}")
    return None, dict(section)


#: How long a map stands, in seconds. With what a resolver keeps it stays under the second within which a saved
#: file is seen.
MAP_SECONDS = 0.3
#: How long a folder's listing stands, in seconds.
LIST_SECONDS = 0.5
#: How many maps are kept: one for each root path and each choice of hosts.
MAPS = 64
#: How long an event loop is held for its first map, in seconds; the whole one is made in the background.
FIRST_SECONDS = 0.008


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
        mounts = self._names.urls.mounts
        hosts = tuple(mount.hosts.key(request) for mount in mounts)
        # Whose page it is counts only where a URL may be on its host or on another.
        page_host = (
            _page_host(request) if any(each.url.absolute or each.hosts is not NO_HOST for each in mounts) else None
        )
        made = self._maps.get(((self._names.urls.root_path(request), page_host, hosts), request))
        if isinstance(made, AssetStoreError):
            raise made
        return self._make(request, seconds=FIRST_SECONDS if on_event_loop() else math.inf) if made is None else made

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
        self, entries: Iterable[Module], *, eager: bool = False, limit: int = MAX_MODULES, until: float = math.inf
    ) -> Iterator[tuple[Module, list[Import]]]:
        """Each module that *entries* reach, with its imports; the others as :meth:`ModuleGraph.walk` takes them."""
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

        return self._graph.walk(entries, resolve, eager=eager, limit=limit, until=until)

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

    def _make(self, request: object | None, *, seconds: float = math.inf) -> ResolvedImportMap:
        """The map; after so many *seconds* only with what is left of the setting's own pins."""
        until = time.monotonic() + seconds
        draft = _Draft(request, integrity=dict(self._setting.digests))
        for number, pin in enumerate(self._pins()):
            if number >= len(self._setting.pins) and time.monotonic() > until:
                break
            if pin.specifier not in draft.imports:
                draft.imports[pin.specifier] = self._resolved(pin, draft)
        for scope in self._setting.scopes:
            prefix = self._names.name(scope.prefix, request).url
            section = draft.scopes.setdefault(prefix, {})
            for pin in self._expanded(scope.pins):
                if pin.specifier not in section:
                    section[pin.specifier] = self._resolved(pin, draft)
        for module, imports in self.walk(self.entries(), until=until):
            self._urls(module, imports, draft, until)
        for specifier, first, other, decided in self.collisions():
            if not decided and specifier not in self._logged:
                self._logged.add(specifier)
                _log.warning("import map: pin_all gives %r to %s, and leaves out %s", specifier, first, other)
        return draft.finished()

    def _resolved(self, pin: Pin, draft: _Draft) -> str:
        named = self._names.name(pin.address, draft.request)
        self._digest(named, draft, pin.integrity)
        return named.url

    def _urls(self, module: Module, imports: list[Import], draft: _Draft, until: float) -> None:
        """An entry for each import of *module* that the browser would resolve to a plain URL."""
        importer = self._names.name(_file(module), draft.request).url
        for each in imports:
            if time.monotonic() > until:
                return
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
        for mount in self._names.urls.mounts:
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
    found = (
        path for path in mount.resolver.paths() if path.startswith(folder) and is_module(path) and mount.allows(path)
    )
    paths = tuple(islice(found, MAX_MODULES + 1))
    if len(paths) > MAX_MODULES:
        _log.warning("%r in mount %s has more than %d modules; pin what is needed", folder, mount.label, MAX_MODULES)
    return tuple(sorted(paths[:MAX_MODULES]))


def _file(module: Module) -> File:
    return File(module.mount.name, module.path)


def _page_host(request: object | None) -> str | None:
    return None if request is None else str(getattr(getattr(request, "url", None), "netloc", ""))
