"""This module owns the Starlette door: a route that answers for every mount, and its names.

One route stands for the whole store, so the longest prefix wins wherever the mounts were added,
and ``request.url_for``, ``app.url_path_for`` and a template's ``url_for`` find the mounts by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import URL, URLPath
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, NoMatchFound, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from assetstore.assets import media_types, paths
from assetstore.http.cache import Memory
from assetstore.http.handler import AssetHandler
from assetstore.http.middleware import from_memory
from assetstore.http.sendfile import Offload
from assetstore.mounts.mount import Mount, MountTable
from assetstore.mounts.url_for import Namer
from assetstore.names import fingerprint as fingerprints
from assetstore.names.base import Learning

#: How long a redirect from the root of the domain may be kept, in seconds: a day.
REDIRECT_SECONDS = 86_400


class AssetURL(URLPath):
    """A mount's URL as Starlette's ``url_for`` gives it: path-only, or absolute on a CDN.

    Starlette would put the request's scheme and host before any path; behind a proxy that ends
    TLS they are the wrong ones, so a path stays a path here.
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

    For stores whose routes stand inside a ``Mount``: put this beside it with the Mount's path,
    since Starlette makes a Mount's own names absolute.
    """

    def __init__(self, namer: Namer, root_path: str = "") -> None:
        self._namer = namer
        self._root_path = root_path

    @property
    def mounts(self) -> MountTable:
        """The mounts whose names it resolves, for tools that are given an application."""
        return self._namer.mounts

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        file = _file_of(path_params)
        if name not in self._namer.mounts.names or file is None:
            raise NoMatchFound(name, path_params)
        return AssetURL(self._namer.url_for(name, file, root_path=self._root_path))


def _file_of(path_params: Mapping[str, Any]) -> str | None:
    """``file=``, or ``path=`` as Starlette's StaticFiles takes it, with or without a leading slash."""
    match path_params:
        case {"file": str(file)} if len(path_params) == 1:
            return file
        case {"path": str(path)} if len(path_params) == 1:
            return path.lstrip("/")
    return None


class AssetRoute(AssetNames):
    """Answers every request that is for a mount."""

    def __init__(self, namer: Namer, offload: Offload | None, memory: Memory) -> None:
        super().__init__(namer)
        self._memory = memory
        self._offload = offload
        self._handlers: dict[Mount, ASGIApp] = {}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = self.find(scope)
        if found is None:
            return Match.NONE, {}
        mount, file = found
        return Match.FULL, {"endpoint": self._handler(mount), "path_params": {"file": file}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["endpoint"](scope, receive, send)

    def find(self, scope: Scope) -> tuple[Mount, str] | None:
        """The mount that answers this request, and the path inside it."""
        if scope["type"] != "http":
            return None
        for mount, prefix, file in self._namer.mounts.at(_host(scope), _route_path(scope)):
            if prefix != "/" or self._claims(mount, file, scope):
                return mount, file
        return None

    def _handler(self, mount: Mount) -> ASGIApp:
        handler = self._handlers.get(mount)
        if handler is None:
            handler = from_memory(self._memory, AssetHandler(mount, self._offload, self._memory))
            self._handlers[mount] = handler
        return handler

    def _claims(self, mount: Mount, file: str, scope: Scope) -> bool:
        """Whether a mount at ``/`` answers: for what can only be an asset, and what no other route wants."""
        if fingerprints.split(file)[1] is not None:
            return True
        path = file or mount.defaults.get("file", "")
        if not paths.is_clean(path):
            return False
        if "router" not in scope:  # nobody else can be asked, so only what is there is ours
            return mount.resolver.find(path) is not None
        if not _may_be_asset(mount, path):
            return False
        others = getattr(scope["router"], "routes", ())
        return not any(route is not self and route.matches(scope)[0] is Match.FULL for route in others)


def _may_be_asset(mount: Mount, path: str) -> bool:
    """Whether *path* is there, is not known yet, or is missing and looks like no page.

    A CDN that pulls from the root must not keep the 404 of a style sheet that is about to be
    deployed, so that one is ours; that of a page is the application's.
    """
    if media_types.is_asset(path) or mount.resolver.find(path) is not None:
        return True
    return isinstance(mount.resolver, Learning) and not mount.resolver.knows(path)


def _route_path(scope: Scope) -> str:
    """The path below the root path, which servers put before it (ASGI HTTP specification, ``root_path``)."""
    path: str = scope["path"]
    rest = path.removeprefix(scope.get("root_path", ""))
    return rest if rest.startswith("/") else path


def _host(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"host":
            return str(value.decode("latin-1"))
    return ""


def root_file(file: str, mount: Mount) -> Route:
    """A 301 from the root of the domain to *file* in *mount* (guide section 10).

    It leads to the origin's own path, not to a CDN's: a CDN that pulls ``/favicon.ico`` from here
    would be sent round to itself.
    """
    target = mount.url.origin + paths.to_url(paths.clean(file))

    async def redirect(request: Request) -> Response:
        location = request.scope.get("root_path", "").rstrip("/") + target
        return RedirectResponse(location, 301, {"Cache-Control": f"max-age={REDIRECT_SECONDS}, public"})

    return Route(f"/{file}", redirect, methods=["GET"], include_in_schema=False, name=f"root:{file}")


def in_front_of(app: ASGIApp, routes: Sequence[BaseRoute]) -> ASGIApp:
    """*app* with *routes* in front of it, which are asked before its middleware is entered."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        for route in routes:
            match, child = route.matches(scope)
            if match is not Match.NONE:
                await route.handle({**scope, **child}, receive, send)
                return
        await app(scope, receive, send)

    return answer
