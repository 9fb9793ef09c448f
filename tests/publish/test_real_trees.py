"""Trees that nobody here wrote are published with rewritten references, and strictly where they are clean.

A handful here; ``make real-trees`` tries some thirty packages of PyPI and npm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from examples.publish_trees import TREES, TreeOf, find, try_tree


@pytest.mark.parametrize(("name", "package_name"), [("django", "django"), ("swagger-ui-py", "swagger_ui")])
def test_a_real_tree_is_published_whole(
    package: Callable[[str], ModuleType], tmp_path: Path, name: str, package_name: str
) -> None:
    package(package_name)
    root = find(name)
    assert root is not None
    found = try_tree(root, tmp_path / "out")
    assert found.wrong == []
    assert len(found.missing) == TREES[name].missing
    assert found.files > 20


def test_a_tree_with_a_missing_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "pip/shop/static"
    (root / "css").mkdir(parents=True)
    (root / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (root / "css/app.css").write_text("a { background: url(../logo.svg) } b { background: url(gone.png) }")
    monkeypatch.setitem(TREES, "shop", TreeOf("shop/static", missing=1))
    assert find("shop", tmp_path) == root
    found = try_tree(root, tmp_path / "out")
    assert found.wrong == []
    assert [each.partition(":")[0] for each in found.missing] == ["css/app.css"]
    assert len(found.missing) == TREES["shop"].missing
