"""A page's 103 Early Hints arrive over HTTP/2 before the page does."""

from __future__ import annotations

import asyncio
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from assetstore import AssetStore
from assetstore.errors import SettingsError
from servers.processes import ProcessStarter

APP = """
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Route
    from assetstore import AssetStore

    assets = AssetStore()
    assets.static("/assets/", root="{root}", name="assets")

    async def home(request):
        page = assets.page(request)
        await page.early_hints("app.css", "f.woff2")
        return HTMLResponse(page.stylesheet_link("app.css"))

    app = Starlette(routes=[*assets.routes, Route("/", home)])
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    for name in ("app.css", "f.woff2", "app.js"):
        (root / name).write_text(name)
    return root


@pytest.mark.program("curl")
def test_hypercorn_sends_them_before_the_page(root: Path, tmp_path: Path, start_process: ProcessStarter) -> None:
    (tmp_path / "hinting.py").write_text(textwrap.dedent(APP.format(root=root)))
    server = start_process.asgi("hinting:app", server="hypercorn", folder=tmp_path)
    command = ["curl", "-sS", "--http2-prior-knowledge", "-D", "-", f"{server.url}/"]
    heads = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    hint, page = heads.split("HTTP/2 200", 1)
    assert hint.startswith("HTTP/2 103")
    assert "rel=preload; as=style" in hint
    assert "rel=preload; as=font; crossorigin" in hint
    assert "<link" in page


def test_nothing_is_sent_where_the_server_knows_none(root: Path) -> None:
    assets = AssetStore()
    assets.static("/assets/", root=root, name="assets")
    sent: list[Any] = []

    async def receive() -> Any: ...

    async def send(message: Any) -> None:
        sent.append(message)

    async def pages() -> None:
        await assets.page().early_hints("app.css")
        scope: dict[str, Any] = {"type": "http", "headers": [], "method": "GET", "path": "/"}
        await assets.page(Request(scope, receive, send)).early_hints("app.css")
        assert sent == []
        scope["extensions"] = {"http.response.early_hint": {}}
        await assets.page(Request(scope, receive, send)).early_hints("app.css", "f.woff2")

    asyncio.run(pages())
    ((kind, links),) = [(each["type"], each["links"]) for each in sent]
    assert kind == "http.response.early_hint"
    assert links == [
        f"<{assets.url_for('assets', file='app.css')}>; rel=preload; as=style".encode(),
        f"<{assets.url_for('assets', file='f.woff2')}>; rel=preload; as=font; crossorigin".encode(),
    ]
    with pytest.raises(SettingsError, match="after the import map"):
        asyncio.run(assets.page().early_hints("app.js"))
