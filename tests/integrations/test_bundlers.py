"""What bundlers themselves built is named by the tags of a bundle, served, and run by a browser."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.integrations.vite import Bundle
from servers.programs import PROJECT, need_program

pytestmark = pytest.mark.timeout(300)

IMMUTABLE = "max-age=31536000, public, immutable"
SOURCES = {
    "main.js": """
        import "./main.css"
        import { shared } from "./shared.js"
        import("./late.js").then(({ late }) => { document.body.textContent = shared("main") + " and " + late })
    """,
    "admin.js": 'import { shared } from "./shared.js"\ndocument.title = shared("admin")',
    "shared.js": f'export const shared = (who) => "hello from " + who // {"x" * 4000}\nexport const kept = "{"y" * 40_000}"',
    "late.js": 'export const late = "lazily"',
    "main.css": "body { color: rgb(1, 2, 3) }",
}
WEBPACK = """
import fs from "node:fs"
import path from "node:path"
import webpack from "webpack"
import { WebpackAssetsManifest } from "webpack-assets-manifest"
const here = import.meta.dirname
const module_ = process.argv[2] === "module"
const name = "[name].[contenthash].js"
webpack({
  mode: "production", context: here, entry: { main: "./main.js", admin: "./admin.js" }, performance: false,
  output: { path: path.join(here, "dist"), filename: name, chunkFilename: name, module: module_,
            cssFilename: "[name].[contenthash].css", cssChunkFilename: "[name].[contenthash].css", publicPath: "auto" },
  experiments: { css: true, outputModule: module_ },
  optimization: { runtimeChunk: "single", splitChunks: { chunks: "all", minSize: 0 } },
  plugins: [new WebpackAssetsManifest({ entrypoints: true, output: path.join(here, "assets-manifest.json") })],
}, (error, stats) => {
  if (error || stats.hasErrors()) { console.error(error || stats.toString()); process.exit(1) }
  fs.writeFileSync(path.join(here, "stats.json"), JSON.stringify(stats.toJson()))
})
"""


def write_sources(folder: Path) -> Path:
    for name, text in SOURCES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def esbuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sources(tmp_path_factory.mktemp("esbuild"))
    command = [
        need_program("esbuild"), "main.js", "admin.js", "--bundle", "--splitting", "--format=esm", "--outdir=dist",
        "--entry-names=[name]-[hash]", "--chunk-names=[name]-[hash]", "--metafile=meta.json", "--log-level=warning",
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return folder


@pytest.fixture(scope="module", params=["script", "module"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sources(tmp_path_factory.mktemp(f"webpack-{request.param}"))
    (folder / "build.mjs").write_text(WEBPACK)
    need_program("webpack")
    (folder / "node_modules").symlink_to(PROJECT / ".venv-npm/node_modules")
    command = ["node", "build.mjs", request.param]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return folder


def application(built: Path, bundler: Any, manifest: Path, **options: Any) -> Starlette:
    assets = AssetStore({})
    assets.static("/assets/", root=built / "dist", name="assets", immutable=bundler)
    bundle = Bundle(assets, manifest, format=bundler, **options)

    async def page(request: Request) -> HTMLResponse:
        tags = bundle.tags(request.query_params["entry"], request=request)
        return HTMLResponse(f"<!doctype html><title>page</title>{tags}<body>")

    return Starlette(routes=[*assets.routes, Route("/", page)])


def named_on(client: TestClient, entry: str) -> list[str]:
    """The URLs on the page, each of which is served for a year; without their hashes."""
    urls = re.findall(r'(?:href|src)="([^"]+)"', client.get("/", params={"entry": entry}).text)
    for url in urls:
        reply = client.get(url)
        assert (url, reply.status_code, reply.headers["cache-control"]) == (url, 200, IMMUTABLE)
    return [re.sub(r"[-.]([0-9a-f]{20}|[A-Z2-7]{8})\.", ".", url.removeprefix("/assets/")) for url in urls]


def shown_by_a_browser(url: str, folder: Path) -> str:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=5000"]
    command = [need_program("chromium"), *options, f"--user-data-dir={folder}", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.program("esbuild")
def test_what_esbuild_built_is_served_under_the_names_of_its_metafile(esbuilt: Path) -> None:
    app = application(esbuilt, "esbuild", esbuilt / "meta.json", folder="dist")
    with TestClient(app) as client:
        assert named_on(client, "main.js") == ["main.css", "chunk.js", "main.js"]
        assert named_on(client, "admin.js") == ["chunk.js", "admin.js"]


@pytest.mark.program("esbuild", "chromium")
def test_a_browser_runs_what_esbuild_built(esbuilt: Path, serve_app: Callable[[Any], str], tmp_path: Path) -> None:
    url = serve_app(application(esbuilt, "esbuild", esbuilt / "meta.json", folder="dist"))
    assert "hello from main and lazily" in shown_by_a_browser(f"{url}/?entry=main.js", tmp_path)


@pytest.mark.program("webpack", "node")
@pytest.mark.parametrize("manifest", ["stats.json", "assets-manifest.json"])
def test_what_webpack_built_is_served_under_the_names_of_its_stats(packed: Path, manifest: str) -> None:
    assert json.loads((packed / manifest).read_text())["entrypoints"]
    with TestClient(application(packed, "webpack", packed / manifest)) as client:
        main, admin = named_on(client, "main"), named_on(client, "admin")
    assert main[0] == "main.css"
    assert {each for each in main if re.fullmatch(r"(runtime|main|\d+)\.js", each)} == set(main[1:])
    assert "runtime.js" in main
    assert "main.js" in main
    assert set(admin) - {"admin.js"} <= set(main)


@pytest.mark.program("webpack", "node", "chromium")
@pytest.mark.parametrize("manifest", ["stats.json", "assets-manifest.json"])
def test_a_browser_runs_what_webpack_built(
    packed: Path, manifest: str, serve_app: Callable[[Any], str], tmp_path: Path
) -> None:
    is_module = packed.name.startswith("webpack-module")
    given = {"module": is_module} if manifest == "assets-manifest.json" else {}
    app = application(packed, "webpack", packed / manifest, **given)
    with TestClient(app) as client:
        assert ('<script type="module"' in client.get("/", params={"entry": "main"}).text) is is_module
    url = serve_app(app)
    assert "hello from main and lazily" in shown_by_a_browser(f"{url}/?entry=main", tmp_path)


@pytest.fixture(scope="module")
def rolled_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rollup")
    (folder / "main.js").write_text('import("./late.js").then(({ late }) => { document.title = late })')
    (folder / "late.js").write_text(SOURCES["late.js"])
    names = [f"--{kind}FileNames=[name]-[hash].js" for kind in ("entry", "chunk")]
    command = [need_program("rollup"), "main.js", "--dir=dist", "--format=es", "--silent", *names]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return folder / "dist"


@pytest.fixture(scope="module")
def parcelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sources(tmp_path_factory.mktemp("parcel"))
    (folder / "index.html").write_text('<!doctype html><title>x</title><script type="module" src="main.js"></script>')
    command = [need_program("parcel"), "build", "index.html", "--dist-dir=dist", "--no-cache", "--log-level=error"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return folder / "dist"


@pytest.mark.program("rollup", "parcel", "node")
@pytest.mark.parametrize(("bundler", "least"), [("rollup", 2), ("parcel", 3)])
def test_every_name_that_rollup_or_parcel_hashed_is_immutable_and_gets_no_second_fingerprint(
    request: pytest.FixtureRequest, bundler: Any, least: int
) -> None:
    built: Path = request.getfixturevalue({"rollup": "rolled_up", "parcel": "parcelled"}[bundler])
    names = sorted(path.name for path in built.iterdir() if path.suffix != ".html")
    assert len(names) >= least
    store = AssetStore()
    store.static("/assets/", root=built, name="assets", immutable=bundler)
    with TestClient(Starlette(routes=store.routes, lifespan=store.lifespan)) as client:
        for name in names:
            assert store.url_for("assets", file=name) == f"/assets/{name}"
            reply = client.get(f"/assets/{name}")
            assert (name, reply.status_code, reply.headers["cache-control"]) == (name, 200, IMMUTABLE)
        if (built / "index.html").is_file():
            assert "immutable" not in client.get("/assets/index.html").headers["cache-control"]
