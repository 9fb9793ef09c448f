"""A mount as a static site: index files, ``about`` for ``about.html``, ``404.html``, and single-page applications.

Each request is translated into one for a file, which the mount's own handler answers; so conditional requests, ranges
and content codings work for pages as for every file.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from urllib.parse import quote

from assetstore.assets import paths
from assetstore.errors import AssetNotFound, AssetStoreError, UnsafePath
from assetstore.http.response_headers import with_vary
from assetstore.http.send import Application, Message, Receive, Send
from assetstore.mounts.mount import Mount

INDEX = "index.html"
NOT_FOUND_PAGE = "404.html"

#: Request headers that are about the URL's own representation, not about the page that is sent in its place.
_CONDITIONAL = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"}
)
#: Response headers of a page that do not hold where it is the body of a 404.
_OF_THE_FILE = frozenset({b"etag", b"last-modified", b"accept-ranges", b"cache-control", b"cache-status", b"age"})


class Site:
    """The ASGI application of a mount with ``html=True`` or ``fallback=``.

    Args:
        mount: the mount.
        handler: answers for one file, ``scope["path_params"]["file"]``.
    """

    def __init__(self, mount: Mount, handler: Application) -> None:
        self._mount = mount
        self._handler = handler

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        file: str = scope["path_params"].get("file", "")
        if self._mount.html and (not file or file.endswith("/")):
            file += INDEX
        if scope["method"] not in {"GET", "HEAD"}:
            await self._handler(scope, receive, send)
            return
        held = _HeldNotFound(send)
        await self._handler(_for_file(scope, file), receive, held)
        if held.messages:
            await self._instead(scope, file, receive, send, held)

    async def exists(self, file: str) -> bool:
        """Whether there is a file or a page for *file*, the path inside the mount.

        Raises:
            BackendError: storage failed.
        """
        return any([await self._stat(path) for path in pages_of(self._mount, file)])

    async def _instead(self, scope: Message, file: str, receive: Receive, send: Send, held: _HeldNotFound) -> None:
        """Answer for a file that is missing."""
        page = await self._page(file)
        if page == f"{file}/{INDEX}":
            await _redirect(scope, send)
        elif page is not None:
            await self._handler(_for_file(scope, page), receive, send)
        elif self._mount.fallback is not None and is_navigation(scope["path_params"].get("file", ""), scope["headers"]):
            await self._handler(_for_file(scope, self._mount.fallback), receive, _AsFallback(self._mount.public, send))
        elif self._mount.html and await self._may_exist(NOT_FOUND_PAGE):
            await self._handler(_for_file(scope, NOT_FOUND_PAGE, conditional=False), receive, _AsNotFound(held, send))
        else:
            await held.release()

    async def _page(self, file: str) -> str | None:
        for page in pages_of(self._mount, file)[1:]:
            if await self._may_exist(page):
                return page
        return None

    async def _may_exist(self, path: str) -> bool:
        """Whether the handler is to answer with *path*: also where storage fails, which it reports."""
        try:
            return await self._stat(path)
        except AssetStoreError:
            return True

    async def _stat(self, path: str) -> bool:
        try:
            await self._mount.reader.stat(self._mount.clean(path))
        except (AssetNotFound, UnsafePath):
            return False
        return True


def pages_of(mount: Mount, file: str) -> list[str]:
    """What the URL of *file* may stand for, best first: the file itself, and the legal names of pages."""
    names = [file, f"{file}.html", f"{file}/{INDEX}"] if mount.html and not file.endswith(f"/{INDEX}") else [file]
    return [name for name in names if name and paths.is_clean(name, hidden=mount.hidden)]


def is_navigation(file: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser wants a page: the path has no extension, and ``Accept`` names HTML.

    Scripts, styles and ``fetch()`` send ``*/*``, which is no wish for a page (HTML standard, "navigation request").
    """
    if "." in posixpath.basename(file):
        return False
    accepted = b",".join(value for name, value in headers if name == b"accept").lower().split(b",")
    for each in accepted:
        media_type, *parameters = (part.strip() for part in each.split(b";"))
        if media_type in {b"text/html", b"application/xhtml+xml"}:
            return not any(_is_zero(parameter) for parameter in parameters)
    return False


def _is_zero(parameter: bytes) -> bool:
    name, _, value = parameter.partition(b"=")
    return name.strip() == b"q" and not value.strip().strip(b"0.")


def _for_file(scope: Message, file: str, *, conditional: bool = True) -> Message:
    """*scope* as one of the URL of *file*, under which its response is cached."""
    wanted = scope["path_params"].get("file", "")
    path: str = scope["path"]
    changed = {
        **scope,
        "path": path[: len(path) - len(wanted)] + file,
        "path_params": {**scope["path_params"], "file": file},
    }
    if not conditional:
        changed["headers"] = [(name, value) for name, value in scope["headers"] if name not in _CONDITIONAL]
    return changed


async def _redirect(scope: Message, send: Send) -> None:
    """308 to the same URL with a slash at its end, its query kept."""
    root_path: str = scope.get("root_path", "")
    path: str = scope["path"]
    if not path.startswith(root_path):  # an old server, whose path is the one below the root path
        path = root_path + path
    query: bytes = scope.get("query_string", b"")
    location = quote(path, safe="/@:!$&'()*+,;=~").encode() + b"/" + (b"?" + query if query else b"")
    headers = [
        (b"location", location),
        (b"cache-control", b"no-cache"),
        (b"content-length", b"0"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class _HeldNotFound:
    """Passes a response on, but holds a 404."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        if self.messages or (message["type"] == "http.response.start" and message["status"] == 404):
            self.messages.append(message)
        else:
            await self._send(message)

    async def release(self) -> None:
        """Send the 404 as it is."""
        for message in self.messages:
            await self._send(message)


class _AsNotFound:
    """Sends a page as the body of a 404; where it is missing by now, the 404 as it was."""

    def __init__(self, held: _HeldNotFound, send: Send) -> None:
        self._held = held
        self._send = send
        self._missing = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 404:
            self._missing = True
            await self._held.release()
        if self._missing:
            return
        if message["type"] == "http.response.start" and message["status"] == 200:
            headers = [(name, value) for name, value in message["headers"] if name not in _OF_THE_FILE]
            message = {**message, "status": 404, "headers": [*headers, (b"cache-control", b"no-store")]}
        await self._send(message)


class _AsFallback:
    """Sends a page in place of others: revalidated at each use, and different for clients that accept no HTML."""

    def __init__(self, public: bool, send: Send) -> None:
        self._policy = b"max-age=0, %s, must-revalidate" % (b"public" if public else b"private")
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in {200, 206, 304}:
            kept = with_vary((pair for pair in message["headers"] if pair[0] != b"cache-control"), b"Accept")
            message = {**message, "headers": [*kept, (b"cache-control", self._policy)]}
        await self._send(message)
