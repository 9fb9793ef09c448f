"""What a browser would trip over is found before it does, with file, line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.errors import MountNotFound
from assetstore.templates.lint import inspect

FILES = {
    "js/app.js": 'import "./a.js"\nimport "bare"; import "lib/one.js"; import "https://h/x.js"; import "/abs.js"\n',
    "js/a.js": 'import "./b.js"; import "turbo"',
    "js/b.js": "",
    "js/lib/one.js": "",
    "css/app.css": "a {\n  b: url(x.svg) }",
    "css/x.svg": "",
}


def found(folder: Path, setting: dict[str, Any], **changed: str) -> list[str]:
    for path, text in {**FILES, **{path.replace("__", "/") + ".js": text for path, text in changed.items()}}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    assets = AssetStore(IMPORT_MAP=setting)
    assets.static("/assets/", root=folder, name="assets", references="rewrite")
    return [f"{each}" if each.fault else f"note {each}" for each in inspect(assets.pages.maps, assets.mounts)]


PINS = {"bare": "js/b.js", "lib/": "js/lib/", "turbo": "https://esm.sh/turbo"}
WHOLE: dict[str, Any] = {"imports": PINS, "entries": ["js/app.js"]}


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert found(tmp_path, WHOLE) == []


def test_a_pin_that_means_no_file_is_found_with_the_nearest_name(tmp_path: Path) -> None:
    (said,) = found(tmp_path, {"imports": PINS | {"c": "js/bb.js"}})
    assert said.startswith("import map: 'c' means 'js/bb.js' in mount 'assets'")
    assert "which is not there; did you mean 'js/b.js'" in said


def test_a_missing_entry_is_found(tmp_path: Path) -> None:
    (said,) = found(tmp_path, {"entries": ["js/ap.js"]})
    assert "'js/ap.js' in mount 'assets'" in said


def test_a_bare_specifier_that_nothing_answers_is_found(tmp_path: Path) -> None:
    (said,) = found(tmp_path, {"imports": {"bare": "js/b.js", "lib/": "js/lib/"}, "entries": ["js/app.js"]})
    assert said == "js/a.js:1:25: import of 'turbo': nothing in the import map answers for it; add a pin"


def test_a_relative_import_of_nothing_is_found(tmp_path: Path) -> None:
    (said,) = found(tmp_path, WHOLE, js__a='import "./b.js"\n  export * from "./b"')
    assert said.startswith("js/a.js:2:17: export-from of './b' means 'js/b' in mount 'assets'")
    assert "did you mean 'js/b.js'" in said


def test_an_import_that_leaves_the_mount_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, WHOLE, js__b='import("../../x.js")') == [
        "js/b.js:1:8: dynamic-import of '../../x.js' leads out of the mount"
    ]


def test_a_worker_that_is_not_there_is_found(tmp_path: Path) -> None:
    (said,) = found(tmp_path, WHOLE, js__b='new Worker(new URL("worker.js", import.meta.url))')
    assert said.startswith("js/b.js:1:20: url of 'worker.js' means 'js/worker.js'")


def test_modules_in_a_circle_are_noted_once_and_are_no_fault(tmp_path: Path) -> None:
    assert found(tmp_path, WHOLE, js__b='import "./a.js"') == [
        "note js/a.js:1:8: modules import each other in a circle: js/b.js → js/a.js → js/b.js"
    ]
    assert found(tmp_path, WHOLE, js__b='import "./b.js"') == [
        "note js/b.js:1:8: modules import each other in a circle: js/b.js → js/b.js"
    ]


def test_a_style_sheet_that_names_nothing_is_found(tmp_path: Path) -> None:
    found(tmp_path, WHOLE)
    (tmp_path / "css/x.svg").unlink()
    assets = AssetStore()
    assets.static("/assets/", root=tmp_path, name="assets", references="strict")
    assert [str(each) for each in inspect(assets.pages.maps, assets.mounts)] == [
        "css/app.css:2:6: url of 'x.svg' means 'css/x.svg', which is not there"
    ]


def test_an_unknown_mount_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MountNotFound):
        found(tmp_path, {"x": "media:x.js"})
