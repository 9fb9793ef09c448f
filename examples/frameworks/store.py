"""The store that every application in this folder uses."""

from __future__ import annotations

from pathlib import Path

from assetstore import AssetStore

HERE = Path(__file__).parent

assets = AssetStore(
    IMPORT_MAP={
        "imports": {"greeting": "js/greeting.js"},
        # What app.js imports with "./" is found by reading it, and has its fingerprinted URL in the map.
        "entries": ["js/app.js"],
    }
)
assets.static(assets.settings.ASSETS_URL, root=HERE / "assets", name="assets", references="rewrite")
