"""``fingerprint_length``: names, references, publishes and checks with short fingerprints."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.errors import SettingsError
from assetstore.names import fingerprint
from assetstore.names import manifest as manifests

PLAIN, IMMUTABLE = "max-age=0, public, must-revalidate", "max-age=31536000, public, immutable"
HEX = "0123456789abcdef" * 4


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "assets"
    files = {
        "css/app.css": b"@import 'base.css'; body { background: url(../img/logo.svg) }",
        "css/base.css": b"p { color: red }",
        "img/logo.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "js/app.js": b"import './part.js'",
        "js/part.js": b"export const part = 1",
    }
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        moment = time.time_ns() - 60_000_000_000
        os.utime(root / path, ns=(moment, moment // 1000 * 1000 + 123))
    return root


def store_of(root: object, **options: object) -> AssetStore:
    store = AssetStore(IMPORT_MAP={"app": "js/app.js"})
    store.static("/assets/", root=root, name="assets", **options)  # type: ignore[arg-type]
    return store


def digits(url: str) -> int:
    match = re.search(r"-([0-9a-f]+)(\.\w+)?$", url)
    assert match is not None, url
    return len(match[1])


@given(
    st.lists(st.text("ab-.0", min_size=1), min_size=1, max_size=3).map("/".join),
    st.integers(8, 64),
    st.sampled_from([16, 64]),
)
def test_names_of_every_length_survive_the_round_trip(path: str, length: int, other: int) -> None:
    assert fingerprint.split(fingerprint.add(path, HEX[:length]), length) == (path, HEX[:length])
    assert fingerprint.split(fingerprint.add(path, HEX), length) == (path, HEX), "one of 64 digits is always read"
    logical, found = fingerprint.split(path, other)
    assert path == (logical if found is None else fingerprint.add(logical, found))


@pytest.mark.parametrize("length", [7, 65, 0, -1, True, "16", None, 16.0])
def test_what_is_no_length_is_refused_at_wiring(tree: Path, length: object) -> None:
    with pytest.raises(SettingsError, match=r"fingerprint_length=.* from 8 to 64; a good one is 16"):
        store_of(tree, fingerprint_length=length)


@pytest.mark.parametrize("made_of", [True, "mtime", "content"])
@pytest.mark.parametrize("length", [8, 16, 63])
def test_only_the_fingerprint_of_these_bytes_is_immutable(tree: Path, made_of: object, length: int) -> None:
    store = store_of(tree, fingerprint=made_of, fingerprint_length=length)
    whole = store_of(tree, fingerprint=made_of).url_for("assets", file="js/part.js")
    url = store.url_for("assets", file="js/part.js")
    assert digits(url) == length
    assert url == f"{whole[: -len('.js') - 64 + length]}.js", "it begins as the whole one does"
    wrong = f"{url[: -len('.js') - 1]}{'0' if url[-4] != '0' else '1'}.js"
    with TestClient(Starlette(routes=store.routes)) as client:
        for each in (url, whole):
            assert (each, client.get(each).headers["cache-control"]) == (each, IMMUTABLE)
            assert client.get(each).headers["cache-control"] == IMMUTABLE, "from the response cache too"
        assert client.get(wrong).headers["cache-control"] != IMMUTABLE
        assert client.get("/assets/js/part-0a1b2c.js").status_code == 404


def test_references_the_import_map_and_preloads_have_the_short_names(tree: Path) -> None:
    store = store_of(tree, fingerprint_length=12, references="strict")
    with TestClient(Starlette(routes=store.routes)) as client:
        page = client.get(store.url_for("assets", file="css/app.css"))
        assert page.headers["cache-control"] == IMMUTABLE
        named = re.findall(r"'(base-[0-9a-f]+\.css)'|url\((\.\./img/logo-[0-9a-f]+\.svg)\)", page.text)
        found = ["".join(pair) for pair in named]
        assert [digits(each) for each in found] == [12, 12]
        for each in found:
            reply = client.get(f"/assets/css/{each}")
            assert (reply.status_code, reply.headers["cache-control"]) == (200, IMMUTABLE)
    imported = json.loads(re.sub(r"<[^>]*>", "", str(store.render_importmap())))
    assert digits(imported["imports"]["app"]) == 12


def test_a_publish_stores_the_short_names_and_servers_follow_it(tree: Path, tmp_path: Path) -> None:
    """Also those that are told nothing of the length: the manifest says it."""
    target = tmp_path / "target"
    source = store_of(tree, fingerprint_length=16, fingerprint="content", references="rewrite")
    source.publish(target)
    stored = [file.name for file in target.rglob("*.svg")]
    assert sorted(digits(name) for name in stored if "-" in name) == [16]
    published = store_of(target)
    url = published.url_for("assets", file="css/app.css")
    assert url == source.url_for("assets", file="css/app.css")
    with TestClient(Starlette(routes=published.routes)) as client:
        assert client.get(url).headers["cache-control"] == IMMUTABLE
        assert client.get(url).text == (target / url.removeprefix("/assets/")).read_text()
    manifest = tmp_path / "assets.json"
    manifest.write_bytes((target / ".assetstore/current.json").read_bytes())
    assert manifests.load(manifest.read_bytes(), "it").fingerprint_length == 16
    beside = store_of(tree, manifest=manifest, references="rewrite")
    with TestClient(Starlette(routes=beside.routes)) as client:
        assert client.get(beside.url_for("assets", file="js/app.js")).headers["cache-control"] == IMMUTABLE


@pytest.mark.parametrize(("before", "after"), [(64, 16), (16, 64), (16, 8)])
@pytest.mark.parametrize("made_of", ["mtime", "content"])
def test_a_publish_with_another_length_gives_every_file_its_new_name(
    tree: Path, tmp_path: Path, before: int, after: int, made_of: str
) -> None:
    target = tmp_path / "target"
    first = store_of(tree, fingerprint_length=before, fingerprint=made_of)
    first.publish(target)
    old = first.url_for("assets", file="js/app.js").removeprefix("/assets/")
    done = store_of(tree, fingerprint_length=after, fingerprint=made_of).publish(target)[0]
    names = [entry.fingerprint for entry in done.manifest.entries.values()]
    assert {len(name or "") for name in names} == {after}
    assert (target / old).is_file(), "pages of before still name it"
    again = store_of(tree, fingerprint_length=after, fingerprint=made_of).publish(target)[0]
    assert again.new == 0
    served = store_of(target)
    with TestClient(Starlette(routes=served.routes)) as client:
        reply = client.get(f"/assets/{old}")
        assert (reply.status_code, reply.content) == (200, (tree / "js/app.js").read_bytes())
        assert client.get(served.url_for("assets", file="js/app.js")).headers["cache-control"] == IMMUTABLE


def test_a_page_whose_name_ends_like_a_short_fingerprint_stays_the_applications(tree: Path) -> None:
    def post(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"post {request.path_params['name']}")

    store = AssetStore()
    store.static("/", root=tree, name="assets", fingerprint_length=8)
    url = store.url_for("assets", file="js/app.js")
    app = Starlette(routes=[*store.routes, Route("/{name}", post)])
    for each in (app, store.wrap(app)):
        with TestClient(each) as client:
            assert client.get("/post-20240101").text == "post post-20240101"
            assert client.get(url).headers["cache-control"] == IMMUTABLE


def test_a_file_whose_own_name_ends_like_a_short_fingerprint_is_served(tree: Path) -> None:
    (tree / "js/chunk-deadbeef.js").write_bytes(b"export {}")
    store = store_of(tree, fingerprint_length=8)
    with TestClient(Starlette(routes=store.routes)) as client:
        assert client.get("/assets/js/chunk-deadbeef.js").text == "export {}"
        assert client.get("/assets/js/chunk-deadbeef.js").headers["cache-control"] == PLAIN
        reply = client.get(store.url_for("assets", file="js/chunk-deadbeef.js"))
        assert (reply.text, reply.status_code) == ("export {}", 200)
