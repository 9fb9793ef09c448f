"""A mount over a small directory, its handler, and a way to ask it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from asgi.client import Reply, ask
from asgi.tree import Ask, plant
from assetstore import AssetStore
from assetstore.http.handler import AssetHandler


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(tmp_path / "tree")


@pytest.fixture
def serve(tree: Path) -> Callable[..., Ask]:
    """A way to ask a mount over ``tree``, wired with the options given."""

    def wire(root: Any = tree, url: str = "/assets/", **options: Any) -> Ask:
        handler = AssetHandler(AssetStore().static(url, root=root, name="assets", **options))

        def request(path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
            return ask(handler, path, method, headers)

        return request

    return wire


@pytest.fixture
def get(serve: Callable[..., Ask]) -> Ask:
    return serve()
