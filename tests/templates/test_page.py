"""Tags say of each file what a browser needs to fetch it once, and to trust it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.errors import AssetNotFound, MountNotFound, SettingsError
from assetstore.templates.page import Pages
from waiting import eventually

CDN = "https://cdn.example.com/"


@pytest.fixture
def root(asset_tree: Path) -> Path:
    (asset_tree / "js/app.js").write_text("import './a.js'; import('./late.js'); import 'bare'")
    (asset_tree / "js/a.js").write_text("import './b.js'")
    (asset_tree / "js/b.js").write_text("")
    (asset_tree / "js/late.js").write_text("")
    (asset_tree / "js/bare.js").write_text("")
    return asset_tree


def store(root: Path, url: str = "/assets/", **settings: Any) -> AssetStore:
    assets = AssetStore(**settings)
    assets.static(url, root=root, name="assets")
    return assets


@pytest.fixture
def here(root: Path) -> Pages:
    return store(root, IMPORT_MAP={"bare": "js/bare.js"}).pages


@pytest.fixture
def there(root: Path) -> Pages:
    return store(root, CDN, IMPORT_MAP={"bare": "js/bare.js"}).pages


def shortened(html: str) -> str:
    """Fingerprints as ``-#``, digests as ``sha384-#``."""
    return re.sub(r"sha384-[A-Za-z0-9+/]{64}", "sha384-#", re.sub(r"-[0-9a-f]{64}", "-#", html))


def test_a_style_sheet_on_the_pages_own_host_is_a_plain_link(here: Pages) -> None:
    assert shortened(here.stylesheet_link("css/app.css")) == '<link rel="stylesheet" href="/assets/css/app-#.css">'


def test_a_style_sheet_on_another_host_carries_integrity_and_crossorigin(there: Pages) -> None:
    assert shortened(there.stylesheet_link("css/app.css", media="print", nonce="n")) == (
        '<link rel="stylesheet" href="https://cdn.example.com/css/app-#.css" integrity="sha384-#" '
        'crossorigin="anonymous" nonce="n" media="print">'
    )


def test_the_pages_own_host_in_full_is_no_other_host(there: Pages) -> None:
    request = SimpleNamespace(url="https://cdn.example.com/page", scope={})
    assert "crossorigin" not in there.stylesheet_link("css/app.css", request=request)
    other = SimpleNamespace(url="https://www.example.com/page", scope={})
    assert "crossorigin" in there.stylesheet_link("css/app.css", request=other)


def test_integrity_is_that_of_the_file(root: Path, there: Pages) -> None:
    digest = base64.b64encode(hashlib.sha384((root / "js/app.js").read_bytes()).digest()).decode()
    assert f'integrity="sha384-{digest}"' in there.script_tag("js/app.js")


@pytest.mark.parametrize(("wanted", "has_it"), [(True, True), (False, False), (None, False), ("sha384-mine", True)])
def test_integrity_may_be_asked_for(here: Pages, wanted: bool | str | None, has_it: bool) -> None:
    assert (" integrity=" in here.script_tag("js/app.js", integrity=wanted)) is has_it


def test_scripts_are_modules_unless_told_otherwise(here: Pages) -> None:
    assert shortened(here.script_tag("js/app.js")) == '<script type="module" src="/assets/js/app-#.js"></script>'
    classic = here.script_tag("js/app.js", module=False, defer=True)
    assert shortened(classic) == '<script src="/assets/js/app-#.js" defer></script>'


def test_several_files_are_several_tags_in_order(here: Pages) -> None:
    tags = here.script_tag("js/b.js", "js/a.js", "https://esm.sh/x").splitlines()
    assert [shortened(re.findall('src="(.*?)"', tag)[0]) for tag in tags] == [
        "/assets/js/b-#.js",
        "/assets/js/a-#.js",
        "https://esm.sh/x",
    ]
    assert "crossorigin" in tags[2]


def test_a_worker_is_on_this_server(there: Pages) -> None:
    tag = there.script_tag("js/app.js", same_origin=True)
    assert shortened(tag) == '<script type="module" src="/assets/js/app-#.js"></script>'


def test_preloaded_modules_are_those_that_run_before_the_entry_does(here: Pages) -> None:
    found = re.findall(r'href="(.*?)"', here.module_preloads("js/app.js", nonce="n"))
    assert [shortened(url) for url in found] == [f"/assets/js/{name}-#.js" for name in ("app", "a", "bare", "b")]


def test_preloads_are_bounded(here: Pages) -> None:
    assert len(here.module_preloads("js/app.js", limit=2).splitlines()) == 2


def test_preloaded_modules_carry_what_their_scripts_carry(there: Pages) -> None:
    assert shortened(there.module_preloads("js/b.js", nonce="n")) == (
        '<link rel="modulepreload" href="https://cdn.example.com/js/b-#.js" integrity="sha384-#" '
        'crossorigin="anonymous" nonce="n">'
    )


