"""Starlette routes of a store: one for each mount and path prefix, with names for ``url_for``.

Which mount answers is decided by the longest prefix, whatever the order in which mounts were added. A
mount at ``/`` answers for the files it has, and leaves the rest to the application.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from starlette.datastructures import URL, URLPath
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, NoMatchFound, Route, Router, compile_path
from starlette.routing import Mount as StarletteMount
from starlette.types import ASGIApp, Receive, Scope, Send

from assetstore.assets import paths
from assetstore.backends.base import Presigns
from assetstore.errors import AssetStoreError, SettingsError
from assetstore.http.cache import ResponseCache
from assetstore.http.delivery import Delivery
from assetstore.http.handler import AllowedOrigins, AssetHandler, with_response_cache
from assetstore.http.response_headers import ALLOW
from assetstore.http.sendfile import Sendfile
from assetstore.http.site import INDEX, Site, pages_of
from assetstore.mounts.mount import Mount, MountTable
from assetstore.mounts.url_for import AssetUrls
from assetstore.mounts.urls import NO_HOST
from assetstore.names.base import BackgroundResolver
from assetstore.names.fingerprint import LENGTH

_log = logging.getLogger("assetstore")

#: How long a redirect from the root of the domain may be kept, in seconds: a day.
REDIRECT_SECONDS = 86_400


class AssetURL(URLPath):
    """A mount's URL as Starlette's ``url_for`` gives it: path-only, or absolute on a CDN.

    Starlette would put the request's scheme and host before any path; behind a proxy that ends TLS
    they are the wrong ones, so a path stays a path here.
    """

    def __new__(cls, url: str) -> AssetURL:
        return str.__new__(cls, url)

    def __init__(self, url: str) -> None:
        self.protocol = ""
        self.host = ""

    def make_absolute_url(self, base_url: str | URL) -> URL:
        if not self.startswith("/") or self.startswith("//"):
            return URL(str(self))
        return URL(URL(str(base_url)).path.rstrip("/") + str(self))


class AssetNames(BaseRoute):
    """Resolves the mounts' names, and matches no request.

    For stores whose routes are inside a ``Mount``: put this before it with the Mount's path, since
    Starlette makes a Mount's own names absolute.
    """

    def __init__(self, urls: AssetUrls, root_path: str = "") -> None:
        self._urls = urls
        self._root_path = root_path
        # Tools that list routes read these three.
        self.path = f"{root_path}/{{file:path}}"
        self.name: str | None = None
        self.methods: set[str] = set()

    @property
    def mounts(self) -> MountTable:
        """The mounts whose names it resolves, for tools that are given an application."""
        return self._urls.mounts

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        return AssetURL(self._urls.url_for(name, self._file(name, path_params), root_path=self._root_path))

    def _file(self, name: str, path_params: Mapping[str, Any]) -> str:
        """``file=``, or ``path=`` as Starlette's StaticFiles takes it, with or without a leading slash."""
        if name in self._urls.mounts.names:
            match path_params:
                case {"file": str(file)} if len(path_params) == 1:
                    return file
                case {"path": str(path)} if len(path_params) == 1:
                    return path.lstrip("/")
        raise NoMatchFound(name, dict(path_params))


class Claim(NamedTuple):
    """That a mount answers a request, or may."""

    mount: Mount
    prefix: str
    #: The path inside the mount.
    file: str
    #: ``FULL``, or ``PARTIAL`` where the mount answers only if no other route does.
    match: Match = Match.FULL
    #: Whether storage has to be read to know that the file exists.
    unsure: bool = False


