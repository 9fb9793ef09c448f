"""``assetstore url``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from assetstore.cli.main import main

if TYPE_CHECKING:
    from servers.s3 import S3Bucket

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
def site(asset_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a module in the current directory that serves the asset tree."""
    asset_tree.rename(tmp_path / "assets")
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
        ("assets", "css/app.css", "{}:bare", "names a Starlette without assets"),
        ("media", "css/app.css", "{}:assets", "no mount is named 'media'; the mounts are: 'assets'"),
        ("media", "css/app.css", "{}:app", "no mount is named 'media'"),
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
    assert main(["url", "assets", "css/later.css", "--app", f"{site}:assets"]) == 1
    assert capsys.readouterr().out == "/assets/css/later.css\n"


REMOTE = """
from starlette.applications import Starlette
from starlette.routing import Mount
from assetstore import AssetStore

assets = AssetStore({{}})
assets.static(
    "/assets/", root={root!r}, storage_options={options!r}, name="assets", fingerprint={fingerprint!r}, index={index!r}
)
app = Starlette(routes=[*assets.routes])
"""


@pytest.mark.parametrize("fingerprint", ["mtime", "content"])
@pytest.mark.parametrize("index", ["listing", "lazy"])
@pytest.mark.parametrize("attribute", ["assets", "app"])
def test_a_name_in_a_bucket_is_waited_for(
    moto_bucket: S3Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fingerprint: str,
    index: str,
    attribute: str,
) -> None:
    moto_bucket.put({"x/css/app.css": b"a {}"})
    module = f"remote_{fingerprint}_{index}_{attribute}"
    options = {name: value for name, value in moto_bucket.server.options.items() if value is not None}
    text = REMOTE.format(root=f"{moto_bucket.url}/x", options=options, fingerprint=fingerprint, index=index)
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["url", "assets", "css/app.css", "--app", f"{module}:{attribute}"]) == 0
    assert re.fullmatch(r"/assets/css/app-[0-9a-f]{64}\.css\n", capsys.readouterr().out)
    assert main(["url", "assets", "css/none.css", "--app", f"{module}:{attribute}"]) == 1
    assert capsys.readouterr().out == "/assets/css/none.css\n"


def test_a_bucket_that_cannot_be_reached_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free_port: Callable[[], int]
) -> None:
    options = {"endpoint_url": f"http://127.0.0.1:{free_port()}", "key": "x", "secret": "x", "region": "us-east-1"}
    text = REMOTE.format(root="s3://nowhere", options=options, fingerprint="mtime", index="listing")
    (tmp_path / "remote_nowhere.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["url", "assets", "css/app.css", "--app", "remote_nowhere:assets"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("assetstore: ")
    assert "Traceback" not in err


def test_json_says_whether_the_file_is_there(site: str, command: Callable[..., Any]) -> None:
    there = command("url", "assets", "css/app.css", "--app", f"{site}:assets", "--json")
    assert (there.code, there.json["found"]) == (0, True)
    assert there.json["url"].startswith("/assets/css/app-")
    gone = command("url", "assets", "gone.css", "--app", f"{site}:assets", "--json")
    assert (gone.code, gone.json) == (1, {"url": "/assets/gone.css", "found": False})
