"""Pages of an application name every asset as ``url_for`` does, and others stay as they are."""

from __future__ import annotations

import asyncio
import gzip
import re
import textwrap
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from assetstore import AssetStore
from servers.processes import ProcessStarter

PAGE = """<!doctype html><title>it's</title>
<link rel="stylesheet" href="/assets/css/app.css?v=1&amp;w">
<link rel=icon href=../assets/img/a.svg><link rel=canonical href=/assets/img/a.svg>
<script type="importmap">{"imports": {"app": "/assets/js/app.js"}}</script>
<script>const page = "<img src='/assets/img/a.svg'>"</script>
<style>b { c: url("/assets/img/a.svg") }</style>
<img srcset="/assets/img/a.svg 1x, /assets/img/gone.svg 2x" style="d:url(/assets/img/a.svg)">
<svg><use href="/assets/img/a.svg#x"/></svg><!-- <img src="/assets/img/a.svg"> -->
<a href="/assets/img/a.svg">link</a>
"""
PLAIN = "<!doctype html><img src=/elsewhere/a.png><a href=/assets/css/app.css>css</a>"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    for path in ("css/app.css", "img/a.svg", "js/app.js"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(path)
    (root / "page.html").write_text(PAGE)
    return root


def store(root: Path, url: str = "/assets/") -> AssetStore:
    assets = AssetStore()
    assets.static(url, root=root, name="assets")
    return assets


def expected(assets: AssetStore, page: str = PAGE, root_path: str = "") -> str:
    css, svg, js = (
        root_path + assets.url_for("assets", file=path) for path in ("css/app.css", "img/a.svg", "js/app.js")
    )
    page = page.replace("/assets/css/app.css?", css + "?").replace('"/assets/js/app.js"', f'"{js}"')
    for before in ("href=..", 'c: url("', 'srcset="', "d:url(", 'use href="'):
        old = "href=../assets/img/a.svg" if before == "href=.." else before + "/assets/img/a.svg"
        new = f"href={svg}" if before == "href=.." else before + svg
        page = page.replace(old, new)
    return page


def client(assets: AssetStore, *responses: Response, path: str = "/shop/page") -> TestClient:
    remaining = iter(responses)

    async def page(request: Request) -> Response:
        return next(remaining)

    app = Starlette(routes=[*assets.routes, Route(path, page)])
    return TestClient(assets.rewrite(app))


def test_every_asset_of_a_page_has_its_fingerprinted_url(root: Path) -> None:
    assets = store(root)
    answer = client(assets, HTMLResponse(PAGE, headers={"etag": '"1"', "x-own": "kept"})).get("/shop/page")
    assert answer.text == expected(assets)
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["x-own"] == "kept"
    assert "etag" not in answer.headers


def test_a_page_without_assets_keeps_every_byte_and_header(root: Path) -> None:
    answer = client(store(root), HTMLResponse(PLAIN, headers={"etag": '"1"', "last-modified": "x"})).get("/shop/page")
    assert answer.text == PLAIN
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["last-modified"] == "x"
    assert answer.headers["content-length"] == str(len(PLAIN))


@pytest.mark.parametrize(
    "response",
    [
        PlainTextResponse(PAGE),
        HTMLResponse(PAGE, headers={"content-encoding": "x-none"}),
        HTMLResponse(PAGE, headers={"cache-control": "public, no-transform"}),
        HTMLResponse(PAGE, 206, headers={"content-range": "bytes 0-1/9"}),
    ],
)
def test_what_may_not_be_rewritten_is_not(root: Path, response: Response) -> None:
    assert client(store(root), response).get("/shop/page").text == PAGE


def test_head_has_no_length_that_get_would_not_have(root: Path) -> None:
    async def page(request: Request) -> Response:
        return HTMLResponse(PAGE, headers={"etag": '"1"'})

    assets = store(root)
    app = TestClient(assets.rewrite(Starlette(routes=[*assets.routes, Route("/shop/page", page)])))
    head = app.head("/shop/page")
    assert (head.status_code, head.content) == (200, b"")
    assert not {"content-length", "etag"} & set(head.headers)


def test_a_file_is_rewritten_too(root: Path) -> None:
    assets = store(root)
    answer = client(assets, FileResponse(root / "page.html")).get("/shop/page")
    assert answer.text == expected(assets)
    assert answer.headers["content-length"] == str(len(answer.content))
    assert not {"etag", "last-modified", "accept-ranges"} & set(answer.headers)


def test_a_file_that_the_server_would_send_by_its_path_is_rewritten(root: Path) -> None:
    assets = store(root)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.pathsend", "path": str(root / "page.html")})

    answer = TestClient(assets.rewrite(app)).get("/shop/page")
    assert answer.text == expected(assets)


def test_a_streamed_page_comes_as_it_is_made(root: Path) -> None:
    assets = store(root)
    sent: list[bytes] = []
    seen: list[int] = []

    async def chunks() -> AsyncIterator[str]:
        for line in PAGE.splitlines(keepends=True):
            yield line
            seen.append(len(sent))

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(chunks(), media_type="text/html")(scope, receive, send)

    scope = {"type": "http", "method": "GET", "path": "/shop/page", "headers": [], "asgi": {"spec_version": "2.4"}}
    asyncio.run(assets.rewrite(app)(scope, receive, send))  # type: ignore[arg-type]
    assert b"".join(sent).decode() == expected(assets)
    assert all(count > number for number, count in enumerate(seen))


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(min_value=0, max_value=len(PAGE)), max_size=60))
def test_where_a_page_is_cut_makes_no_difference(root: Path, cuts: list[int]) -> None:
    assets = store(root)
    edges = [0, *sorted(cuts), len(PAGE)]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for start, stop in zip(edges, edges[1:], strict=False):
            body = PAGE.encode()[start:stop]
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    assert TestClient(assets.rewrite(app)).get("/shop/page").text == expected(assets)


