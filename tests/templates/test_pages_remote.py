"""Pages say the same of files in a bucket as of files on disk, and never wait for the bucket."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from assetstore import AssetStore
from servers.fault_proxy import FaultProxy
from servers.faults import Delay
from servers.s3 import S3Bucket

FAR = {
    "far.js": b"export { near } from './near.js'",
    "near.js": b"export const near = 1",
    "far.css": b"@import 'more.css'; a { b: url(img/dot.svg) }",
    "more.css": b"c { d: url(img/dot.svg) }",
    "img/dot.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.fixture
def proxy(moto_bucket: S3Bucket, fault_proxy: Callable[[str], FaultProxy]) -> FaultProxy:
    return fault_proxy(moto_bucket.server.endpoint_url)


@pytest.fixture
def assets(tmp_path: Path, moto_bucket: S3Bucket, proxy: FaultProxy) -> AssetStore:
    (tmp_path / "app.js").write_text("import 'far'")
    moto_bucket.put({f"site/{path}": data for path, data in FAR.items()})
    store = AssetStore(IMPORT_MAP={"imports": {"far": "far:far.js"}, "entries": ["app.js"], "integrity": True})
    store.static("/assets/", root=tmp_path, name="assets")
    url, options = f"{moto_bucket.url}/site", {**moto_bucket.server.options, "endpoint_url": proxy.url}
    store.static(
        "/far/",
        root=url,
        name="far",
        storage_options=options,
        references="rewrite",
        asset_host="https://cdn.example.com",
    )
    return store


def application(assets: AssetStore) -> Starlette:
    async def home(request: Request) -> Response:
        page = assets.page(request)
        began = time.perf_counter()
        html = page.render_importmap() + page.stylesheet_link("far:far.css") + page.script_tag("app.js")
        return HTMLResponse(html, headers={"x-seconds": str(time.perf_counter() - began)})

    return Starlette(routes=[Route("/", home), *assets.routes], lifespan=assets.lifespan)


def until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def map_of(html: str) -> Any:
    (text,) = re.findall(r'<script type="importmap">(.*?)</script>', html)
    return json.loads(text)


def test_one_map_holds_files_on_disk_and_in_a_bucket(assets: AssetStore) -> None:
    with TestClient(application(assets)) as client:
        until(lambda: len(map_of(client.get("/").text).get("integrity", {})) == 2)
        until(
            lambda: 'rel="stylesheet"' in (html := client.get("/").text) and "integrity=" in html.split("</script>")[1]
        )
        html = client.get("/").text
        found = map_of(html)
        far, near = (assets.url_for("far", file=name) for name in ("far.js", "near.js"))
        assert found["imports"] == {"far": far, "https://cdn.example.com/far/near.js": near}
        for url, path in ((far, "far.js"), (near, "near.js")):
            assert re.fullmatch(rf"https://cdn\.example\.com/far/{path[:-3]}-[0-9a-f]{{64}}\.js", url)
            assert found["integrity"][url] == "sha384-" + base64.b64encode(hashlib.sha384(FAR[path]).digest()).decode()
            answer = client.get(url.removeprefix("https://cdn.example.com"))
            assert (answer.content, answer.headers["cache-control"]) == (
                FAR[path],
                "max-age=31536000, public, immutable",
            )


def test_a_page_never_waits_for_the_bucket(assets: AssetStore, proxy: FaultProxy) -> None:
    proxy.use(Delay(3.0))
    with TestClient(application(assets)) as client:
        spent = [float(client.get("/").headers["x-seconds"]) for _ in range(30)]
    assert max(spent) < 1.0


def test_style_sheets_in_a_bucket_are_rewritten_and_trusted(assets: AssetStore) -> None:
    with TestClient(application(assets)) as client:

        def tag() -> str:
            (found,) = re.findall("<link [^>]*>", client.get("/").text)
            return str(found)

        until(lambda: "integrity=" in tag())
        (url,), (digest,) = re.findall('href="(.*?)"', tag()), re.findall('integrity="(.*?)"', tag())
        answer = client.get(url.removeprefix("https://cdn.example.com"))
        assert re.fullmatch(
            r"@import 'more-[0-9a-f]{64}\.css'; a \{ b: url\(img/dot-[0-9a-f]{64}\.svg\) \}", answer.text
        )
        assert digest == "sha384-" + base64.b64encode(hashlib.sha384(answer.content).digest()).decode()
        assert "immutable" in answer.headers["cache-control"]
