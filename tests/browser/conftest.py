"""The site that browser tests look at: one application under two host names, and Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assetstore import AssetStore
from servers import programs
from waiting import eventually

#: Chromium as it is in a container: no sandbox, nothing leaves the machine, nothing runs by itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost",
]

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"

FILES = {
    "js/app.js": 'import { b } from "./b.js"; import { far } from "far"; import { one } from "lib/one.js"; '
    'const { late } = await import("./late.js"); '
    'document.querySelector("#said").textContent = ["app", b, far, one, late].join(" ")',
    "js/b.js": 'export { c as b } from "./deep/c.js"',
    "js/deep/c.js": 'export const c = "c"',
    "js/late.js": 'export const late = "late"',
    "js/lib/one.js": 'export const one = "one"',
    "css/app.css": '@import "base.css"; body { background: url("../images/dots.svg") } h1 { font: 64px Box, serif }',
    "css/base.css": '@font-face { font-family: Box; src: url("../fonts/box.ttf") format("truetype") }',
    "images/dots.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><circle cx="5" cy="5" r="3" fill="#9cf"/></svg>',
    "media/far.js": 'import { near } from "./near.js"; export const far = `far ${near}`',
    "media/near.js": 'export const near = "near"',
}


@dataclass
class Site:
    """One application: pages at ``app.localhost``, most assets at ``cdn.localhost``, some at the pages' own host."""

    folder: Path
    port: int
    assets: AssetStore
    #: What was asked for since :meth:`forget`: ``(host, path)``.
    asked: list[tuple[str, str]] = field(default_factory=list)
    #: Bytes that a careless CDN appends, by the logical name of the file.
    tampered: dict[str, bytes] = field(default_factory=dict)
    policy: Callable[[str], str] | None = None
    head: Callable[[Any], str] | None = None

    @property
    def url(self) -> str:
        return f"http://app.localhost:{self.port}/"

    @property
    def cdn(self) -> str:
        return f"http://cdn.localhost:{self.port}/c/"

    def forget(self) -> None:
        self.asked.clear()

    def assets_asked(self) -> list[str]:
        """The assets that were asked for, without their fingerprints."""
        paths = (path for _, path in self.asked if path not in {"/", "/favicon.ico"})
        return sorted(path.rpartition("-")[0] + Path(path).suffix if "-" in path else path for path in paths)

    async def page(self, request: Request) -> Response:
        nonce = "bm9uY2U"
        page = self.assets.page(request, nonce=nonce if self.policy else None)
        head = self.head(page) if self.head else default_head(page)
        html = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>site</title>
            <link rel="icon" href="data:,">{head}</head>
            <body><h1>AAA</h1><p id="said">nothing</p></body></html>"""
        headers = {"Content-Security-Policy": self.policy(nonce)} if self.policy else {}
        return HTMLResponse(html, headers={"Cache-Control": "no-store", **headers})


def default_head(page: Any) -> str:
    tags = [
        page.stylesheet_link("css/app.css"),
        page.preload("fonts/box.ttf"),
        page.render_importmap(),
        page.module_preloads("js/app.js"),
        page.script_tag("js/app.js"),
    ]
    return "\n".join(tags)


class Recorder:
    """Notes what is asked for, and appends to what a careless CDN is told to change."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        host = dict(scope["headers"]).get(b"host", b"").decode()
        self._site.asked.append((host, scope["path"]))
        extra = b"".join(data for name, data in self._site.tampered.items() if f"/{name}-" in scope["path"])

        async def tamper(message: Message) -> None:
            if message["type"] == "http.response.start" and extra:
                headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body" and extra and not message.get("more_body"):
                message = {**message, "body": message.get("body", b"") + extra}
            await send(message)

        if extra:  # a CDN asks for the plain bytes before it changes them
            scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != b"accept-encoding"]}
        return await self._app(scope, receive, tamper)


def box_font(file: Path) -> None:
    """A font whose A is a filled square, so that a screenshot shows whether it was used."""

    def square() -> Any:
        pen = TTGlyphPen(None)
        pen.moveTo((100, 0))
        for point in ((100, 700), (800, 700), (800, 0)):
            pen.lineTo(point)
        pen.closePath()
        return pen.glyph()

    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "A"])
    builder.setupCharacterMap({ord("A"): "A"})
    builder.setupGlyf({".notdef": square(), "A": square()})
    builder.setupHorizontalMetrics({".notdef": (900, 100), "A": (900, 100)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Box", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(file)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The site, served by uvicorn in a thread of this process."""
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "fonts").mkdir()
    box_font(tmp_path / "fonts/box.ttf")
    # Nothing is immutable within two seconds of a save.
    saved = time.time() - 60.5
    for file in tmp_path.rglob("*.*"):
        os.utime(file, (saved, saved))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        imports = {"far": "media:far.js", "lib/": "js/lib/", "unused": "js/late.js"}
        assets = AssetStore(
            IMPORT_MAP={"imports": imports, "entries": ["js/app.js"], "integrity": True}, ASSETS_INTEGRITY=True
        )
        made = Site(tmp_path, port, assets)
        assets.static(made.cdn, root=tmp_path, name="assets", references="rewrite")
        assets.static("/media/", root=tmp_path / "media", name="media")
        app = Starlette(routes=[Route("/", made.page), *assets.routes], lifespan=assets.lifespan)
        with serving(Recorder(app, made), listener):
            # What a page names for the first time has no integrity on an event loop, and on a slow machine no
            # fingerprint yet; here every page has been seen.
            default_head(assets.page())
            assets.pages.settle()
            assert eventually(lambda: default_head(assets.page()) in page_of(port))
            made.asked.clear()
            yield made


def page_of(port: int) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": f"app.localhost:{port}"})
    with urllib.request.urlopen(request) as reply:
        return str(reply.read().decode())


@contextlib.contextmanager
def serving(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join(10)


@dataclass
class Browser:
    """One tab of Chromium with an empty profile, and everything that it complained of."""

    page: Any
    console: list[str] = field(default_factory=list)

    def visit(self, url: str) -> None:
        self.page.goto(url, wait_until="networkidle")

    def reload(self) -> None:
        self.page.reload(wait_until="networkidle")

    @property
    def said(self) -> str:
        return str(self.page.text_content("#said"))

    def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium, headless. Nothing is routed through the tests: that would turn the HTTP cache off."""
    from playwright.sync_api import sync_playwright

    program = programs.need_program("chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, headless=True, chromium_sandbox=False, args=ARGUMENTS)


@pytest.fixture
def browser(chromium: Any) -> Iterator[Browser]:
    """One tab, with a profile and a cache of its own."""
    context = chromium.new_context(viewport={"width": 640, "height": 320})
    made = Browser(context.new_page())
    made.page.on("console", lambda message: made.console.append(f"{message.type}: {message.text}"))
    made.page.on("pageerror", lambda error: made.console.append(f"pageerror: {error}"))
    yield made
    context.close()