@settings(deadline=None, max_examples=60)
@given(
    body=st.lists(
        st.binary(max_size=20)
        | st.sampled_from(
            [b"<img src=", b"<style>", b"<!--", b'"', b"'", b">", b"<script type=importmap>", b"</style>"]
        )
    ).map(b"".join),
    size=st.integers(min_value=1, max_value=50),
)
def test_any_bytes_without_an_asset_arrive_as_they_are(root: Path, body: bytes, size: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for start in range(0, len(body), size):
            await send({"type": "http.response.body", "body": body[start : start + size], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    assert TestClient(store(root).rewrite(app)).get("/").content == body


def test_an_element_without_end_is_sent_on_as_it_is(root: Path) -> None:
    body = b"<style>" + b"a{b:c}" * 200_000 + b"<img src=/assets/img/a.svg>"
    sizes: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for start in range(0, len(body), 10_000):
            await send({"type": "http.response.body", "body": body[start : start + 10_000], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sizes.append(len(message.get("body", b"")))

    async def receive() -> Any: ...

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(store(root).rewrite(app)(scope, receive, send))
    assert sum(sizes) == len(body)
    assert max(sizes) < 600_000


def test_a_cdn_is_named_but_for_what_browsers_load_from_the_pages_origin_only(root: Path) -> None:
    assets = store(root, "https://cdn.example.com/a/")
    text = client(assets, HTMLResponse(PAGE)).get("/shop/page").text
    assert re.search(r'href="https://cdn\.example\.com/a/css/app-[0-9a-f]{64}\.css\?v=1', text)
    assert re.search(r'<use href="/assets/img/a-[0-9a-f]{64}\.svg#x"/>', text)
    full = '<img src="https://cdn.example.com/a/img/a.svg">'
    assert re.search(r"/a/img/a-[0-9a-f]{64}\.svg", client(assets, HTMLResponse(full)).get("/shop/page").text)


def test_an_application_below_another_keeps_its_root_path(root: Path) -> None:
    assets = store(root)

    async def page(request: Request) -> Response:
        return HTMLResponse('<script src="/below/assets/js/app.js"></script><script src="/assets/js/app.js"></script>')

    inner = assets.rewrite(Starlette(routes=[*assets.routes, Route("/page", page)]))
    outer = Starlette(routes=[assets.names("/below"), Mount("/below", inner)])
    text = TestClient(outer).get("/below/page").text
    assert text == (
        f'<script src="{assets.url_for("assets", file="js/app.js")}"></script><script src="/assets/js/app.js"></script>'
    )


def test_a_name_that_has_its_fingerprint_stays(root: Path) -> None:
    assets = store(root)
    page = f"<img src={assets.url_for('assets', file='img/a.svg')}>"
    assert client(assets, HTMLResponse(page)).get("/shop/page").text == page


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian"])
def test_a_server_sends_the_rewritten_page_also_compressed(
    root: Path, tmp_path: Path, start_process: ProcessStarter, server: str
) -> None:
    (tmp_path / "rewriting.py").write_text(
        textwrap.dedent(f"""
            from starlette.applications import Starlette
            from starlette.middleware.gzip import GZipMiddleware
            from starlette.responses import FileResponse, HTMLResponse, StreamingResponse
            from starlette.routing import Route
            from assetstore import AssetStore

            PAGE = open({str(root / "page.html")!r}).read()

            async def whole(request):
                return HTMLResponse(PAGE)

            async def streamed(request):
                return StreamingResponse(iter(PAGE.splitlines(keepends=True)), media_type="text/html")

            async def file(request):
                return FileResponse({str(root / "page.html")!r})

            assets = AssetStore()
            assets.static("/assets/", root={str(root)!r}, name="assets")
            pages = [Route("/shop/whole", whole), Route("/shop/streamed", streamed), Route("/shop/file", file)]
            app = GZipMiddleware(assets.rewrite(Starlette(routes=[*assets.routes, *pages])), minimum_size=10)
        """)
    )
    process = start_process.asgi("rewriting:app", server=server, folder=tmp_path)
    for page in ("whole", "streamed", "file"):
        for coding in ("gzip", "identity"):
            request = urllib.request.Request(f"{process.url}/shop/{page}", headers={"accept-encoding": coding})
            with urllib.request.urlopen(request, timeout=20) as answer:
                body = answer.read()
                assert answer.headers.get("content-encoding", "identity") == coding
            assert (gzip.decompress(body) if coding == "gzip" else body).decode() == expected(store(root))
