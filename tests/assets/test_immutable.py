"""Names with a bundler's hash are told from others, by what the bundlers themselves write."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets.cache_policy import PRESETS, ImmutableNames
from assetstore.errors import SettingsError
from servers.programs import give_up

#: Each one's output of a small application with its default names for hashed files (2026).
HASHED = {
    "vite": ["assets/index-CGZxCL6k.js", "assets/index-DKlTOeKk.css", "assets/logo-CNPrxdHK.svg", "assets/a-_x-B1cd2.js"],
    "rollup": ["lazy-D6Akn2Qx.js", "r-D83ThaXZ.js.map", "assets/logo-BZcw_Can.svg"],
    "esbuild": ["lazy-KUR65G6Z.js", "main-FVWYCWZQ.css.map", "img/logo-TEE7I65R.svg"],
    "webpack": ["main.1541ce17d25e25930a46.js", "480.5a88312870671dd95590.chunk.js.map", "e7c6818284ec61a60dfd.svg",
                "static/js/main.073c9b0a.chunk.js", "main.697fe03f.css", "main.1541ce17d25e25930a46.js.LICENSE.txt"],
    "parcel": ["js.898863f7.css", "lazy.aab93cb0.js.map", "logo.9efbf3db.svg"],
}  # fmt: skip
PLAIN = [
    "index.html", "plain.txt", "assets/app.js", "js/app-template.js", "assets/app-Template.js", "assets/app-TEMPLATE.png",
    "assets/report-20240101.pdf", "report.20240101.pdf", "jquery-3.7.1.min.js", "js/app.12345678.js", "assets/a-b.js",
    "assets/face.deadbeef.js", "assets/-.js", "",
]  # fmt: skip
#: esbuild's alphabet leaves a word in capitals possible; the digest of each file is watched all the same.
POSSIBLE = {("esbuild", "assets/app-TEMPLATE.png")}


@pytest.mark.parametrize("bundler", PRESETS)
def test_what_a_bundler_hashed_is_known(bundler: str) -> None:
    names = ImmutableNames(bundler)
    assert [path for path in HASHED[bundler] if not names.holds(path)] == []


@pytest.mark.parametrize("bundler", PRESETS)
def test_plain_names_are_not(bundler: str) -> None:
    names = ImmutableNames(bundler)
    assert [path for path in PLAIN if names.holds(path) and (bundler, path) not in POSSIBLE] == []


def test_patterns_callables_and_lists() -> None:
    assert ImmutableNames("assets/**").holds("assets/any.js")
    assert not ImmutableNames("assets/**").holds("index.html")
    assert ImmutableNames(["parcel", "vendor/*.js"]).holds("vendor/a.js")
    assert ImmutableNames(lambda path: path.startswith("v1/")).holds("v1/a.js")
    assert not ImmutableNames().holds("assets/index-CGZxCL6k.js")
    assert not ImmutableNames([])
    assert ImmutableNames("vite")


def test_a_callable_that_raises_promises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    names = ImmutableNames(lambda path: bool(1 / 0))
    with caplog.at_level(logging.WARNING, "assetstore"):
        assert not names.holds("a.js")
        assert not names.holds("b.js")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("given", [3, True, [3], ["vite", None], "", "/assets/*", b"vite", [["vite"]]])
def test_what_is_none_of_them_is_refused(given: object) -> None:
    with pytest.raises(SettingsError, match="immutable"):
        ImmutableNames(given)  # type: ignore[arg-type]


@given(st.text(), st.sampled_from(sorted(PRESETS)))
def test_any_name_is_judged(path: str, bundler: str) -> None:
    ImmutableNames(bundler).holds(path)


@pytest.mark.parametrize("bundler", PRESETS)
def test_a_hostile_name_takes_no_time(bundler: str) -> None:
    for path in ("a-" * 512, "a." * 512, "/a" * 512, "0" * 1024, "a" * 1024, "1a." * 341):
        assert not ImmutableNames(bundler).holds(path + "!")


BUILDS = {
    "vite": "vite build --outDir out/vite",
    "rollup": "rollup src/rollup.js --dir out/rollup --format es --sourcemap --entryFileNames [name]-[hash].js",
    "esbuild": "esbuild src/main.js --bundle --splitting --format=esm --sourcemap --outdir=out/esbuild "
    "--loader:.svg=file --entry-names=[name]-[hash]",
    "webpack": "webpack --mode production --entry ./src/rollup.js --output-path out/webpack "
    "--output-filename [name].[contenthash].js --output-chunk-filename [name].[contenthash].chunk.js",
    "parcel": "parcel build index.html --dist-dir out/parcel --no-cache",
}
FILES = {
    "package.json": json.dumps({"name": "site", "private": True, "version": "1.0.0"}),
    "index.html": "<!doctype html><title>x</title><script type=module src=./src/main.js></script>",
    "src/main.js": 'import "./style.css"; import logo from "./logo.svg"; document.title = logo; import("./lazy.js");',
    "src/rollup.js": 'import("./lazy.js").then(lazy => lazy.default());',
    "src/lazy.js": 'export default () => console.log("lazy");',
    "src/style.css": "body { background: url(./logo.svg) }",
    "src/logo.svg": f'<svg xmlns="http://www.w3.org/2000/svg">{"<path/>" * 900}</svg>',
    "public/plain.txt": "x",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An application in JavaScript, with all of the bundlers installed."""
    folder = tmp_path_factory.mktemp("site")
    for path, text in FILES.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    wanted = ["vite", "rollup", "esbuild", "webpack", "webpack-cli", "parcel"]
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *wanted]
    if subprocess.run(command, cwd=folder, capture_output=True, timeout=110).returncode != 0:
        give_up("the bundlers from npm", "connect to a package index")
    return folder


@pytest.mark.program("npm")
@pytest.mark.parametrize("bundler", BUILDS)
def test_what_the_bundler_itself_writes_is_known(site: Path, bundler: str) -> None:
    made = subprocess.run(["npx", *BUILDS[bundler].split()], cwd=site, capture_output=True, text=True, timeout=100)
    assert made.returncode == 0, made.stdout + made.stderr
    out = site / "out" / bundler
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    plain = {"index.html", "plain.txt"}
    assert len(set(files) - plain) > 1
    names = ImmutableNames(bundler)
    assert [path for path in files if names.holds(path) == (path in plain)] == []
