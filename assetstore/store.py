"""This module owns the object that users hold: wiring only, everything else has its own room."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from os import PathLike
from typing import Any, Literal, Self

from anyio import CancelScope, to_thread
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from assetstore.assets.compression import BUDGET_BYTES
from assetstore.assets.immutable import ImmutableChoice
from assetstore.backends import Root
from assetstore.backends.base import Backend
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.errors import BackendError, ManifestError, SettingsError, UnsafePath
from assetstore.http.cache import Memory
from assetstore.http.middleware import from_memory
from assetstore.http.pages import RewrittenPages
from assetstore.http.routes import AssetDispatcher, AssetNames, MountApplication, in_front_of, root_file
from assetstore.http.rsgi import RsgiDoor
from assetstore.http.sendfile import offload_of
from assetstore.monitoring import Health, status_routes
from assetstore.mounts import build as wiring
from assetstore.mounts.mount import DELIVERY_BYTES, Mount, MountTable
from assetstore.mounts.url_for import STRICT_SECONDS, MissingAssets, Namer
from assetstore.mounts.urls import ORIGIN_PATH, HostChoice
from assetstore.names.base import BackgroundResolver
from assetstore.names.fingerprint import Fingerprinter
from assetstore.names.manifest import Manifest
from assetstore.names.options import Index
from assetstore.publish import Published, publish
from assetstore.publish.targets import destinations
from assetstore.settings import Settings
from assetstore.templates.html import Markup
from assetstore.templates.page import Page, Pages

#: How long the start of an application waits for the names of remote mounts, in seconds.
START_SECONDS = 1.0
#: How long :meth:`AssetStore.lifespan` waits for the thread that prepares pages, in seconds.
CLOSE_SECONDS = 5.0


class AssetStore:
    """Mounts, their URLs, and the routes that serve them.

    Args:
        settings: a mapping to read settings from; other keys in it are left alone.
        **keywords: settings by name (``ASSETS_URL="…"``); they win over *settings*, which wins
            over the environment. See :class:`~assetstore.settings.Settings`.

    Raises:
        SettingsError: a setting is unknown or malformed.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        self.settings = Settings.load(settings, keywords)
        self._mounts = MountTable()
        self._namer = Namer(self._mounts, MissingAssets(self.settings.ASSETS_STRICT))
        self._memory = Memory(self.settings.ASSETS_MEMORY_BYTES)
        self._dispatcher = AssetDispatcher(
            self._namer, offload_of(self.settings), self._memory, self.settings.ASSETS_MEMORY_BYTES
        )
        self._root_files: list[BaseRoute] = []
        #: What templates call: tags, preloads, the import map.
        self.pages = Pages(self._namer, self.settings)

    def static(
        self,
        url: str,
        *,
        root: Root,
        name: str | None = None,
        allowed_ext: Iterable[str] = (),
        public: bool = True,
        fingerprint: bool | str | Fingerprinter = True,
        host: str | None = None,
        defaults: Mapping[str, str] | None = None,
        storage_options: Mapping[str, Any] | None = None,
        origin_path: str = ORIGIN_PATH,
        must_exist: bool = True,
        headers: Mapping[str, Mapping[str, str]] | None = None,
        shared_cache: str = "",
        compress_bytes: int = BUDGET_BYTES,
        references: str | None = None,
        asset_host: HostChoice | None = None,
        manifest: str | PathLike[str] | Manifest | None = None,
        index: str | Index = "listing",
        cache: CacheSettings | None = None,
        limits: RemoteLimits | None = None,
        media_types: Mapping[str, str] | None = None,
        max_age: int | Mapping[str, int] = 0,
        immutable: ImmutableChoice | None = None,
        cors: str | Iterable[str] | None = "*",
        hidden: str | Iterable[str] = (),
        html: bool = False,
        fallback: str | None = None,
        delivery: Literal["stream", "redirect", "proxy"] = "stream",
        delivery_bytes: int = DELIVERY_BYTES,
        follow_symlinks: bool = False,
    ) -> Mount:
        """Mount the files under *root* at *url* (guide section 3).

        Args:
            url: path prefix (``/assets/``) or full URL of a CDN (``https://cdn.example.com/``).
            root: a directory, an fsspec URL (``s3://bucket/prefix``) or a backend.
            name: the name for ``url_for``.
            allowed_ext: extensions that may be served, ``""`` for files without one; empty allows all.
            public: whether shared caches may keep the answers.
            fingerprint: ``True`` or ``"mtime"``, ``"content"``, ``False``, or an object of your own.
            host: the only host on which the mount answers; its URLs then begin with ``//host/``.
            defaults: ``{"file": "index.html"}`` answers the bare prefix with that file.
            storage_options: what the backend needs: endpoint, credentials, client settings.
            origin_path: where this server answers too when *url* is a full URL.
            must_exist: whether a missing root is an error now; ``False`` for trees built later.
            headers: further response headers by glob pattern: ``{"*.svg": {"Content-Security-Policy": "…"}}``.
            shared_cache: for plain files, what shared caches may do: ``"s-maxage=60"``.
            compress_bytes: memory for what is compressed while serving; 0 sends only what stands
                beside a file (``app.css.br``).
            references: ``"rewrite"`` writes fingerprints into the references of style sheets, and warns
                of those that are missing; ``"strict"`` refuses the missing.
            asset_host: the host that URLs name, where *url* is a path: ``"https://cdn.example.com"``, a list
                over which files are spread, or a callable that gets the request.
            index: how the names of a remote root are learnt: ``"listing"``, ``"lazy"``, or an ``Index``.
            manifest: the path or URL of what ``assetstore publish`` wrote; names come from it alone.
            cache: what is kept of a remote root, in memory and on disk, and for how long.
            limits: how long and how often a remote root is asked.
            media_types: media types by extension or file name, before the package's own table:
                ``{".usdz": "model/vnd.usdz+zip"}``.
            max_age: for how many seconds plain files may be used without revalidation: a number for all, or by glob
                pattern, ``{"*.png": 3600}``.
            immutable: names that a bundler made of the content, whose plain URL is good for a year: ``"vite"``,
                ``"rollup"``, ``"esbuild"``, ``"webpack"``, ``"parcel"``, a glob pattern, a callable, or a list.
            cors: which origins may read responses of a public mount: ``"*"`` for all, ``None``, or a list.
            hidden: names with a leading dot that are served, beside ``.well-known``.
            html: whether the mount is a site: ``docs/`` is ``docs/index.html``, ``docs`` redirects there, ``about``
                is ``about.html``, and ``404.html`` is the body of 404s.
            delivery: who sends the bytes of a bucket's files once the request is verified: the application
                (``"stream"``), the storage (``"redirect"``: 307 to a presigned URL), or the proxy in front
                (``"proxy"``: ``X-Accel-Redirect``, see ``examples/proxies``).
            delivery_bytes: from how many bytes on files of a public mount go that way; in a private one all do.
            follow_symlinks: whether links in a directory may lead out of it, as package managers and Bazel make
                them; each still has to lead to a regular file.
            fallback: the page of a single-page application (``"index.html"``), for navigations to unknown paths.

        Raises:
            SettingsError: an argument is malformed, or the name or prefix is taken.
            ManifestError: *manifest* is missing, is not one of ours, or is of a newer format.
        """
        given = wiring.MountOptions(
            url=url,
            root=root,
            name=name,
            allowed_ext=allowed_ext,
            public=public,
            fingerprint=fingerprint,
            host=host,
            defaults=defaults,
            storage_options=storage_options,
            origin_path=origin_path,
            must_exist=must_exist,
            headers=headers,
            shared_cache=shared_cache,
            compress_bytes=compress_bytes,
            references=references,
            asset_host=asset_host,
            manifest=manifest,
            index=index,
            cache=cache,
            limits=limits,
            media_types=media_types,
            max_age=max_age,
            immutable=immutable,
            cors=cors,
            hidden=hidden,
            html=html,
            fallback=fallback,
            delivery=delivery,
            delivery_bytes=delivery_bytes,
            follow_symlinks=follow_symlinks,
        )
        mount = wiring.wire(given)
        self._mounts.add(mount)
        self._forget_answers()
        return mount

    def root_files(self, *files: str, mount: str = "assets") -> None:
        """Answer ``/favicon.ico`` and its like with a 301 into a mount (guide section 10).

        Raises:
            MountNotFound: there is no mount called *mount* yet.
            SettingsError: a name is no file name.
        """
        target = self._mounts.named(mount)
        for file in files:
            try:
                self._root_files.append(root_file(file, target))
            except UnsafePath as error:
                raise SettingsError(f"root_files({file!r}): {error}") from None

    @property
    def mounts(self) -> MountTable:
        """Every mount, by name and by place."""
        return self._mounts

    @property
    def routes(self) -> list[BaseRoute]:
        """Starlette routes that serve every mount and every root file."""
        return [*self._dispatcher.routes(), *self._root_files]

    def __getitem__(self, name: str) -> MountApplication:
        """The mount called *name* as an ASGI application: ``app.mount("/static", assets["assets"])``.

        Raises:
            MountNotFound: no mount has that name; the message names the ones that exist.
        """
        return MountApplication(self._dispatcher, self._mounts.named(name))

    def names(self, root_path: str) -> BaseRoute:
        """A route that only resolves names, for a store whose routes stand inside ``Mount(root_path)``.

        From here on *root_path* stands before every path that this store gives, on pages too.
        """
        self._namer.below = root_path.rstrip("/")
        return AssetNames(self._namer, self._namer.below)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """*app* with the assets in front of it, answered before its middleware is entered."""
        return from_memory(self._memory, in_front_of(app, self._dispatcher, self._root_files))

    def rewrite(self, app: ASGIApp) -> ASGIApp:
        """*app*, in whose HTML pages every URL of an asset becomes the one that :meth:`url_for` gives."""
        return RewrittenPages(app, self._namer)

    def rsgi(self, app: ASGIApp) -> RsgiDoor:
        """:meth:`wrap` for granian's own interface, RSGI, with :meth:`lifespan` around it."""
        return RsgiDoor(self.wrap(app), self._memory, self.lifespan(app))

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """Pass as ``lifespan=`` to have names and the import map from the first page on, and to end every thread
        and connection at shutdown. Not required.

        The start waits up to :data:`START_SECONDS` for the names of remote mounts; a strict store
        up to :data:`STRICT_SECONDS`.
        """
        await to_thread.run_sync(self._read_names, abandon_on_cancel=True)
        prepare = threading.Thread(target=self.pages.settle, name="assetstore-pages", daemon=True)
        prepare.start()
        try:
            yield
        finally:
            with CancelScope(shield=True):
                await self.aclose()
                await to_thread.run_sync(prepare.join, CLOSE_SECONDS)

    def _read_names(self) -> None:
        """Wait for the first names of every remote mount, all at the same time."""
        waiting = [mount.resolver for mount in self._mounts if isinstance(mount.resolver, BackgroundResolver)]
        for resolver in waiting:
            resolver.start()
        deadline = time.monotonic() + (STRICT_SECONDS if self.settings.ASSETS_STRICT else START_SECONDS)
        for resolver in waiting:
            resolver.wait(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """End every thread and connection of this store; using it again begins anew. Not for the event loop.

        ``with AssetStore() as assets`` and the end of :meth:`lifespan` do so too.
        """
        self.pages.close()
        self._dispatcher.close()
        for mount in self._mounts:
            mount.close()
        self._forget_answers()

    async def aclose(self) -> None:
        """:meth:`close`, from an event loop, with the connections that belong to that loop."""
        for mount in self._mounts:
            await mount.reader.aclose()
        await to_thread.run_sync(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def health(self) -> Health:
        """Which mounts can answer, from what was last seen of their storage; asks no network.

        A bucket that is empty, one that cannot be reached and one that refuses are three things.
        """
        return Health.of(self._mounts)

    def status_routes(self, *, health: str = "/assets-health", metrics: str = "/assets-metrics") -> list[BaseRoute]:
        """Routes for a load balancer and for Prometheus; pass ``""`` for one that is not wanted.

        *health* is 200 while every mount can answer, else 503, with each mount's state as JSON.
        """
        return status_routes(self._mounts, health, metrics)

    def url_for(self, name: str, *, file: str, request: object | None = None, same_origin: bool = False) -> str:
        """The URL of *file* in the mount called *name*: path-only, or absolute on a CDN.

        Args:
            name: a mount's name.
            file: logical path, relative to the mount's root, without a leading slash.
            request: a Starlette request, to put its application's root path before path-only URLs.
            same_origin: whether to name this server whatever the CDN, as workers and service workers need.

        Raises:
            MountNotFound, UnsafePath, AssetNotFound: as :meth:`Namer.url_for <assetstore.mounts.url_for.Namer.url_for>`.
        """
        root_path = self._namer.root_path(request)
        return self._namer.url_for(name, file, root_path=root_path, request=request, same_origin=same_origin)

    def publish(
        self,
        to: str | PathLike[str] | Backend,
        *,
        mounts: Iterable[str] = (),
        storage_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Published]:
        """Publish mounts to a bucket or a directory, all of them unless *mounts* names some.

        Args:
            to: a directory, an fsspec URL (``s3://bucket/{mount}``) or a writable backend.
            mounts: names of the mounts to publish.
            storage_options: what the target needs: endpoint, credentials, client settings.
            **options: as :func:`assetstore.publish.publish` has them: ``siblings``, ``coding``, ``force``, ….

        Raises:
            MountNotFound, SettingsError: a name or the target is not right.
            PublishError, BackendError: as :func:`assetstore.publish.publish`.
        """
        targets = destinations(self._mounts, mounts, to, storage_options)
        published = [publish(mount, target, **options) for mount, target in targets]
        with suppress(BackendError, ManifestError):  # what is published is published; the names come a little later
            self.refresh()
        return published

    def refresh(self) -> None:
        """Learn the names of all remote mounts anew, read manifests that are other ones by now, and return when
        the names are known. Not for the event loop.

        Raises:
            BackendError, ManifestError: storage failed; the names that were known stay.
        """
        for mount in self._mounts:
            if mount.remote is not None:
                mount.remote.reader.forget()
            if isinstance(mount.resolver, BackgroundResolver):
                mount.resolver.refresh()
        self._forget_answers()

    def _forget_answers(self) -> None:
        self._dispatcher.forget(by_host=any(mount.url.host is not None for mount in self._mounts))

    def render_importmap(self, *, nonce: str | None = None, request: object | None = None) -> Markup:
        """The import map as a script element, for a page's head, before its first module script (guide section 5.3).

        Raises:
            MountNotFound: a pin names a mount that is none.
            AssetNotFound: a pin names a missing file, and the store is strict.
        """
        return self.pages.importmap(request).tag(nonce)

    def importmap_csp_hash(self, *, request: object | None = None) -> str:
        """``'sha256-…'`` for the ``script-src`` of a page that is cached or static, and so can have no nonce.

        It is the hash of the map as it is now. Where a file may change between two calls, take
        ``tag()`` and ``csp_hash`` of one ``assets.pages.importmap(request)``.
        """
        return self.pages.importmap(request).csp_hash

    def page(self, request: object | None = None, *, nonce: str | None = None) -> Page:
        """What the page of *request* says of assets, with its *nonce* on every tag."""
        return Page(self._namer, self.pages, request, nonce)

    @property
    def version(self) -> str:
        """32 hex digits that change when any asset's name does."""
        return self.pages.version