@pytest.mark.parametrize(
    ("file", "here_", "there_"),
    [
        ("fonts/text.woff2", 'as="font" type="font/woff2" crossorigin="anonymous"', None),
        ("images/a cat.jpg", 'as="image" type="image/jpeg"', None),
        ("css/app.css", 'as="style"', 'as="style" integrity="sha384-#" crossorigin="anonymous"'),
        ("js/app.js", 'as="script"', 'as="script" integrity="sha384-#" crossorigin="anonymous"'),
    ],
)
def test_a_preload_matches_the_fetch_that_it_is_for(
    here: Pages, there: Pages, file: str, here_: str, there_: str | None
) -> None:
    assert shortened(here.preload(file)).partition('" ')[2].partition('" ')[2] == f"{here_}>"
    assert shortened(there.preload(file)).partition('" ')[2].partition('" ')[2] == f"{there_ or here_}>"


def test_a_preload_that_cannot_be_guessed_asks(here: Pages) -> None:
    with pytest.raises(SettingsError, match="as_="):
        here.preload("LICENSE")
    assert 'as="fetch"' in here.preload("LICENSE", as_="fetch")


def test_a_link_header_holds_sheets_fonts_and_images(there: Pages) -> None:
    assert shortened(there.link_header("css/app.css", "fonts/text.woff2", "images/a cat.jpg")) == (
        "<https://cdn.example.com/css/app-#.css>; rel=preload; as=style; crossorigin, "
        "<https://cdn.example.com/fonts/text-#.woff2>; rel=preload; as=font; crossorigin, "
        "<https://cdn.example.com/images/a%20cat-#.jpg>; rel=preload; as=image"
    )


def test_a_link_header_stays_below_its_limit(here: Pages) -> None:
    files = ["css/app.css"] * 100
    assert len(here.link_header(*files)) <= 1000
    assert len(here.link_header(*files, max_bytes=300)) <= 300
    assert here.link_header("css/app.css", max_bytes=10) == ""


def test_a_link_header_never_holds_a_module(here: Pages) -> None:
    with pytest.raises(SettingsError, match="after the import map"):
        here.link_header("js/app.js")


def test_the_version_changes_with_any_name(root: Path) -> None:
    assets = store(root)
    before = assets.version
    assert re.fullmatch(r"[0-9a-f]{32}", before)
    assert store(root).version == before
    later = time.time_ns() + 5_000_000_000
    os.utime(root / "robots.txt", ns=(later, later))
    time.sleep(1.05)
    assert assets.version != before


def test_the_version_is_there_on_an_event_loop_too(root: Path) -> None:
    assets = store(root)

    async def ask() -> str:
        return assets.version

    assert asyncio.run(ask()) == store(root).version


def test_the_version_of_a_large_tree_never_holds_an_event_loop(tmp_path: Path) -> None:
    for number in range(5_000):
        (tmp_path / f"{number}.css").touch()
    assets = store(tmp_path)

    async def ask() -> tuple[str, float]:
        began = time.thread_time()
        return assets.version, time.thread_time() - began

    first, took = asyncio.run(ask())
    assert took < 0.1  # of several, 10 ms each at most and a step of the walk
    assert first == ""
    assert eventually(lambda: asyncio.run(ask())[0] == store(tmp_path).version)


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>', "a'b", "<!--", "x\u2028&y;"])
def test_hostile_names_stay_within_their_attribute(root: Path, name: str) -> None:
    pages = store(root, ASSETS_INTEGRITY=True).pages
    file = name.replace("/", "_")
    (root / "css" / f"{file}.css").write_text("")
    for tag in (pages.stylesheet_link(f"css/{file}.css", nonce=name), pages.script_tag(f"css/{file}.css", title=name)):
        assert tag.count("<") == (1 if tag.startswith("<link") else 2)
        assert tag.count('"') % 2 == 0
        assert "'" not in tag


def test_a_missing_asset_names_mount_place_and_nearest_name(
    root: Path, here: Pages, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert here.stylesheet_link("css/ap.css") == '<link rel="stylesheet" href="/assets/css/ap.css">'
    (said,) = [said for said in caplog.messages if str(root) in said]
    assert "'css/ap.css'" in said
    assert "'assets'" in said
    assert str(root) in said
    assert "'css/app.css'" in said
    with pytest.raises(AssetNotFound, match=r"did you mean 'css/app\.css'"):
        store(root, ASSETS_STRICT=True).pages.stylesheet_link("css/ap.css")


def test_an_unknown_mount_names_the_known_ones(here: Pages) -> None:
    with pytest.raises(MountNotFound, match="'assets'"):
        here.script_tag("medai:x.js")


def test_a_preload_has_the_media_type_of_its_mount(tmp_path: Path) -> None:
    for name in ("photo.own", "photo.svg"):
        (tmp_path / name).write_text("<svg/>")
    store = AssetStore({})
    store.static("/assets/", root=tmp_path, name="assets", fingerprint=False, media_types={".own": "image/x-own"})
    assert 'as="image" type="image/x-own"' in store.page().preload("photo.own")
    assert 'as="image" type="image/svg+xml"' in store.page().preload("photo.svg")
    assert store.page().link_header("photo.own") == "</assets/photo.own>; rel=preload; as=image"
