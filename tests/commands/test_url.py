"""This module proves ``assetstore url``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assetstore.cli import main

SITE = """
from starlette.applications import Starlette
from assetstore import AssetStore

assets = AssetStore({})
assets.static("/assets/", root="assets", name="assets")
app = Starlette(routes=assets.routes)
bare = Starlette()
number = 7
class holder:
    store = assets
"""


@pytest.fixture
def site(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a module in the current directory that serves the world."""
    world.rename(tmp_path / "assets")
    module = re.sub(r"\W", "_", request.node.name)
    (tmp_path / f"{module}.py").write_text(SITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return module


@pytest.mark.parametrize("attribute", ["assets", "app", "holder.store"])
def test_the_url_is_printed_and_nothing_else(site: str, attribute: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["url", "assets", "css/app.css", "--app", f"{site}:{attribute}"]) == 0
    assert re.fullmatch(r"/assets/css/app-[0-9a-f]{64}\.css\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("name", "file", "app", "said"),
    [
        ("assets", "css/app.css", "{}", "must name a module and an attribute"),
        ("assets", "css/app.css", ":app", "must name a module and an attribute"),
        ("assets", "css/app.css", "no_such_module_here:app", "cannot be imported from"),
        ("assets", "css/app.css", "{}:nothing", "has no attribute 'nothing'"),
        ("assets", "css/app.css", "{}:number", "names a int"),
        ("assets", "css/app.css", "{}:bare", "are store.routes among its routes?"),
        ("media", "css/app.css", "{}:assets", "no mount is named 'media'; the mounts are: 'assets'"),
        ("media", "css/app.css", "{}:app", "no mount named 'media'"),
        ("assets", "/css/app.css", "{}:assets", "starts with '/'"),
        ("assets", "../x.css", "{}:app", "could leave the root"),
    ],
)
def test_what_cannot_be_named_is_one_clear_line(
    site: str, name: str, file: str, app: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["url", name, file, "--app", app.format(site)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_missing_file_gives_its_plain_url(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["url", "assets", "css/later.css", "--app", f"{site}:assets"]) == 0
    assert capsys.readouterr().out == "/assets/css/later.css\n"
