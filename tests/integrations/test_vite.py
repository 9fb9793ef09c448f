"""What Vite, esbuild and webpack built is named by tags that work, in production and with Vite's dev server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.errors import SettingsError
from assetstore.integrations.vite import Bundle, Vite, esbuild, vite, webpack
from assetstore.templates.page import BundledEntry
from servers.s3 import S3Bucket
from waiting import eventually

EXAMPLE = Path(__file__).parents[2] / "examples/vite"

MANIFEST: dict[str, Any] = {
    "src/main.ts": {
        "file": "assets/main-AbCd1234.js",
        "isEntry": True,
        "css": ["assets/main-1.css"],
        "imports": ["_shared.js", "_other.js"],
        "dynamicImports": ["src/late.ts"],
    },
    "_shared.js": {"file": "assets/shared-2.js", "css": ["assets/shared-2.css"], "imports": ["_other.js"]},
    "_other.js": {"file": "assets/other-3.js", "imports": ["_shared.js"]},
    "src/late.ts": {"file": "assets/late-4.js", "isDynamicEntry": True},
    "src/admin.ts": {"file": "assets/admin-5.js", "isEntry": True, "imports": ["_shared.js"]},
    "src/style.scss": {"file": "assets/style-6.css", "isEntry": True},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / ".vite").mkdir()
    (tmp_path / ".vite/manifest.json").write_text(json.dumps(MANIFEST))
    for chunk in MANIFEST.values():
        for path in (chunk["file"], *chunk.get("css", ())):
            (tmp_path / path).write_text(path)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_dev_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITE_DEV_URL", raising=False)


def store(root: Path, url: str = "/static/", **settings: Any) -> AssetStore:
    assets = AssetStore(**settings)
    assets.static(url, root=root, name="assets")
    return assets


def test_an_entry_has_its_styles_its_imports_and_itself_once_each(root: Path) -> None:
    assert Vite(store(root)).tags("src/main.ts", "src/admin.ts", nonce="n").splitlines() == [
        '<link rel="stylesheet" href="/static/assets/shared-2.css" nonce="n">',
        '<link rel="stylesheet" href="/static/assets/main-1.css" nonce="n">',
        '<link rel="modulepreload" href="/static/assets/shared-2.js" nonce="n">',
        '<link rel="modulepreload" href="/static/assets/other-3.js" nonce="n">',
        '<script type="module" src="/static/assets/main-AbCd1234.js" nonce="n"></script>',
        '<script type="module" src="/static/assets/admin-5.js" nonce="n"></script>',
    ]


def test_a_style_sheet_may_be_an_entry(root: Path) -> None:
    assert Vite(store(root)).tags("src/style.scss") == '<link rel="stylesheet" href="/static/assets/style-6.css">'


def test_a_cdn_has_integrity_and_cross_origin(root: Path) -> None:
    tags = Vite(store(root, "https://cdn.example.com/")).tags("src/main.ts").splitlines()
    assert all(
        re.search(r'"https://cdn\.example\.com/assets/.* integrity="sha384-.{64}" crossorigin="anonymous"', each)
        for each in tags
    )


def test_an_unknown_entry_names_close_ones_and_a_missing_manifest_says_what_to_do(root: Path) -> None:
    built = Vite(store(root))
    with pytest.raises(SettingsError, match=r"'src/man\.ts' is no entry in Vite's manifest; it has 'src/main\.ts'"):
        built.tags("src/man.ts")
    shutil.rmtree(root / ".vite")
    with pytest.raises(SettingsError, match=r"'\.vite/manifest\.json' cannot be read .*; build first"):
        Vite(store(root))


@pytest.mark.parametrize("text", ["", "[", "[]", "7", "[" * 100_000])
def test_a_manifest_that_is_none_is_an_error_of_ours(root: Path, text: str) -> None:
    (root / ".vite/manifest.json").write_text(text)
    with pytest.raises(SettingsError, match="manifest"):
        Vite(store(root))


@pytest.mark.parametrize("chunk", [{}, [], 7, {"file": 7}, {"file": "../x.js"}, {"file": "x.js", "imports": 7}])
def test_a_damaged_entry_is_an_error_of_ours(root: Path, chunk: Any) -> None:
    (root / ".vite/manifest.json").write_text(json.dumps({"a.js": chunk}))
    with pytest.raises(SettingsError, match="manifest"):
        Vite(store(root)).tags("a.js")


def test_a_new_build_is_seen_also_on_an_event_loop(root: Path) -> None:
    built = Vite(store(root))
    changed = json.dumps(MANIFEST).replace("main-AbCd1234", "main-New00000")
    (root / ".vite/manifest.json").write_text(changed)

    async def page() -> str:
        return str(built.tags("src/main.ts"))

    assert eventually(lambda: "main-New00000" in asyncio.run(page()))


def test_the_manifest_may_be_a_local_file_or_a_value(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("build") / "manifest.json"
    elsewhere.write_text(json.dumps(MANIFEST))
    assert Vite(store(root), elsewhere).tags("src/main.ts") == Vite(store(root), MANIFEST).tags("src/main.ts")


@pytest.mark.parametrize("place", ["the bucket", "a CDN"])
def test_the_manifest_is_read_from_a_bucket_too(place: str, root: Path, moto_bucket: S3Bucket) -> None:
    moto_bucket.put({str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()})
    url = "/static/" if place == "the bucket" else "https://cdn.example.com/"
    assets = AssetStore()
    options = {name: value for name, value in moto_bucket.server.options.items() if value is not None}
    assets.static(url, root=moto_bucket.url, name="assets", storage_options=options, immutable="vite", index="lazy")
    try:
        tags = Vite(assets).tags("src/main.ts", nonce="n").splitlines()
        assert len(tags) == 5
        assert f'src="{url}assets/main-AbCd1234.js"' in tags[-1]
    finally:
        assets.close()


def test_with_a_dev_server_the_client_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VITE_DEV_URL", "http://localhost:5173/")
    expected = [
        '<script type="module" src="http://localhost:5173/@vite/client" nonce="n"></script>',
        '<script type="module" src="http://localhost:5173/src/main.ts" nonce="n"></script>',
        '<link rel="stylesheet" href="http://localhost:5173/src/style.scss" nonce="n">',
    ]
    assert Vite(store(tmp_path)).tags("src/main.ts", "src/style.scss", nonce="n").splitlines() == expected
    with_react = str(Vite(store(tmp_path), react=True).tags("src/main.ts", nonce="n"))
    assert with_react.startswith(
        '<script type="module" nonce="n">import RefreshRuntime from \'http://localhost:5173/@react'
    )
    with pytest.raises(SettingsError, match="dev_url"):
        Vite(store(tmp_path), dev_url="localhost:5173")


def test_templates_have_vite_tags(root: Path) -> None:
    env = jinja2.Environment(autoescape=True)
    built = Vite(store(root))
    built.install(env, nonce=lambda variables: variables.get("nonce"))
    page = env.from_string('{{ vite_tags("src/admin.ts") }}').render(nonce="n")
    assert page == built.tags("src/admin.ts", nonce="n")


def test_esbuilds_metafile_is_read(tmp_path: Path) -> None:
    metafile = {
        "outputs": {
            "dist/main-1.js": {
                "entryPoint": "src/main.ts",
                "cssBundle": "dist/main-2.css",
                "imports": [
                    {"path": "dist/chunk-3.js", "kind": "import-statement"},
                    {"path": "dist/late-4.js", "kind": "dynamic-import"},
                    {"path": "react", "kind": "import-statement", "external": True},
                ],
            },
            "dist/chunk-3.js": {"imports": []},
            "dist/late-4.js": {"imports": []},
            "dist/main-2.css": {},
            "dist/page-5.css": {"entryPoint": "src/page.css"},
        }
    }
    assert esbuild(metafile, "src/main.ts", "dist") == BundledEntry(("main-1.js",), ("main-2.css",), ("chunk-3.js",))
    assert esbuild(metafile, "src/page.css", "dist/") == BundledEntry(styles=("page-5.css",))
    (tmp_path / "main-1.js").write_text("")
    tags = Bundle(store(tmp_path), metafile, format="esbuild", folder="dist").tags("src/main.ts")
    assert '<script type="module" src="/static/main-1.js"></script>' in tags


def test_webpacks_stats_are_read(tmp_path: Path) -> None:
    stats = {
        "entrypoints": {"main": {"assets": [{"name": "runtime.1.js"}, {"name": "main.2.js"}, {"name": "a.3.css"}]}}
    }
    flat = {"entrypoints": {"main": {"assets": {"js": ["runtime.1.js", "main.2.js"], "css": ["a.3.css"]}}}}
    entry = BundledEntry(("runtime.1.js", "main.2.js"), ("a.3.css",), module=False)
    assert webpack(stats, "main") == webpack(flat, "main") == entry
    assert webpack(stats | {"assets": [{"name": "main.2.js", "info": {"javascriptModule": True}}]}, "main").module
    tags = Bundle(store(tmp_path), stats, format="webpack").tags("main")
    assert '<script defer src="/static/runtime.1.js"></script>' in tags
    with pytest.raises(SettingsError, match="format"):
        Bundle(store(tmp_path), stats, format="parcel")  # type: ignore[arg-type]


def test_a_circle_of_imports_ends() -> None:
    assert vite(MANIFEST, "src/main.ts").preloads == ("assets/shared-2.js", "assets/other-3.js")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, with Vite from npm."""
    folder = tmp_path_factory.mktemp("vite") / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "dist", "__pycache__"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def dist(example: Path) -> Path:
    subprocess.run(["npm", "run", "build", "--silent"], cwd=example, check=True, timeout=120, stdout=subprocess.DEVNULL)
    return example / "dist"


