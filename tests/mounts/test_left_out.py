"""Names that are their own fingerprint, and pages, get none: their URL is the plain one."""

from __future__ import annotations

from pathlib import Path

import pytest

from assetstore import AssetStore
from saved import saved_a_while_ago


@pytest.mark.parametrize("fingerprint", [True, "mtime", "content"])
def test_url_for_gives_no_second_fingerprint(fingerprint: bool | str, tmp_path: Path) -> None:
    for path in ("assets/index-CGZxCL6k.js", "app.js", "about.html"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
        saved_a_while_ago(tmp_path / path)
    store = AssetStore({})
    store.static("/a/", root=tmp_path, name="a", immutable="vite", fingerprint=fingerprint)  # type: ignore[arg-type]
    store.static("/b/", root=tmp_path, name="b", html=True, fingerprint=fingerprint)  # type: ignore[arg-type]
    assert store.url_for("a", file="assets/index-CGZxCL6k.js") == "/a/assets/index-CGZxCL6k.js"
    assert store.url_for("a", file="app.js") != "/a/app.js"
    assert store.url_for("a", file="about.html") != "/a/about.html"
    assert store.url_for("b", file="about.html") == "/b/about.html"
    assert store.url_for("b", file="assets/index-CGZxCL6k.js") != "/b/assets/index-CGZxCL6k.js"
