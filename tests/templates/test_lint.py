"""What a browser would trip over is found before it does, with file, line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.errors import MountNotFound
from assetstore.references.js import MAX_BYTES
from assetstore.templates.lint import lint

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
    return [f"{each}" if each.fault else f"note {each}" for each in lint(assets.pages.maps, assets.mounts)]


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
    assert [str(each) for each in lint(assets.pages.maps, assets.mounts)] == [
        "css/app.css:2:6: url of 'x.svg' means 'css/x.svg', which is not there"
    ]


def test_an_unknown_mount_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MountNotFound):
        found(tmp_path, {"x": "media:x.js"})


def files(folder: Path, texts: dict[str, str], setting: dict[str, Any], **options: Any) -> list[str]:
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    assets = AssetStore(IMPORT_MAP=setting)
    assets.static("/assets/", root=folder, name="assets", **options)
    return [f"{each}" if each.fault else f"note {each}" for each in lint(assets.pages.maps, assets.mounts)]


def test_what_allowed_ext_leaves_out_is_as_good_as_missing(tmp_path: Path) -> None:
    texts = {"app.js": "import './d.json' with {type: 'json'}; import './x.mjs'", "d.json": "1", "x.mjs": ""}
    said = files(tmp_path, texts, {"imports": {"x": "x.mjs"}, "entries": ["app.js"]}, allowed_ext=[".js"])
    assert len(said) == 3
    assert all("which allowed_ext= or the names of secrets keep from being served" in each for each in said)


def test_every_module_is_checked_however_many_there_are(tmp_path: Path) -> None:
    texts = {f"m{number}.js": f"import './m{number + 1}.js'" for number in range(600)}
    (said,) = files(tmp_path, texts, {"entries": ["m0.js"]})
    assert said.startswith("m599.js:1:8: import of './m600.js' means 'm600.js'")


def test_a_missing_file_behind_a_folders_pin_is_found(tmp_path: Path) -> None:
    texts = {"app.js": "import 'lib/gone.js'; import 'lib/one.js?v=2'; import 'lib/../../out.js'", "lib/one.js": ""}
    said = files(tmp_path, texts, {"imports": {"lib/": "lib/"}, "entries": ["app.js"]})
    assert len(said) == 2
    assert said[0].startswith("app.js:1:8: import of 'lib/gone.js' means 'lib/gone.js' in mount 'assets'")
    assert said[1] == "app.js:1:55: import of 'lib/../../out.js' leads out of the mount"


def test_a_specifier_that_only_another_scope_knows_is_found(tmp_path: Path) -> None:
    texts = {"app.js": "import 'x'", "admin/app.js": "import 'x'", "x.js": ""}
    said = files(tmp_path, texts, {"entries": ["app.js", "admin/app.js"], "scopes": {"admin/": {"x": "x.js"}}})
    assert said == ["app.js:1:8: import of 'x': nothing in the import map answers for it; add a pin"]


def test_the_mounts_own_urls_are_checked(tmp_path: Path) -> None:
    texts = {"app.js": "import '/assets/gone.js'; import '/assets/b.js'; import '/elsewhere/x.js'", "b.js": ""}
    (said,) = files(tmp_path, texts, {"entries": ["app.js"]})
    assert said.startswith("app.js:1:8: import of '/assets/gone.js' means 'gone.js' in mount 'assets'")


def test_a_comment_before_a_specifier_hides_nothing(tmp_path: Path) -> None:
    texts = {"app.js": 'import(/* webpackChunkName: "e" */ "./gone.js")'}
    (said,) = files(tmp_path, texts, {"entries": ["app.js"]})
    assert "'gone.js'" in said


def test_two_files_of_one_specifier_are_found_and_noted_where_the_author_decided(tmp_path: Path) -> None:
    texts = {"c/a.js": "", "c/a.mjs": "", "c/b.js": "", "c/b/index.js": ""}
    said = files(tmp_path, texts, {"imports": {"c/b": "c/b.js"}, "pin_all": {"c/": "c/"}})
    assert said == [
        "import map: 'c/a' is pinned to 'c/a.js', so pin_all leaves out 'c/a.mjs'",
        "note import map: 'c/b' is pinned to 'c/b.js', so pin_all leaves out 'c/b/index.js'",
    ]


def test_missing_source_maps_are_notes(tmp_path: Path) -> None:
    texts = {
        "a.js": "1\n//# sourceMappingURL=a.js.map",
        "a.css": "a{}\n/*# sourceMappingURL=a.css.map */",
        "b.js": "import './c.js'\n//# sourceMappingURL=data:,x",
        "c.js": "//# sourceMappingURL=c.js.map",
        "c.js.map": "{}",
    }
    said = files(tmp_path, texts, {"entries": ["a.js", "b.js"]}, references="strict")
    assert said == [
        "note a.js:2:1: source-map of 'a.js.map' means 'a.js.map', which is not there",
        "note a.css:2:1: source-map of 'a.css.map' means 'a.css.map', which is not there",
    ]


def test_a_module_or_style_sheet_that_is_too_large_to_be_read_is_named(tmp_path: Path) -> None:
    texts = {"big.js": "import './gone.js'\n".ljust(MAX_BYTES + 1), "big.css": "a{b:url(gone)}".ljust(MAX_BYTES + 1)}
    said = files(tmp_path, texts, {"entries": ["big.js"]}, references="rewrite")
    assert said == [
        f"note big.js: {MAX_BYTES + 1} bytes are too many to be read for imports ({MAX_BYTES} at most)",
        f"note big.css: {MAX_BYTES + 1} bytes are too many to be read for references ({MAX_BYTES} at most), "
        "so it is served as it is",
    ]