def page_of(built: Vite, assets: AssetStore) -> Starlette:
    async def home(request: Request) -> HTMLResponse:
        return HTMLResponse(f"<!doctype html>{built.tags('src/main.js', request=request)}<body>")

    return Starlette(routes=[*assets.routes, Route("/", home)])


@pytest.mark.program("npm")
@pytest.mark.timeout(400)
def test_what_vite_built_is_served_under_the_names_of_its_tags(dist: Path) -> None:
    assets = AssetStore()
    assets.static("/assets/", root=dist, name="assets", immutable="vite")
    client = TestClient(page_of(Vite(assets), assets))
    page = client.get("/").text
    urls = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert [re.sub(r"-[\w-]{8}\.", ".", url) for url in urls] == [
        "/assets/assets/greet.css",
        "/assets/assets/main.css",
        "/assets/assets/greet.js",
        "/assets/assets/main.js",
    ]
    for url in urls:
        answer = client.get(url)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/css" if url.endswith(".css") else "text/javascript")
        assert answer.headers["cache-control"] == "max-age=31536000, public, immutable"


@pytest.mark.program("npm")
@pytest.mark.program("chromium")
@pytest.mark.timeout(400)
def test_a_browser_runs_what_vite_built(dist: Path, serve_module_app: Callable[[Any], str], tmp_path: Path) -> None:
    assets = store(dist, "/assets/")
    url = serve_module_app(page_of(Vite(assets), assets))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=5000"]
    command = ["chromium", *options, f"--user-data-dir={tmp_path}", "--dump-dom", url]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "hello from main and lazily" in shown


@pytest.fixture
def dev_server(example: Path) -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = ["npx", "vite", "--host", "127.0.0.1", "--port", str(port), "--strictPort"]
    process = subprocess.Popen(command, cwd=example, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield f"http://127.0.0.1:{port}/assets"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def fetched(url: str) -> str:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.program("npm")
@pytest.mark.timeout(400)
def test_the_dev_server_has_what_the_tags_name(
    dev_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITE_DEV_URL", dev_server)
    client, entry = re.findall(r'src="([^"]+)"', Vite(store(tmp_path)).tags("src/main.js"))
    assert "import.meta.hot" in fetched(client) or "WebSocket" in fetched(client)
    assert "hello" in fetched(entry.replace("main.js", "greet.js"))
    assert "/src/greet.js" in fetched(entry)
