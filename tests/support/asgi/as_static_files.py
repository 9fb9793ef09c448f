"""Takes the place of ``starlette.staticfiles.StaticFiles``, as a pytest plugin (``-p asgi.as_static_files``).

Starlette's own tests then run against ``assets["assets"]``. The class only translates how it is made and called.
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

from assetstore import AssetStore
from assetstore.backends.base import FileStat
from assetstore.errors import AssetNotFound, SettingsError, UnsafePath


class StaticFiles:
    """The constructor, the call, and the three methods that Starlette's tests use."""

    def __init__(
        self,
        *,
        directory: Any = None,
        packages: Sequence[str | tuple[str, str]] = (),
        html: bool = False,
        check_dir: bool = True,
        follow_symlink: bool = False,
    ) -> None:
        root = PurePath(str(directory)) if directory is not None else _directory_of(packages[0])
        store = AssetStore({})
        try:
            self._mount = store.static(
                "/", root=root, name="assets", must_exist=check_dir, html=html, follow_symlinks=follow_symlink
            )
        except SettingsError as error:
            raise RuntimeError(f"{error} (it does not exist)") from error
        self._application = store["assets"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application({"root_path": "", **scope}, receive, send)

    def get_path(self, scope: Scope) -> str:
        """The path below the mount."""
        return get_route_path({"root_path": "", **scope}).removeprefix("/")

    def lookup_path(self, path: str) -> tuple[str, FileStat | None]:
        """Where the file is, and its stat."""
        try:
            return path, self._mount.backend.stat(path)
        except (AssetNotFound, UnsafePath):
            return "", None

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The response for *path*; an ``HTTPException`` for an error."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._application(
            {"type": "http", "headers": [], **scope, "path": f"/{path}", "root_path": ""}, receive, send
        )
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
