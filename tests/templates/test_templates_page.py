"""A page says the same as the store does, with its request and nonce filled in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from assetstore import AssetStore


def test_every_tag_has_the_pages_request_and_nonce(asset_tree: Path) -> None:
    assets = AssetStore(IMPORT_MAP={"app": "js/app.min.js"})
    assets.static("/assets/", root=asset_tree, name="assets")
    page = assets.page(SimpleNamespace(scope={"root_path": "/shop"}), nonce="n-1")
    tags = [
        page.render_importmap(),
        page.stylesheet_link("css/app.css"),
        page.script_tag("js/app.min.js"),
        page.module_preloads("js/app.min.js"),
        page.preload("fonts/text.woff2"),
    ]
    for tag in tags:
        assert 'nonce="n-1"' in tag
        assert '"/shop/assets/' in tag
    assert page.link_header("css/app.css").startswith("</shop/assets/css/app-")
    assert page.url_for("assets", file="LICENSE", same_origin=True).startswith("/shop/assets/LICENSE-")
    assert page.version == assets.version
    assert 'nonce="own"' in page.script_tag("js/app.min.js", nonce="own")