class AssetDispatcher:
    """Which mount answers a request, and the ASGI application of each."""

    def __init__(self, urls: AssetUrls, offload: Sendfile | None, cache: ResponseCache) -> None:
        self.urls = urls
        #: Redirects from the root of the domain into a mount.
        self.root_files: list[BaseRoute] = []
        self._cache = cache
        self._offload = offload
        self._handlers: dict[Mount, AssetHandler] = {}
        self._applications: dict[Mount, ASGIApp] = {}

    def routes(self) -> list[BaseRoute]:
        """A route for each prefix of each mount. The first one also answers for mounts that are added later."""
        mounts = tuple(self.urls.mounts)
        places: list[tuple[Mount | None, str]] = [(each, prefix) for each in mounts for prefix in each.url.prefixes]
        return [
            AssetRoute(self, mount, prefix, len(mounts) if number == 0 else None)
            for number, (mount, prefix) in enumerate(places or [(None, "/")])
        ]

    def handler(self, mount: Mount) -> ASGIApp:
        """The ASGI application of *mount*, which gets the path as ``scope["path_params"]["file"]``."""
        application = self._applications.get(mount)
        if application is None:
            application = self._applications[mount] = self._made(mount)
        return application

    def close(self) -> None:
        """End every thread of the handlers; the next request starts others."""
        for handler in self._handlers.values():
            handler.close()

    def _made(self, mount: Mount) -> ASGIApp:
        namespace = ""
        if mount.html or mount.fallback is not None or mount.cors or mount.delivery != "stream":
            # These change what the handler sends, so it must not be found by the middleware before routing. A lone
            # surrogate is in no path that a client can send: decoded UTF-8 has none.
            namespace = f"\ud800{mount.label}\n"
        own = self._handlers[mount] = AssetHandler(mount, self._offload, self._cache, namespace)
        handler = with_response_cache(self._cache, own, namespace)
        if mount.delivery != "stream" and isinstance(mount.backend, Presigns):
            handler = Delivery(mount, mount.backend, handler)
        if mount.html or mount.fallback is not None:
            handler = Site(mount, handler)
        return AllowedOrigins(handler, mount.cors) if mount.cors else handler

    def forget(self, *, by_host: bool) -> None:
        """Drop all cached responses."""
        self._cache.start_over(by_host=by_host)

    def claim(self, scope: Scope, path: str) -> Claim | None:
        """The mount that answers for *path*, the request's path below the routes."""
        for mount, prefix, file in self.urls.mounts.at(_host(scope), path):
            if prefix != "/":
                return Claim(mount, prefix, file)
            claim = _site_claim(mount, file) if mount.html or mount.fallback else _claim_at_root(mount, file)
            if claim is not None:
                return claim
        return None

    def answer(self, claim: Claim, otherwise: ASGIApp) -> ASGIApp:
        """The ASGI application for *claim*; *otherwise* answers where an unsure one turns out to be a missing file."""
        handler = self.handler(claim.mount)
        if not claim.unsure:
            return handler

        async def look_first(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                exists = await Site(claim.mount, handler).exists(claim.file)
            except AssetStoreError:  # the handler reports it, with its status
                exists = True
            await (handler if exists else otherwise)(scope, receive, send)

        return look_first


def _claim_at_root(mount: Mount, file: str) -> Claim | None:
    """Whether a mount at ``/`` answers for *file*: what it has, and what looks like an asset if no one else wants it.

    A CDN that pulls from the root must not keep the application's 404 page for a style sheet that is
    about to be deployed: that one is ours, with ``no-store``. The 404 of a page is the application's.
    """
    if _is_fingerprinted(mount, file):
        return Claim(mount, "/", file)
    path = file or mount.defaults.get("file", "")
    if not paths.is_clean(path, hidden=mount.hidden):
        return None
    if mount.resolver.find(path) is not None:
        return Claim(mount, "/", file)
    if isinstance(mount.resolver, BackgroundResolver) and not mount.resolver.knows(path):
        return Claim(mount, "/", file, unsure=True)
    return Claim(mount, "/", file, Match.PARTIAL) if mount.media_types.is_asset(path) else None


def _site_claim(mount: Mount, file: str) -> Claim:
    """A site at ``/`` answers for what it has, and for what no other route answers: with its own page for that."""
    if mount.html and (not file or file.endswith("/")):
        file += INDEX
    if _is_fingerprinted(mount, file) or any(mount.resolver.find(path) for path in pages_of(mount, file)):
        return Claim(mount, "/", file)
    unsure = isinstance(mount.resolver, BackgroundResolver) and not all(
        mount.resolver.knows(path) for path in pages_of(mount, file)
    )
    return Claim(mount, "/", file, Match.FULL if unsure else Match.PARTIAL, unsure)


def _is_fingerprinted(mount: Mount, file: str) -> bool:
    """Whether *file* is the name of an asset with its fingerprint, which no page of the application has.

    A short fingerprint alone is not enough: ``/post-20240101`` may be a page.
    """
    logical, fingerprint = mount.split(file)
    return fingerprint is not None and (len(fingerprint) == LENGTH or mount.resolver.find(logical) is not None)


class AssetRoute(AssetNames, StarletteMount):
    """Answers for one mount at one prefix.

    A ``Mount``, since that is the one kind of route that FastAPI's ``include_router`` copies with its
    class; its path is ``/assets/{file:path}`` all the same, which is what monitoring agents report.

    Args:
        dispatcher: the store's mounts and their handlers.
        mount: the mount; ``None`` for a store that has none yet.
        prefix: one of the mount's path prefixes.
        known: how many mounts had routes when this one was made, for the route that also answers for later ones.
    """

    def __init__(self, dispatcher: AssetDispatcher, mount: Mount | None, prefix: str, known: int | None) -> None:
        StarletteMount.__init__(self, prefix, app=self._call, name=None if mount is None else mount.name)
        AssetNames.__init__(self, dispatcher.urls)
        self.name = None if mount is None else mount.name
        self.path = self._own_path = f"{prefix}{{file:path}}"
        self.path_regex, self.path_format, self.param_convertors = compile_path(self.path)
        self.methods = set(ALLOW.split(", "))
        self._dispatcher = dispatcher
        self._mount = mount
        self._prefix = prefix
        self._known = known
        self._root_files_known = len(dispatcher.root_files)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        if self._known is not None:  # root files that were added after the routes were read
            for route in self._dispatcher.root_files[self._root_files_known :]:
                match, child = route.matches(scope)
                if match is not Match.NONE:
                    return match, {**child, "endpoint": route.handle}
        path, below = _route_path(scope), self._below
        if below:
            if not path.startswith(f"{below}/"):
                return Match.NONE, {}
            path = path[len(below) :]
        late = self._known is not None and self._known < len(self.mounts)
        if not late and not path.startswith(self._prefix):
            return Match.NONE, {}
        claim = self._dispatcher.claim(scope, path)
        if claim is None or not self._is_ours(claim, late):
            return Match.NONE, {}
        match, otherwise = claim.match, None
        if claim.prefix == "/":
            routes = _routes_after(self, scope)
            if claim.match is Match.FULL and any(_names_exactly(route, scope) for route in routes or ()):
                return Match.NONE, {}
            if claim.unsure:
                match, otherwise = (Match.PARTIAL, None) if routes is None else (match, _rest(scope, routes))
        self._warn_of_names(claim.mount, scope)
        answer = self._dispatcher.answer(claim, otherwise or self._dispatcher.handler(claim.mount))
        params = {**scope.get("path_params", {}), "file": claim.file}
        # Sentry's FastAPI integration takes the name of a transaction from "route", which FastAPI sets for its own.
        return match, {"endpoint": answer, "path_params": params, "route": self}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._call(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        return AssetURL(self._urls.url_for(name, self._file(name, path_params), root_path=self._below))

    @staticmethod
    async def _call(scope: Scope, receive: Receive, send: Send) -> None:
        await scope["endpoint"](scope, receive, send)

    @property
    def _below(self) -> str:
        """The prefix of the FastAPI router that this route was included with."""
        return self.path.removesuffix(self._own_path)

    def _is_ours(self, claim: Claim, late: bool) -> bool:
        if claim.mount is self._mount:
            return claim.prefix == self._prefix
        return late and claim.mount in list(self.mounts)[self._known :]

    def _warn_of_names(self, mount: Mount, scope: Scope) -> None:
        below = _mount_path(scope)
        if below and mount.url.absolute and not self._urls.below:
            _warn_once(
                f"the routes of mount {mount.label} are inside a Starlette Mount at {below!r}, which makes request.url_for "
                f"put that path before {mount.url.base!r}; add assets.names({below!r}) before the Mount"
            )


class MountApplication:
    """One mount as an ASGI application, for ``app.mount("/static", assets["assets"])``.

    ``request.url_for("assets", file="css/app.css")`` finds it there by the mount's name.
    """

    def __init__(self, dispatcher: AssetDispatcher, mount: Mount) -> None:
        self._dispatcher = dispatcher
        self._mount = mount
        #: Where Starlette's ``Mount`` looks for names, and monitoring agents for the path below it.
        self.routes: list[BaseRoute] = [_MountedNames(dispatcher.urls, mount, self)]
        self._no_http = Router()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._no_http(scope, receive, send)
            return
        place = _mount_path(scope)
        if place and f"{place}/" not in self._mount.url.prefixes:
            _warn_once(
                f"mount {self._mount.label} is served at '{place}/', and its URLs say {self._mount.url.base!r}; "
                f"give static() url='{place}/'"
            )
        params = {**scope.get("path_params", {}), "file": _route_path(scope)[1:]}
        await self._dispatcher.handler(self._mount)({**scope, "path_params": params}, receive, send)


class _MountedNames(AssetNames):
    """The route below ``app.mount``: gives the URLs of one mount relative to where it was mounted."""

    def __init__(self, urls: AssetUrls, mount: Mount, endpoint: ASGIApp) -> None:
        super().__init__(urls)
        self._mount = mount
        self._endpoint = endpoint
        self.name = mount.name
        self.methods = set(ALLOW.split(", "))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL, {"endpoint": self._endpoint}) if scope.get("type", "http") == "http" else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        file = self._file(name, path_params)
        if name != self.name:
            raise NoMatchFound(name, path_params)
        if self._mount.url.absolute or self._mount.hosts is not NO_HOST:
            raise SettingsError(
                f"request.url_for({name!r}) goes through app.mount(), which cannot give the URLs of another host that "
                f"mount {self._mount.label} has; add assets.names('') to the routes before it, or call assets.url_for"
            )
        return URLPath("/" + self._urls.url_for(name, file).removeprefix(self._mount.url.base))


def _route_path(scope: Scope) -> str:
    """The path below the root path, which servers put before it (ASGI HTTP specification, ``root_path``)."""
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    if not root_path or not path.startswith(root_path):
        return path
    rest = path[len(root_path) :]
    return rest if rest.startswith("/") else path


def _mount_path(scope: Scope) -> str:
    """The path of the Starlette mounts that the request came through; ``""`` for none."""
    outer = scope.get("app_root_path")
    return "" if outer is None else str(scope.get("root_path", "")).removeprefix(outer).rstrip("/")


def _host(scope: Scope) -> str:
    """The Host header without the dot that ends a fully qualified name (RFC 3986 section 3.2.2)."""
    for name, value in scope["headers"]:
        if name == b"host":
            host, colon, port = str(value.decode("latin-1")).partition(":")
            return f"{host.removesuffix('.')}{colon}{port}"
    return ""


def _routes_after(route: BaseRoute, scope: Scope) -> list[BaseRoute] | None:
    """The routes behind *route* in the application's router; ``None`` where it is in another one."""
    routes: Sequence[BaseRoute] = getattr(scope.get("router"), "routes", ())
    for index, each in enumerate(routes):
        if each is route:
            return list(routes[index + 1 :])
    return None


def _names_exactly(route: BaseRoute, scope: Scope) -> bool:
    """Whether *route* is for this path alone, which makes it more particular than a mount of everything."""
    return isinstance(route, Route) and not route.param_convertors and route.matches(scope)[0] is Match.FULL


def _rest(scope: Scope, routes: list[BaseRoute]) -> ASGIApp:
    """The application's router, with the routes behind ours alone."""
    router = copy.copy(scope["router"])
    router.routes = routes
    params = scope.get("path_params", {})

    async def go_on(scope: Scope, receive: Receive, send: Send) -> None:
        for name in ("endpoint", "route"):
            scope.pop(name, None)
        scope["path_params"] = params
        await router.app(scope, receive, send)

    return go_on


_warned: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _warned and len(_warned) < 100:
        _warned.add(message)
        _log.warning("%s", message)


def root_file(file: str, mount: Mount) -> Route:
    """A 301 from the root of the domain to *file* in *mount*.

    It leads to the origin's own path, not to a CDN's: a CDN that pulls ``/favicon.ico`` from here
    would be redirected to itself.
    """
    target = mount.url.origin + paths.to_url(paths.clean(file))

    async def redirect(request: Request) -> Response:
        location = request.scope.get("root_path", "").rstrip("/") + target
        return RedirectResponse(location, 301, {"Cache-Control": f"max-age={REDIRECT_SECONDS}, public"})

    return Route(f"/{file}", redirect, methods=["GET"], include_in_schema=False, name=f"root:{file}")


def in_front_of(app: ASGIApp, dispatcher: AssetDispatcher, root_files: Sequence[BaseRoute]) -> ASGIApp:
    """*app* with the store's assets and root files in front of it, before its middleware."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            claim = dispatcher.claim(scope, _route_path(scope))
            if claim is not None and claim.match is Match.FULL:
                child = {**scope, "path_params": {"file": claim.file}}
                unsure = claim.unsure
                handler = dispatcher.answer(claim, _with(app, scope)) if unsure else dispatcher.handler(claim.mount)
                await handler(child, receive, send)
                return
            for route in root_files:
                match, further = route.matches(scope)
                if match is not Match.NONE:
                    await route.handle({**scope, **further}, receive, send)
                    return
        await app(scope, receive, send)

    return answer


def _with(app: ASGIApp, scope: Scope) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """*app*, called with the server's own *scope*."""

    async def call(_: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return call
