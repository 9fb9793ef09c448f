"""What templates call: tags, the import map, and the version that tells of a new release.

A file is written as in settings: ``"styles/app.css"`` in the default mount, ``"media:x.css"`` in
another, a URL as it is. ``integrity`` and ``crossorigin`` appear by themselves where the URL's
host is not the page's.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from assetstore.errors import AssetStoreError, SettingsError
from assetstore.mounts.mount import Mount
from assetstore.mounts.url_for import AssetUrls
from assetstore.references.js import is_module
from assetstore.rewrite.backend import RewrittenBackend
from assetstore.settings import Settings
from assetstore.templates import html
from assetstore.templates.html import Attribute, Markup
from assetstore.templates.importmap import ImportMap, ImportMaps, ResolvedImportMap
from assetstore.templates.links import File, Link, Links, parse_address
from assetstore.util.background import SHARE, DeferredCache, on_event_loop

_log = logging.getLogger("assetstore")

#: How many tags :meth:`Pages.module_preloads` gives at most: more would compete with the page itself.
MAX_PRELOADS = 40
#: How long a ``Link`` header may be. Proxies refuse all of a response whose headers exceed 4 KB.
MAX_LINK_BYTES = 1_000
#: How long :attr:`Pages.version` stands before every name is looked at again.
VERSION_SECONDS = 1.0

#: How long an event loop may be held for the first one, in seconds.
INLINE_SECONDS = 0.01

#: What ``as`` says for each kind of media type (HTML standard, "preload" link type).
_AS = {
    "text/css": "style",
    "text/javascript": "script",
    "text/vtt": "track",
    "application/json": "fetch",
    "font": "font",
    "image": "image",
    "audio": "audio",
    "video": "video",
}
#: Kinds that browsers fetch under CORS even from the page's own host.
_ALWAYS_CORS = frozenset({"font", "fetch"})
#: Kinds that follow the host: their tags carry ``crossorigin`` exactly where the host differs.
_CORS_BY_HOST = frozenset({"style", "script"})
_IN_LINK_HEADER = frozenset({"style", "font", "image"})


@dataclass(frozen=True, slots=True)
class BundledEntry:
    """The files that a page needs for one entry, by their paths in the mount, each in the order of its tags."""

    scripts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    #: Modules that the scripts import before they run.
    preloads: tuple[str, ...] = ()
    #: Whether the scripts are modules.
    module: bool = True


class Pages:
    """What pages say of assets."""

    def __init__(self, urls: AssetUrls, settings: Settings) -> None:
        self._names = Links(urls, settings.ASSETS_INTEGRITY)
        self._maps = ImportMaps(ImportMap.parse(settings.IMPORT_MAP), self._names)
        self._versions: DeferredCache[str, str] = DeferredCache(
            self._digest_of_names, seconds=VERSION_SECONDS, name="assetstore-version"
        )
        self._version, self._version_until = "", 0.0

    @property
    def maps(self) -> ImportMaps:
        """The import map setting, with the modules that it reaches."""
        return self._maps

    def importmap(self, request: object | None = None) -> ResolvedImportMap:
        """The import map for the page of *request*: its value, JSON, tag and CSP hash.

        Raises:
            MountNotFound: a pin names a mount that is none.
            AssetNotFound: a pin names a missing file, and the store is strict.
        """
        return self._maps.get(request)

    def stylesheet_link(
        self,
        *files: str,
        nonce: str | None = None,
        integrity: bool | str | None = None,
        request: object | None = None,
        **attributes: Attribute,
    ) -> Markup:
        """A ``<link rel="stylesheet">`` for each of *files*; *attributes* as ``media="print"``.

        Raises:
            MountNotFound, UnsafePath, AssetNotFound: as :meth:`AssetUrls.url_for`.
        """

        def tag(file: str) -> Markup:
            named = self._names.name(file, request)
            about = self._fetched(named, integrity, nonce)
            return html.link({"rel": "stylesheet", "href": named.url, **about, **attributes})

        return html.lines(map(tag, files))

    def script_tag(
        self,
        *files: str,
        module: bool = True,
        same_origin: bool = False,
        nonce: str | None = None,
        integrity: bool | str | None = None,
        request: object | None = None,
        **attributes: Attribute,
    ) -> Markup:
        """A ``<script src>`` for each of *files*, as a module by default.

        Raises:
            MountNotFound, UnsafePath, AssetNotFound: as :meth:`AssetUrls.url_for`.
        """

        def tag(file: str) -> Markup:
            named = self._names.name(file, request, same_origin=same_origin)
            about = self._fetched(named, integrity, nonce)
            return html.script({"type": "module" if module else None, "src": named.url, **about, **attributes})

        return html.lines(map(tag, files))

    def module_preloads(
        self, *entries: str, nonce: str | None = None, request: object | None = None, limit: int = MAX_PRELOADS
    ) -> Markup:
        """``<link rel="modulepreload">`` for *entries* and what they import before they run, nearest first.

        They must stand after the import map (some browsers drop a map that comes later). Dynamic
        imports are left out: they are fetched when they are needed.
        """
        modules = filter(None, (self._names.module(parse_address(entry)) for entry in entries))
        tags = []
        for module, _ in self._maps.walk(modules, eager=True):
            if not is_module(module.path) or module.mount.resolver.find(module.path) is None:
                continue
            named = self._names.name(File(module.mount.name, module.path), request)
            about = self._fetched(named, None, nonce)
            tags.append(html.link({"rel": "modulepreload", "href": named.url, **about}))
            if len(tags) >= limit:
                break
        return html.lines(tags)

    def bundle_tags(
        self,
        mount: Mount,
        entries: Iterable[BundledEntry],
        *,
        nonce: str | None = None,
        integrity: bool | str | None = None,
        request: object | None = None,
    ) -> Markup:
        """Tags for what a bundler made of *entries*: style sheets, modules to preload, and scripts, each file once.

        The URLs carry the bundler's names and no others, or a module would be loaded twice: by its tag, and by
        the modules that import it.
        """
        entries = list(entries)
        scripts = dict.fromkeys((path, entry.module) for entry in entries for path in entry.scripts)
        preloads = dict.fromkeys(path for entry in entries for path in entry.preloads)
        modules = {path for path, _ in scripts}

        def about(path: str) -> tuple[str, dict[str, Attribute]]:
            named = self._names.plain(mount, path, request)
            return named.url, self._fetched(named, integrity, nonce)

        tags = []
        for path in dict.fromkeys(path for entry in entries for path in entry.styles):
            url, given = about(path)
            tags.append(html.link({"rel": "stylesheet", "href": url, **given}))
        for path in preloads:
            if path not in modules:
                url, given = about(path)
                tags.append(html.link({"rel": "modulepreload", "href": url, **given}))
        for path, module in scripts:
            url, given = about(path)
            kind: dict[str, Attribute] = {"type": "module"} if module else {"defer": True}
            tags.append(html.script({**kind, "src": url, **given}))
        return html.lines(tags)

    def preload(
        self, *files: str, nonce: str | None = None, request: object | None = None, **attributes: Attribute
    ) -> Markup:
        """A ``<link rel="preload">`` for each of *files*, with the ``as`` and ``crossorigin`` that its use will have.

        Raises:
            SettingsError: a file is of no kind that can be preloaded; give ``as_=``.
        """

        def tag(file: str) -> Markup:
            named = self._names.name(file, request)
            kind = _kind(named, attributes.get("as_"))
            about = self._fetched(named, None if kind in _CORS_BY_HOST else False, nonce)
            about["crossorigin"] = _crossorigin(kind, named)
            type_ = named.media_type if kind in {"font", "image"} else None
            return html.link(
                {"rel": "preload", "href": named.url, "as": kind, "type": type_, **about, **_rest(attributes)}
            )

        return html.lines(map(tag, files))

    def link_header(self, *files: str, request: object | None = None, max_bytes: int = MAX_LINK_BYTES) -> str:
        """The value of a ``Link`` header that preloads style sheets, fonts and images, in this order.

        What would make it longer than *max_bytes* is left out. ``""`` if nothing is left: send no header then.

        Raises:
            SettingsError: a file is a script. A module that is preloaded before the import map
                is read takes the map's effect away; use :meth:`module_preloads`.
        """
        header = ""
        for value in self.link_values(*files, request=request):
            longer = f"{header}, {value}" if header else value
            if len(longer.encode()) <= max_bytes:
                header = longer
        return header

    def link_values(self, *files: str, request: object | None = None) -> list[str]:
        """The values of :meth:`link_header`, one for each file, as Early Hints (RFC 8297) take them; raises as that."""
        values = []
        for file in files:
            named = self._names.name(file, request)
            kind = _kind(named, None)
            if kind not in _IN_LINK_HEADER:
                raise SettingsError(
                    f"{file!r} cannot go into a Link header; preload it with a tag after the import map"
                )
            crossorigin = "; crossorigin" if _crossorigin(kind, named) else ""
            values.append(f"<{named.url}>; rel=preload; as={kind}{crossorigin}")
        return [value for value in values if value.isascii() and not set(value) & set("\r\n")]

    @property
    def version(self) -> str:
        """32 hex digits that change when any asset's name does: for page ETags, and to tell open tabs of a release.

        ``""`` on an event loop where looking at every name takes longer than 10 ms, until that was done in the
        background; ``lifespan`` begins with it.
        """
        return self._versions.get("") or self._sum_of_names(INLINE_SECONDS) or ""

    def close(self) -> None:
        """End every thread; the next page starts others."""
        self._maps.close()
        self._versions.close()
        self._names.close()

    def settle(self) -> None:
        """Compute whatever pages would otherwise do without on an event loop; for start-up, in a thread.

        What is wrong is logged here; the pages that meet it raise it.
        """
        try:
            self._maps.settle()
            for mount in self._names.urls.mounts:
                if isinstance(mount.backend, RewrittenBackend):
                    mount.backend.prepare()
        except AssetStoreError as error:
            _log.error("pages are not prepared: %s", error)

    def _fetched(self, named: Link, integrity: bool | str | None, nonce: str | None) -> dict[str, Attribute]:
        """What every tag says of how its file is fetched."""
        digest = self._names.integrity(named, integrity)
        return {"integrity": digest, "crossorigin": "anonymous" if named.crosses else None, "nonce": nonce}

    def _digest_of_names(self, _: str) -> str:
        """The digest of all names, computed for at most a twentieth of the time: a walk of 50,000 files takes seconds."""
        began = time.monotonic()
        if not self._version or began >= self._version_until:
            self._version = self._sum_of_names(math.inf) or ""
            self._version_until = time.monotonic() + (time.monotonic() - began) / SHARE
        return self._version

    def _sum_of_names(self, seconds: float) -> str | None:
        """The digest of all names; ``None`` where it takes longer than *seconds*, or one is not known yet."""
        mounts = self._names.urls.mounts
        if seconds < math.inf and any(isinstance(each.backend, RewrittenBackend) for each in mounts):
            return None  # which lists everything before it gives the first name
        until = time.monotonic() + seconds
        total = 0  # a sum needs no order, and sorting many names would hold the interpreter lock
        for name in self._all_names():
            if name is None or time.monotonic() > until:
                return None
            total += int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
        return f"{total % (1 << 256):064x}"[:32]

    def _all_names(self) -> Iterator[str | None]:
        """Every mount and name; on an event loop ``None`` for one whose fingerprint is still being made."""
        mounts = self._names.urls.mounts
        for name in mounts.names:
            mount = mounts.named(name)
            for asset in mount.resolver.all():
                pending = asset.fingerprint is None and mount.fingerprinter is not None and on_event_loop()
                yield None if pending else f"{name}:{asset.fingerprinted_path}"


def _kind(named: Link, given: Attribute) -> str:
    """What ``as`` says for the file that is *named*."""
    if isinstance(given, str):
        return given
    media_type = named.media_type
    kind = _AS.get(media_type) or _AS.get(media_type.partition("/")[0])
    if kind is None:
        raise SettingsError(
            f"{named.path!r} is {media_type}, which no page preloads by itself; say what it is for with as_="
        )
    return kind


def _crossorigin(kind: str, named: Link) -> str | None:
    return "anonymous" if kind in _ALWAYS_CORS or (kind in _CORS_BY_HOST and named.crosses) else None


def _rest(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    return {name: value for name, value in attributes.items() if name != "as_"}


@dataclass(frozen=True, slots=True)
class Page:
    """:class:`~assetstore.templates.page.Pages` for one request. Template engines and dependencies hand this out."""

    urls: AssetUrls
    pages: Pages
    request: object | None = None
    nonce: str | None = None

    def url_for(self, name: str, *, file: str, same_origin: bool = False) -> str:
        """As :meth:`AssetStore.url_for <assetstore.store.AssetStore.url_for>`."""
        root_path = self.urls.root_path(self.request)
        return self.urls.url_for(name, file, root_path=root_path, request=self.request, same_origin=same_origin)

    def render_importmap(self, *, nonce: str | None = None) -> Markup:
        """As :meth:`AssetStore.render_importmap <assetstore.store.AssetStore.render_importmap>`."""
        return self.pages.importmap(self.request).tag(nonce or self.nonce)

    def stylesheet_link(
        self, *files: str, nonce: str | None = None, integrity: bool | str | None = None, **attributes: Attribute
    ) -> Markup:
        """As :meth:`Pages.stylesheet_link`."""
        return self.pages.stylesheet_link(
            *files, nonce=nonce or self.nonce, integrity=integrity, request=self.request, **attributes
        )

    def script_tag(
        self,
        *files: str,
        module: bool = True,
        same_origin: bool = False,
        nonce: str | None = None,
        integrity: bool | str | None = None,
        **attributes: Attribute,
    ) -> Markup:
        """As :meth:`Pages.script_tag`."""
        return self.pages.script_tag(
            *files,
            module=module,
            same_origin=same_origin,
            nonce=nonce or self.nonce,
            integrity=integrity,
            request=self.request,
            **attributes,
        )

    def module_preloads(self, *entries: str, nonce: str | None = None, limit: int = MAX_PRELOADS) -> Markup:
        """As :meth:`Pages.module_preloads`."""
        return self.pages.module_preloads(*entries, nonce=nonce or self.nonce, request=self.request, limit=limit)

    def preload(self, *files: str, nonce: str | None = None, **attributes: Attribute) -> Markup:
        """As :meth:`Pages.preload`."""
        return self.pages.preload(*files, nonce=nonce or self.nonce, request=self.request, **attributes)

    def link_header(self, *files: str, max_bytes: int = MAX_LINK_BYTES) -> str:
        """As :meth:`Pages.link_header`."""
        return self.pages.link_header(*files, request=self.request, max_bytes=max_bytes)

    async def early_hints(self, *files: str) -> None:
        """Send 103 Early Hints (RFC 8297) that preload style sheets, fonts and images, before the page is made.

        Nothing is sent where the server has no such extension: hypercorn has it with HTTP/2 and HTTP/3, and
        Starlette's request from 1.0 on.

        Raises:
            SettingsError: a file is a script, as :meth:`Pages.link_header` has it.
        """
        values = self.pages.link_values(*files, request=self.request)
        send = getattr(self.request, "send_early_hints", None)
        if send is not None and values:
            await send(*values)

    @property
    def version(self) -> str:
        """As :attr:`Pages.version`."""
        return self.pages.version
