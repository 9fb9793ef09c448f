"""This module owns assetstore in the clothes of ``starlette.staticfiles.StaticFiles``.

As a pytest plugin (``-p asgi.as_static_files``) it takes that class's place, so that Starlette's
own tests ask us instead. It only translates how the class is made and called.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import PurePath
from typing import Any

import starlette.staticfiles
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import get_route_path
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from assetstore import AssetStore
from assetstore.backends.base import FileStat
from assetstore.errors import AssetNotFound, SettingsError, UnsafePath
from assetstore.http.handler import AssetHandler


class StaticFiles:
    """The constructor, the call, and the three methods that Starlette's tests use."""

    def __init__(
        self,
        *,
        directory: Any = None,
        packages: Sequence[str | tuple[str, str]] = (),
        check_dir: bool = True,
        follow_symlink: bool = False,
    ) -> None:
        root = PurePath(str(directory)) if directory is not None else _directory_of(packages[0])
        try:
            self._mount = AssetStore().static("/", root=root, must_exist=check_dir)
        except SettingsError as error:
            raise RuntimeError(f"{error} (it does not exist)") from error
        self._handler = AssetHandler(self._mount)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        await self._handler({**scope, "path_params": {"file": self.get_path(scope)}}, receive, send)

    def get_path(self, scope: Scope) -> str:
        """The path below the mount."""
        return get_route_path({"root_path": "", **scope}).removeprefix("/")

    def lookup_path(self, path: str) -> tuple[str, FileStat | None]:
        """Where the file is, and what is known of it."""
        try:
            return path, self._mount.backend.stat(path)
        except (AssetNotFound, UnsafePath):
            return "", None

    async def get_response(self, path: str, scope: Scope) -> Response:
        """What is answered for *path*; an ``HTTPException`` for an error."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._handler({"headers": [], "path": path, **scope, "path_params": {"file": path}}, receive, send)
        if sent[0]["status"] >= 400:
            raise HTTPException(sent[0]["status"])
        return Response(sent[1]["body"], sent[0]["status"])


def _directory_of(package: str | tuple[str, str]) -> PurePath:
    name, folder = (package, "statics") if isinstance(package, str) else package
    found = find_spec(name)
    assert found is not None
    assert found.origin is not None
    return PurePath(found.origin).parent / folder


starlette.staticfiles.StaticFiles = StaticFiles  # type: ignore[assignment,misc]
