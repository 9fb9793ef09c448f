"""The graph of own modules is read from their source, and ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from assetstore import AssetStore
from assetstore.mounts.mount import Mount
from assetstore.templates import modules
from assetstore.templates.modules import Module, ModuleGraph

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


def reached(mount: Mount, *, eager: bool = False) -> list[str]:
    def lookup(specifier: str) -> Module | None:
        return Module(mount, "js/bare.js") if specifier == "bare" else None

    return [module.path for module, _ in ModuleGraph().walk([Module(mount, "js/app.js")], lookup, eager=eager)]


def test_every_module_is_reached_once_nearest_first(mount: Mount) -> None:
    assert reached(mount) == [
        "js/app.js",
        *["js/a.js", "js/late.js", "js/bare.js", "up.js"],
        *["js/b.js", "js/later.js", "js/data.json", "js/gone.js"],
    ]


def test_eager_leaves_out_what_is_fetched_when_it_is_needed(mount: Mount) -> None:
    assert not {"js/late.js", "js/later.js"} & set(reached(mount, eager=True))


def test_an_import_keeps_its_suffix_and_one_that_leaves_the_mount_means_nothing(mount: Mount) -> None:
    graph = ModuleGraph()
    first = graph.imports(Module(mount, "js/app.js"), lambda specifier: None)
    assert [(each.module and each.module.path, each.suffix) for each in first] == [
        ("js/a.js", ""),
        ("js/late.js", ""),
        (None, ""),
        ("up.js", ""),
        ("js/a.js", "?v=1#x"),
    ]
    second = graph.imports(Module(mount, "js/b.js"), lambda specifier: None)
    assert [each.module and each.module.path for each in second] == ["js/gone.js", None, None, "js/w.js"]


def test_the_graph_is_bounded(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "MAX_MODULES", 3)
    assert len(reached(mount)) == 3
