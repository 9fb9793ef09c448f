"""Middleware that writes fingerprinted URLs into the HTML of an application.

A page is sent on as it comes, piece by piece; only a tag that is not whole yet waits for the rest
of it. A page that names no asset of a mount keeps every byte and, where it comes in one piece,
every header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urljoin, urlsplit

import anyio
from starlette.requests import HTTPConnection

from assetstore.http.send import Application, Message, Receive, Send
from assetstore.mounts.mount import Mount
from assetstore.mounts.url_for import AssetUrls
from assetstore.references.html import Scanner
from assetstore.references.reference import Meaning, OutsideMount, Reference, own, replace

#: A tag or element (with its text) that is longer is sent on as it is, with everything after it.
MAX_ELEMENT_BYTES = 256 * 1024
#: Larger files that a server sends by their path are not rewritten.
MAX_FILE_BYTES = 8 * 1024 * 1024
#: After how many bytes others get their turn on the event loop.
SLICE_BYTES = 32 * 1024
#: Headers that are true of the bytes before rewriting only.
_OF_THE_BYTES = frozenset(
    b"content-length etag last-modified content-md5 digest content-digest repr-digest accept-ranges".split()
)

_Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


class RewrittenPages:
    """*app*, in whose pages every URL of an asset is the one that ``url_for`` gives.

    What is rewritten: responses of type ``text/html`` in identity coding, but for ranges (206) and
    those with ``Cache-Control: no-transform`` (RFC 9111 section 5.2.2.6). Validators and digests of
    a rewritten page are dropped, since the page also depends on its assets' names.
    """

    def __init__(self, app: Application, urls: AssetUrls) -> None:
        self._app = app
        self._urls = urls

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send = _Page(scope, send, self._urls).send
        await self._app(scope, receive, send)


class _Page:
    """One response."""

    def __init__(self, scope: Message, send: Send, urls: AssetUrls) -> None:
        self._scope = scope
        self._send = send
        self._urls = urls
        #: The start of a page, held back until its first bytes are known.
        self._start: MutableMapping[str, Any] | None = None
        self._scanner: Scanner | None = None
        self._rest = b""
        #: How much of the rest it takes to go on: what was read in vain is not read again for each byte more.
        self._wanted = 0
        self._changed = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.start" and _is_page(message["status"], message.get("headers", ())):
            self._start, self._scanner = message, Scanner()
        elif kind == "http.response.body" and self._scanner is not None:
            await self._body(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.pathsend" and self._scanner is not None:
            await self._file(message)
        else:
            await self._send(message)

    async def _file(self, message: MutableMapping[str, Any]) -> None:
        path = anyio.Path(message["path"])
        if (await path.stat()).st_size <= MAX_FILE_BYTES:
            await self._body(await path.read_bytes(), False)
            return
        await self._send_start(self._start or {})
        await self._send(message)

    async def _body(self, body: bytes, more: bool) -> None:
        if self._start is not None and self._scope["method"] == "HEAD":
            await self._send_start(_without_facts(self._start))
        data = b"".join([await self._rewritten(piece, more or not last) for piece, last in _slices(body)])
        if self._start is not None:
            if more:
                start = _without_facts(self._start)
            elif self._changed:
                start = _without_facts(self._start, ((b"content-length", str(len(data)).encode()),))
            else:
                start = self._start
            await self._send_start(start)
        if data or not more:
            await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _send_start(self, start: MutableMapping[str, Any]) -> None:
        self._start = None
        await self._send(start)

    async def _rewritten(self, piece: bytes, more: bool) -> bytes:
        """What can be sent of the page after *piece*."""
        data = self._rest + piece
        if self._scanner is None or (more and len(data) < self._wanted):
            self._rest = data if self._scanner is not None else b""
            return b"" if self._scanner is not None else data
        await anyio.lowlevel.checkpoint()
        found, end = self._scanner.scan(data, final=not more)
        self._rest = data[end:]
        self._wanted = 2 * len(self._rest)
        written = replace(data[:end], found, self._url)
        self._changed = self._changed or written != data[:end]
        if len(self._rest) > MAX_ELEMENT_BYTES:
            written, self._rest = written + self._rest, b""
            self._scanner = None
        return written

    def _url(self, reference: Reference) -> str | None:
        """The URL of the asset that *reference* means; ``None`` if it means none, or has its fingerprint already."""
        request = HTTPConnection(dict(self._scope))
        root_path = self._urls.root_path(request)
        try:
            found = self._asset(reference.url, request, root_path)
        except (OutsideMount, ValueError):
            return None
        if found is None:
            return None
        mount, meant = found
        if mount.split(meant.path)[1] is not None or not mount.allows(meant.path):
            return None
        asset = mount.resolver.find(meant.path)
        if asset is None or asset.fingerprint is None:
            return None
        if reference.kind == "use":  # browsers load these from the page's own origin only
            return mount.url.join_origin(asset.url_path, root_path) + meant.suffix
        host = mount.hosts.of(meant.path, request)
        return host + mount.url.join(asset.url_path, root_path) + meant.suffix

    def _asset(self, url: str, request: HTTPConnection, root_path: str) -> tuple[Mount, Meaning] | None:
        absolute = urljoin(self._scope["path"], url.strip()) if not urlsplit(url).scheme else url.strip()
        found = [
            (len(meant.prefix), mount, meant)
            for mount in self._urls.mounts
            if (meant := own(absolute, [mount.url.base] if mount.url.absolute else [])) is not None
        ]
        if absolute.startswith(root_path + "/") and not absolute.startswith("//"):
            host = request.headers.get("host", "")
            for mount, prefix, rest in self._urls.mounts.at(host, absolute[len(root_path) :]):
                if (meant := own(prefix + rest, [prefix])) is not None:
                    found.append((len(prefix), mount, meant))
                    break
        return max(found, key=lambda each: each[0])[1:] if found else None


def _slices(body: bytes) -> Iterable[tuple[bytes, bool]]:
    """*body* in pieces, each with whether it is the last."""
    for start in range(0, max(len(body), 1), SLICE_BYTES):
        yield body[start : start + SLICE_BYTES], start + SLICE_BYTES >= len(body)


def _is_page(status: int, headers: _Headers) -> bool:
    """Whether a response is a page that may be rewritten."""
    fields: Mapping[bytes, bytes] = {name.lower(): value.lower() for name, value in headers}
    return (
        status not in {204, 206, 304}
        and fields.get(b"content-type", b"").partition(b";")[0].strip() == b"text/html"
        and fields.get(b"content-encoding", b"identity").strip() == b"identity"
        and b"no-transform" not in fields.get(b"cache-control", b"")
    )


def _without_facts(start: MutableMapping[str, Any], more: _Headers = ()) -> MutableMapping[str, Any]:
    headers = [each for each in start.get("headers", ()) if each[0].lower() not in _OF_THE_BYTES]
    return {**start, "headers": [*headers, *more]}
