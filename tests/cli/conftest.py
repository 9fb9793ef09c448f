"""Fixtures of the command line's tests: an application on disk, and a command that is run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assetstore.cli.main import main

SITE = """
from starlette.applications import Starlette
from starlette.routing import Mount
from assetstore.store import AssetStore

assets = AssetStore({})
assets.static("/assets/", root="assets", name="assets")
app = Starlette(routes=[Mount("/sub", routes=assets.routes)])
two = AssetStore({})
two.static("/assets/", root="assets", name="assets")
two.static("/media/", root="assets", name="media", fingerprint=False)
cdn = AssetStore({})
cdn.static("https://cdn.example.com/", root="assets", name="assets")
bare = Starlette()
"""


@pytest.fixture
def site(asset_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a module in the current directory whose stores have the asset tree as ``assets``."""
    asset_tree.rename(tmp_path / "assets")
    module = "site_" + re.sub(r"\W", "_", request.node.name)
    (tmp_path / f"{module}.py").write_text(SITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return module


@dataclass(frozen=True, slots=True)
class Told:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Runs ``assetstore`` with the words that are given."""

    def run(*words: object) -> Told:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return run
