"""``AssetStore``, the object that users hold: wiring only."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, Unpack

from assetstore.backends.base import Backend
from assetstore.errors import BackendError, ManifestError, SettingsError, UnsafePath
from assetstore.mounts.build import MountOptions, build_mount, static_signature
from assetstore.mounts.mount import Mount, MountTable
from assetstore.mounts.url_for import STRICT_SECONDS, AssetUrls, MissingAssets
from assetstore.names.base import BackgroundResolver
from assetstore.settings import Settings, SettingValues

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from assetstore.http.cache import ResponseCache
    from assetstore.http.routes import AssetDispatcher, MountApplication
    from assetstore.monitoring import Health
    from assetstore.publish import Published
    from assetstore.templates.html import Markup
    from assetstore.templates.page import Page, Pages

#: How long the start of an application waits for the names of remote mounts, in seconds.
START_SECONDS = 1.0
#: How long :meth:`AssetStore.lifespan` waits for the thread that prepares pages, in seconds.
CLOSE_SECONDS = 5.0


class AssetStore:
    """Mounts, their URLs, and the routes that serve them.

    Args:
        settings: where to read settings from: a mapping, or any object with attributes (a class, a module, Starlette's
            ``Config``, pydantic's ``BaseSettings``); what else is in it is left alone.
        **keywords: settings by name (``ASSETS_URL="…"``); they win over *settings*, which wins
            over the environment. See :class:`~assetstore.settings.Settings`.

    Raises:
        SettingsError: a setting is unknown or malformed.
    """

    def __init__(self, settings: object = None, /, **keywords: Unpack[SettingValues]) -> None:
        self.settings = Settings.load(settings, keywords)
        self._mounts = MountTable()
        self._urls = AssetUrls(self._mounts, MissingAssets(self.settings.ASSETS_STRICT))
        # What serves, and what makes tags, is imported where it is used first; settings are checked now.
        if self.settings.STATIC_X_SENDFILE_HEADER or self.settings.STATIC_X_SENDFILE_SERVER:
            _ = self._dispatcher
        if self.settings.IMPORT_MAP:
            _ = self.pages

    @cached_property
    def response_cache(self) -> ResponseCache:
        """Hot responses of all mounts."""
        from assetstore.http.cache import ResponseCache

        return ResponseCache(self.settings.ASSETS_MEMORY_BYTES)

    @cached_property
    def _dispatcher(self) -> AssetDispatcher:
        import assetstore.templates.page  # noqa: F401 - 30 ms that the first page must not take on an event loop
        from assetstore.http.routes import AssetDispatcher
        from assetstore.http.sendfile import sendfile_of

        dispatcher = AssetDispatcher(self._urls, sendfile_of(self.settings), self.response_cache)
        dispatcher.forget(by_host=self._by_host)
        return dispatcher

    @cached_property
    def pages(self) -> Pages:
        """What templates call: tags, preloads, the import map."""
        from assetstore.templates.page import Pages

        return Pages(self._urls, self.settings)

    def static(self, url: str | None = None, **options: Unpack[MountOptions]) -> Mount:
        """Mount the files under ``root`` at *url*.

        Args:
            url: a path prefix (``/media/``), a full URL of a CDN (``https://cdn.example.com/``), or a path below
                ``ASSETS_URL`` (``media/``). Default: ``ASSETS_URL``.
            **options: as :class:`~assetstore.mounts.build.MountOptions` describes them; only ``root`` is needed.

        Raises:
            SettingsError: an option is unknown or malformed, or the name or prefix is taken.
            ManifestError: the manifest is missing, is not one of ours, or is of a newer format.
        """
        if options.get("host") is None:  # a host of its own is not below ASSETS_URL
            url, below = self.settings.below_assets_url(url)
            if below is not None:
                options.setdefault("origin_path", below)
        mount = build_mount(self.settings.ASSETS_URL if url is None else url, options)
        self._mounts.add(mount)
        self._forget_responses()
        return mount

    def root_files(self, *files: str, mount: str = "assets") -> None:
        """Answer ``/favicon.ico`` and its like with a 301 into a mount.

        Raises:
            MountNotFound: there is no mount called *mount* yet.
            SettingsError: a name is no file name.
        """
        from assetstore.http.routes import root_file

        target = self._mounts.named(mount)
        for file in files:
            try:
                self._dispatcher.root_files.append(root_file(file, target))
            except UnsafePath as error:
                raise SettingsError(f"root_files({file!r}): {error}") from None

    @property
    def mounts(self) -> MountTable:
        """Every mount, by name and by place."""
        return self._mounts

    @property
    def routes(self) -> list[BaseRoute]:
        """Starlette routes that serve every mount and every root file."""
        return [*self._dispatcher.routes(), *self._dispatcher.root_files]

    def __getitem__(self, name: str) -> MountApplication:
        """The mount called *name* as an ASGI application: ``app.mount("/static", assets["assets"])``.

        Raises:
            MountNotFound: no mount has that name; the message names the ones that exist.
        """
        from assetstore.http.routes import MountApplication

        return MountApplication(self._dispatcher, self._mounts.named(name))

    def names(self, root_path: str) -> BaseRoute:
        """A route that only resolves names, for a store whose routes stand inside ``Mount(root_path)``.

        From here on *root_path* stands before every path that this store gives, on pages too.
        """
        from assetstore.http.routes import AssetNames

        self._urls.below = root_path.rstrip("/")
        return AssetNames(self._urls, self._urls.below)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """*app* with the assets in front of it, answered before its middleware is entered."""
        from assetstore.http.handler import with_response_cache
        from assetstore.http.routes import in_front_of

        return with_response_cache(self.response_cache, in_front_of(app, self._dispatcher, self._dispatcher.root_files))

    def rewrite(self, app: ASGIApp) -> ASGIApp:
        """*app*, in whose HTML pages every URL of an asset becomes the one that :meth:`url_for` gives."""
        from assetstore.http.pages import RewrittenPages

        return RewrittenPages(app, self._urls)

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """Pass as ``lifespan=`` to have names and the import map from the first page on, and to end every thread
        and connection at shutdown. Not required.

        The start waits up to :data:`START_SECONDS` for the names of remote mounts; a strict store
        up to :data:`STRICT_SECONDS`.
        """
        from anyio import CancelScope, to_thread

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
        for part in ("pages", "_dispatcher"):
            if part in self.__dict__:  # it was used
                getattr(self, part).close()
        for mount in self._mounts:
            mount.close()
        self._forget_responses()

    async def aclose(self) -> None:
        """:meth:`close`, from an event loop, with the connections that belong to that loop."""
        from anyio import to_thread

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
        """Which mounts can serve, by the last requests to their storage; sends none.

        A bucket that is empty, one that cannot be reached and one that refuses are three things.
        """
        from assetstore.monitoring import Health

        return Health.of(self._mounts)

    def status_routes(self, *, health: str = "/assets-health", metrics: str = "/assets-metrics") -> list[BaseRoute]:
        """Routes for a load balancer and for Prometheus; pass ``""`` for one that is not wanted.

        *health* is 200 while every mount can answer, else 503, with each mount's state as JSON.
        """
        from assetstore.monitoring import status_routes

        return status_routes(self._mounts, health, metrics)

    def url_for(self, name: str, *, file: str, request: object | None = None, same_origin: bool = False) -> str:
        """The URL of *file* in the mount called *name*: path-only, or absolute on a CDN.

        Args:
            name: a mount's name.
            file: logical path, relative to the mount's root, without a leading slash.
            request: a Starlette request, to put its application's root path before path-only URLs.
            same_origin: whether to name this server whatever the CDN, as workers and service workers need.

        Raises:
            MountNotFound, UnsafePath, AssetNotFound: as :meth:`AssetUrls.url_for <assetstore.mounts.url_for.AssetUrls.url_for>`.
        """
        root_path = self._urls.root_path(request)
        return self._urls.url_for(name, file, root_path=root_path, request=request, same_origin=same_origin)

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
        from assetstore.publish import publish
        from assetstore.publish.layout import destinations

        targets = destinations(self._mounts, mounts, to, storage_options)
        published = [publish(mount, target, **options) for mount, target in targets]
        with suppress(BackendError, ManifestError):  # what is published is published; the names come a little later
            self.refresh()
        return published

    def refresh(self) -> None:
        """List the names of all remote mounts anew, read manifests that are other ones by now, and return when
        the names are known. Not for the event loop.

        Raises:
            BackendError, ManifestError: storage failed; the names that were known stay.
        """
        for mount in self._mounts:
            if mount.remote is not None:
                mount.remote.reader.forget()
            if isinstance(mount.resolver, BackgroundResolver):
                mount.resolver.refresh()
        self._forget_responses()

    def _forget_responses(self) -> None:
        if "_dispatcher" in self.__dict__:
            self._dispatcher.forget(by_host=self._by_host)

    @property
    def _by_host(self) -> bool:
        """Whether the Host header decides which mount answers."""
        return any(mount.url.host is not None for mount in self._mounts)

    def render_importmap(self, *, nonce: str | None = None, request: object | None = None) -> Markup:
        """The import map as a script element, for a page's head, before its first module script.

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
        from assetstore.templates.page import Page

        return Page(self._urls, self.pages, request, nonce)

    @property
    def version(self) -> str:
        """32 hex digits that change when any asset's name does."""
        return self.pages.version


# For help() and for what is made of it; type checkers read the options themselves.
AssetStore.static.__signature__ = static_signature()  # type: ignore[attr-defined]
