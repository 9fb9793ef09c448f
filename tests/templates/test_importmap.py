"""The import map that pages carry leads every import to a fingerprinted URL."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import json
import logging
import os
import re
import time
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.errors import AssetNotFound, MountNotFound
from assetstore.names import manifest as manifests
from assetstore.names.base import STAT_SECONDS
from assetstore.templates.importmap import LIST_SECONDS, MAP_SECONDS

FILES = {
    "js/app.js": "import './dep.js'; import 'lib/one.js'",
    "js/dep.js": "import './leaf.js?v=2'",
    "js/leaf.js": "export default 1",
    "js/lib/one.js": "",
    "js/lib/deep/two.mjs": "",
    "js/lib/notes.txt": "",
    "js/controllers/hello_controller.js": "import '../dep.js'",
    "js/controllers/index.js": "",
    "js/controllers/admin/index.js": "",
    "js/admin/main.js": "import 'dep'",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def store(root: Path, setting: dict[str, Any], url: str = "/assets/", **given: Any) -> AssetStore:
    settings = {name: given.pop(name) for name in list(given) if name.isupper()}
    assets = AssetStore(IMPORT_MAP=setting, **settings)
    assets.static(url, root=root, name="assets", **given)
    return assets


def value(assets: AssetStore, request: object | None = None) -> Any:
    return assets.pages.importmap(request).value


def test_pins_lead_to_fingerprinted_urls_and_urls_stay_as_they_are(root: Path) -> None:
    assets = store(root, {"leaf": "js/leaf.js", "own": "/vendor/x.js", "far": "https://esm.sh/x"})
    assert value(assets) == {
        "imports": {
            "leaf": assets.url_for("assets", file="js/leaf.js"),
            "own": "/vendor/x.js",
            "far": "https://esm.sh/x",
        }
    }


def test_mounts_with_hosts_of_their_own_share_one_map(root: Path) -> None:
    assets = store(root, {"leaf": "js/leaf.js", "other": "media:js/leaf.js"})
    assets.static("https://cdn.example.com/m/", root=root, name="media", origin_path="/m/")
    imports = value(assets)["imports"]
    assert re.fullmatch(r"/assets/js/leaf-[0-9a-f]{64}\.js", imports["leaf"])
    assert re.fullmatch(r"https://cdn\.example\.com/m/js/leaf-[0-9a-f]{64}\.js", imports["other"])


@pytest.mark.parametrize(
    ("url", "base"), [("/assets/", "/assets"), ("https://cdn.example.com/x/", "https://cdn.example.com/x")]
)
def test_relative_imports_are_mapped_from_the_url_that_the_browser_makes(root: Path, url: str, base: str) -> None:
    assets = store(root, {"entries": ["js/app.js"], "integrity": False}, url)
    assert value(assets)["imports"] == {
        f"{base}/js/dep.js": assets.url_for("assets", file="js/dep.js"),
        f"{base}/js/leaf.js?v=2": assets.url_for("assets", file="js/leaf.js") + "?v=2",
    }


def test_a_module_that_is_spread_over_hosts_is_mapped_from_its_importers_host(root: Path) -> None:
    hosts = [f"https://cdn{number}.example.com" for number in range(5)]
    assets = store(root, {"entries": ["js/app.js"], "integrity": False}, asset_host=hosts)
    importer = assets.url_for("assets", file="js/app.js").partition("/assets/")[0]
    assert value(assets)["imports"][f"{importer}/assets/js/dep.js"] == assets.url_for("assets", file="js/dep.js")


def test_a_folder_pin_names_each_module_and_leaves_the_rest_to_the_folder(root: Path) -> None:
    assets = store(root, {"imports": {"lib/": "js/lib/"}})
    assert value(assets)["imports"] == {
        "lib/": "/assets/js/lib/",
        "lib/one.js": assets.url_for("assets", file="js/lib/one.js"),
        "lib/deep/two.mjs": assets.url_for("assets", file="js/lib/deep/two.mjs"),
    }


def test_pin_all_drops_extensions_and_gives_the_index_the_folders_name(root: Path) -> None:
    assets = store(root, {"pin_all": {"controllers": "js/controllers"}})
    pinned = {specifier for specifier in value(assets)["imports"] if not specifier.startswith("/")}
    assert pinned == {"controllers", "controllers/hello_controller", "controllers/admin"}


def test_scopes_are_urls_with_pins_of_their_own(root: Path) -> None:
    assets = store(root, {"imports": {"dep": "js/dep.js"}, "scopes": {"js/admin/": {"dep": "js/leaf.js"}}})
    assert value(assets)["scopes"] == {"/assets/js/admin/": {"dep": assets.url_for("assets", file="js/leaf.js")}}


def test_the_root_path_stands_before_every_key_and_value(root: Path) -> None:
    assets = store(root, {"entries": ["js/app.js"], "imports": {"leaf": "js/leaf.js"}})
    imports = value(assets, SimpleNamespace(scope={"root_path": "/shop"}))["imports"]
    assert all(key == "leaf" or key.startswith("/shop/assets/") for key in imports)
    assert all(url.startswith("/shop/assets/") for url in imports.values())


def sri(root: Path, path: str) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384((root / path).read_bytes()).digest()).decode()


def test_integrity_is_keyed_by_url_and_covers_what_is_imported_relatively(root: Path) -> None:
    assets = store(root, {"entries": ["js/app.js"], "imports": {"leaf": "js/leaf.js"}, "integrity": True})
    assert value(assets)["integrity"] == {
        assets.url_for("assets", file="js/leaf.js"): sri(root, "js/leaf.js"),
        assets.url_for("assets", file="js/dep.js"): sri(root, "js/dep.js"),
    }


def test_plain_urls_have_no_integrity(root: Path) -> None:
    assert "integrity" not in value(
        store(root, {"imports": {"leaf": "js/leaf.js"}, "integrity": True}, fingerprint=False)
    )


@pytest.mark.parametrize(
    ("url", "setting", "has_it"),
    [
        ("/assets/", None, False),
        ("/assets/", True, True),
        ("https://cdn.example.com/", None, True),
        ("https://cdn.example.com/", False, False),
    ],
)
def test_integrity_appears_by_itself_on_another_host(root: Path, url: str, setting: bool | None, has_it: bool) -> None:
    assets = store(root, {"leaf": "js/leaf.js"}, url, ASSETS_INTEGRITY=setting)
    assert ("integrity" in value(assets)) is has_it


def test_integrity_that_the_author_gives_is_taken(root: Path) -> None:
    digest = "sha384-" + "A" * 64
    assets = store(root, {"far": {"url": "https://esm.sh/x", "integrity": digest}, "leaf": "js/leaf.js"})
    assert value(assets)["integrity"] == {"https://esm.sh/x": digest}


def test_a_changed_leaf_changes_its_url_and_nothing_else(root: Path) -> None:
    assets = store(root, {"entries": ["js/app.js"], "imports": {"app": "js/app.js"}})
    before = value(assets)["imports"]
    later = time.time_ns() + 5_000_000_000
    os.utime(root / "js/leaf.js", ns=(later, later))
    assert MAP_SECONDS + STAT_SECONDS < 1, "a saved module is seen within a second"
    deadline = time.monotonic() + 10
    while value(assets)["imports"] == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    after = value(assets)["imports"]
    assert {key for key in before if before[key] != after[key]} == {"/assets/js/leaf.js?v=2"}


def test_a_new_module_in_a_pinned_folder_is_seen_within_a_second(root: Path) -> None:
    assets = store(root, {"imports": {"lib/": "js/lib/"}})
    value(assets)
    (root / "js/lib/new.js").write_text("")
    assert MAP_SECONDS + LIST_SECONDS < 1
    time.sleep(MAP_SECONDS + LIST_SECONDS)
    assert "lib/new.js" in value(assets)["imports"]


def test_the_map_is_the_same_text_whatever_the_order_of_the_setting(root: Path) -> None:
    setting = {"a": "js/app.js", "b": "js/dep.js", "c": "js/leaf.js"}
    one, other = store(root, setting), store(root, dict(reversed(setting.items())))
    assert one.pages.importmap().json == other.pages.importmap().json


def test_hosts_that_follow_the_request_have_maps_of_their_own(root: Path) -> None:
    def choose(request: Any) -> str:
        return f"https://{request.tenant}.example.com"

    assets = store(root, {"leaf": "js/leaf.js"}, asset_host=choose)
    one, other = SimpleNamespace(tenant="one"), SimpleNamespace(tenant="two")
    for _ in range(2):
        assert value(assets, one)["imports"]["leaf"].startswith("https://one.example.com/")
        assert value(assets, other)["imports"]["leaf"].startswith("https://two.example.com/")
    assert assets.pages.importmap(one) is assets.pages.importmap(one)


def test_maps_do_not_pile_up(root: Path) -> None:
    assets = store(root, {"leaf": "js/leaf.js"})
    first = assets.pages.importmap(SimpleNamespace(scope={"root_path": "/0"}))
    seen = weakref.ref(first)
    del first
    for number in range(1, 300):
        value(assets, SimpleNamespace(scope={"root_path": f"/{number}"}))
    gc.collect()
    assert seen() is None


def test_the_tag_carries_the_nonce_and_the_hash_is_that_of_its_text(root: Path) -> None:
    assets = store(root, {"leaf": "js/leaf.js"})
    tag = assets.render_importmap(nonce='r4"nd')
    match = re.fullmatch(r'<script type="importmap" nonce="r4&#34;nd">(.*)</script>', tag)
    assert match is not None
    assert json.loads(match[1]) == value(assets)
    expected = base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
    assert assets.importmap_csp_hash() == f"'sha256-{expected}'"


def test_hostile_specifiers_cannot_end_the_script(root: Path) -> None:
    hostile = {
        "</script><script>alert(1)</script>": "js/leaf.js",
        "<!--": "https://h/</script>",
        "a\u2028b&": "js/leaf.js",
    }
    tag = store(root, hostile).render_importmap()
    assert tag.count("<") == 2
    assert "\u2028" not in tag
    assert set(json.loads(tag.removeprefix('<script type="importmap">').removesuffix("</script>"))["imports"]) == set(
        hostile
    )


def test_an_empty_setting_is_a_map_without_entries(root: Path) -> None:
    assert store(root, {}).render_importmap() == '<script type="importmap">{"imports":{}}</script>'


def test_an_unknown_mount_is_an_error_and_a_missing_file_only_where_strict(root: Path) -> None:
    with pytest.raises(MountNotFound, match="media"):
        value(store(root, {"a": "media:a.js"}))
    assert value(store(root, {"a": "js/gone.js"}))["imports"] == {"a": "/assets/js/gone.js"}
    with pytest.raises(AssetNotFound):
        value(store(root, {"a": "js/gone.js"}, ASSETS_STRICT=True))


def test_an_event_loop_gets_a_map_at_once_and_all_of_it_soon(root: Path) -> None:
    assets = store(root, {"entries": ["js/app.js"], "imports": {"leaf": "js/leaf.js"}, "integrity": True})

    async def ask() -> Any:
        return value(assets)

    first = asyncio.run(ask())
    assert "leaf" in first["imports"]
    whole = {"leaf", "/assets/js/dep.js", "/assets/js/leaf.js?v=2"}
    deadline = time.monotonic() + 20
    while set((last := asyncio.run(ask()))["imports"]) != whole or len(last.get("integrity", {})) != 2:
        assert time.monotonic() < deadline
        time.sleep(MAP_SECONDS / 3)


def test_settling_computes_everything(root: Path) -> None:
    assets = store(root, {"entries": ["js/app.js"], "integrity": True})
    assets.pages.settle()

    async def ask() -> Any:
        return value(assets)

    assert len(asyncio.run(ask())["integrity"]) == 2


def test_a_server_that_has_only_a_manifest_gives_the_same_map(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    setting = {"imports": {"lib/": "js/lib/"}, "entries": ["js/app.js", "js/controllers/hello_controller.js"]}
    publisher = store(root, setting, "https://cdn.example.com/", fingerprint="content")
    bucket, empty = tmp_path_factory.mktemp("bucket"), tmp_path_factory.mktemp("empty")
    [published] = publisher.publish(bucket)
    manifest = manifests.load(manifests.dump(published.manifest), "the manifest")
    server = store(empty, setting, "https://cdn.example.com/", manifest=manifest)
    assert value(server) == value(publisher)
    assert len(value(server)["integrity"]) == 4
    assert server.pages.module_preloads("js/app.js") == publisher.pages.module_preloads("js/app.js")


def test_an_import_by_the_mounts_own_url_has_the_fingerprinted_one_too(root: Path) -> None:
    (root / "js/dep.js").write_text("import '/assets/js/app.js?v=1'; import 'https://other.example.com/js/app.js'")
    assets = store(root, {"entries": ["js/app.js"]})
    assert value(assets)["imports"]["/assets/js/app.js?v=1"] == assets.url_for("assets", file="js/app.js") + "?v=1"
    assert "https://other.example.com/js/app.js" not in value(assets)["imports"]


def test_a_module_of_another_mount_is_found_by_its_url(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    media = tmp_path_factory.mktemp("media")
    (media / "x.js").write_text("import './y.js'")
    (media / "y.js").write_text("")
    (root / "js/leaf.js").write_text("import '/assets/media/x.js'")
    assets = store(root, {"entries": ["js/leaf.js"]})
    assets.static("/assets/media/", root=media, name="media")
    assert value(assets)["imports"] == {
        "/assets/media/x.js": assets.url_for("media", file="x.js"),
        "/assets/media/y.js": assets.url_for("media", file="y.js"),
    }


def test_what_an_author_pins_wins_over_what_a_folder_holds(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("hello.js", "hello.mjs", "hello/index.js", "other.js", "other.mjs"):
        (root / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "c" / name).write_text("")
    setting = {
        "imports": {"c/hello": "c/hello.mjs", "lib/": "js/lib/", "lib/one.js": "js/leaf.js"},
        "pin_all": {"c/": "c/"},
    }
    assets = store(root, setting)
    with caplog.at_level(logging.WARNING, "assetstore"):
        for _ in range(2):
            imports = value(assets)["imports"]
            time.sleep(MAP_SECONDS)
    assert imports["c/hello"] == assets.url_for("assets", file="c/hello.mjs")
    assert imports["lib/one.js"] == assets.url_for("assets", file="js/leaf.js")
    assert imports["c/other"] == assets.url_for("assets", file="c/other.js")
    (said,) = caplog.messages
    assert said == "import map: pin_all gives 'c/other' to 'c/other.js', and leaves out 'c/other.mjs'"


def test_a_scope_decides_what_is_preloaded(root: Path) -> None:
    files = {
        "turbo-8.js": "",
        "turbo-7.js": "import './seven-only.js'",
        "seven-only.js": "",
        "only.js": "",
        "admin/app.js": "import 'turbo'; import 'only'; import 'lib/one.js'",
    }
    for path, text in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    assets = store(
        root,
        {
            "imports": {"turbo": "turbo-8.js", "lib/": "js/lib/"},
            "entries": ["admin/app.js"],
            "scopes": {"admin/": {"turbo": "turbo-7.js", "only": "only.js"}, "js/": {"turbo": "turbo-8.js"}},
        },
    )
    preloaded = re.findall(r"/assets/([\w/.-]+?)-[0-9a-f]{64}", str(assets.pages.module_preloads("admin/app.js")))
    assert preloaded == ["admin/app", "turbo-7", "only", "js/lib/one", "seven-only"]


def test_a_large_graph_never_holds_an_event_loop_for_long(root: Path) -> None:
    for number in range(1_500):
        (root / f"js/m{number}.js").write_text(f"import './m{number + 1}.js'")
    (root / "js/m1500.js").write_text("'(' + " * 20_000 + "''")
    assets = store(root, {"entries": ["js/m0.js"], "imports": {"leaf": "js/leaf.js"}})

    async def pages() -> None:
        until = time.monotonic() + 30
        while len(value(assets)["imports"]) < 1_501:
            assert time.monotonic() < until
            await asyncio.sleep(0.02)

    stall = longest_call(pages)
    assert stall < 0.2, f"one call held the loop for {stall * 1000:.0f} ms"


def longest_call(work: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """The longest CPU time of the loop's own thread between two of its turns, in seconds."""

    async def main() -> float:
        worst, last = 0.0, time.thread_time()
        task = asyncio.ensure_future(work())
        while not task.done():
            await asyncio.sleep(0)
            now = time.thread_time()
            worst, last = max(worst, now - last), now
        task.result()
        return worst

    return asyncio.run(main())
