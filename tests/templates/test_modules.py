"""The graph of own modules is read from their source, and ends."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from assetstore import AssetStore
from assetstore.mounts.mount import Mount
from assetstore.templates import modules
from assetstore.templates.modules import Module

FILES = {
    "js/app.js": "import './a.js'; import('./late.js'); import 'bare'; import '../up.js'; import './a.js?v=1#x'",
    "js/a.js": "export * from './b.js'; import './app.js'",
    "js/b.js": "import './gone.js'; import '../../out.js'; import 'https://h/x.js'; new URL('./w.js', import.meta.url)",
    "js/late.js": "import './later.js'",
    "js/later.js": "",
    "js/bare.js": "",
    "js/data.json": "{}",
    "up.js": "import data from './js/data.json' with {type: 'json'}",
}


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return AssetStore().static("/assets/", root=tmp_path, name="assets")


def reached(mount: Mount, *, eager: bool = False, limit: int = 100) -> list[str]:
    assets = AssetStore(IMPORT_MAP={"bare": "js/bare.js"})
    again = assets.static("/assets/", root=mount.backend, name="assets")
    return [module.path for module, _ in assets.pages.maps.walk([Module(again, "js/app.js")], eager=eager, limit=limit)]


def test_every_module_is_reached_once_nearest_first(mount: Mount) -> None:
    assert reached(mount) == [
        "js/app.js",
        *["js/a.js", "js/late.js", "js/bare.js", "up.js"],
        *["js/b.js", "js/later.js", "js/data.json", "js/gone.js"],
    ]


def test_eager_leaves_out_what_is_fetched_when_it_is_needed(mount: Mount) -> None:
    assert not {"js/late.js", "js/later.js"} & set(reached(mount, eager=True))


def test_an_import_keeps_its_suffix_and_one_that_leaves_the_mount_means_nothing(mount: Mount) -> None:
    assets = AssetStore(IMPORT_MAP={"entries": ["js/app.js"]})
    assets.static("/assets/", root=mount.backend, name="assets")
    walked = {module.path: imports for module, imports in assets.pages.maps.walk(assets.pages.maps.entries())}
    assert [(each.module and each.module.path, each.suffix, each.external) for each in walked["js/app.js"]] == [
        ("js/a.js", "", False),
        ("js/late.js", "", False),
        (None, "", False),
        ("up.js", "", False),
        ("js/a.js", "?v=1#x", False),
    ]
    assert [(each.module and each.module.path, each.external) for each in walked["js/b.js"]] == [
        ("js/gone.js", False),
        (None, False),
        (None, True),
        ("js/w.js", False),
    ]


def test_the_graph_is_bounded_and_says_so(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(reached(mount, limit=3)) == 3
    monkeypatch.setattr(modules, "MAX_MODULES", 3)
    with caplog.at_level(logging.WARNING, "assetstore"):
        assert len(reached(mount, limit=3)) == 3
    assert "imports are followed up to 3 modules, not further" in caplog.text
