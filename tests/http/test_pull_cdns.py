"""Real caches in front of the origin: what they keep is right, and what is not right they do not keep.

``ASSETS_URL`` names a CDN; nginx and Varnish play it, each asking the origin for the very path
that a browser asked it for.
"""

from __future__ import annotations

import gzip
import http.client
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from assetstore import AssetStore
from servers.edges import StartEdge

SCRIPT = b"export const answer = 42;  // long enough to be worth a coding\n" * 100
OTHER_SCRIPT = SCRIPT.replace(b"42", b"43")


@dataclass
class Origin:
    """The application of the test that runs, and the paths that it was asked for."""

    app: Any = None
    paths: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
            await self.app(scope, receive, send)


@dataclass
class Cdn:
    """A store whose URLs name a CDN, its origin, and the port where the CDN is played."""

    assets: AssetStore
    origin: Origin
    root: Path
    port: int
    file: str

    def url(self, file: str) -> str:
        """The path of the asset's URL, which is all that differs from the URL on this machine."""
        url = urlsplit(self.assets.url_for("assets", file=file))
        assert url.netloc == "cdn.example.com"
        return url.path

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest("GET", path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def write(self, file: str, data: bytes, mtime: int) -> None:
        (self.root / file).write_bytes(data)
        os.utime(self.root / file, (mtime, mtime))


def home(request: object) -> PlainTextResponse:
    return PlainTextResponse("home")


@pytest.fixture(scope="module")
def origin() -> Origin:
    return Origin()


@pytest.fixture(scope="module", params=["nginx", "varnish"])
def port(
    request: pytest.FixtureRequest, origin: Origin, serve_module_app: Callable[[Any], str], module_edge: StartEdge
) -> int:
    return module_edge(request.param, urlsplit(serve_module_app(origin)).port).port


@pytest.fixture(params=["https://cdn.example.com/", "https://cdn.example.com/static/"])
def cdn(request: pytest.FixtureRequest, origin: Origin, port: int, tmp_path: Path) -> Cdn:
    """The caches live on from test to test, so each has a file of its own."""
    assets = AssetStore(ASSETS_URL=request.param)
    assets.static(assets.settings.ASSETS_URL, root=tmp_path, name="assets", shared_cache="s-maxage=60")
    origin.app, origin.paths = Starlette(routes=[*assets.routes, Route("/", home)]), []
    cdn = Cdn(assets, origin, tmp_path, port, f"app{uuid.uuid4().hex[:8]}.js")
    cdn.write(cdn.file, SCRIPT, 1_700_000_000)
    return cdn


def test_a_fingerprinted_asset_is_asked_for_once(cdn: Cdn) -> None:
    answers = [cdn.get(cdn.url(cdn.file)) for _ in range(3)]
    assert [body for _, _, body in answers] == [SCRIPT] * 3
    assert {headers["cache-control"] for _, headers, _ in answers} == {"max-age=31536000, public, immutable"}
    assert answers[2][1]["x-cache"] == "HIT"
    assert cdn.origin.paths == [cdn.url(cdn.file)]


def soon(condition: Callable[[], bool]) -> None:
    """The origin looks at its files at least once a second; a cache that kept the answer would take minutes."""
    deadline = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_rolling_deploy_poisons_no_cache(cdn: Cdn, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A page of the new release, from a machine that has it already, sends its reader to one that has not."""
    release = Cdn(
        AssetStore(ASSETS_URL=cdn.assets.settings.ASSETS_URL), cdn.origin, tmp_path_factory.mktemp("next"), 0, ""
    )
    release.assets.static(release.assets.settings.ASSETS_URL, root=release.root, name="assets")
    release.write(cdn.file, OTHER_SCRIPT, 1_700_000_100)
    new = release.url(cdn.file)
    assert new != cdn.url(cdn.file)

    status, headers, body = cdn.get(new)
    assert (status, body) == (200, SCRIPT)
    assert "immutable" not in headers["cache-control"]

    cdn.write(cdn.file, OTHER_SCRIPT, 1_700_000_100)
    soon(lambda: cdn.get(new)[:3:2] == (200, OTHER_SCRIPT))
    assert "immutable" in cdn.get(new)[1]["cache-control"]


def test_a_file_that_comes_late_is_seen_soon(cdn: Cdn) -> None:
    late = f"late-{cdn.file}"
    path = cdn.url(cdn.file).replace("app", "late-app")
    assert cdn.get(path)[0] == 404
    cdn.write(late, SCRIPT, 1_700_000_000)
    soon(lambda: cdn.get(path)[:3:2] == (200, SCRIPT))


def test_each_client_gets_a_coding_that_it_can_read(cdn: Cdn) -> None:
    for accepted in ("gzip", None, "gzip", None):
        headers = {"Accept_Encoding": accepted} if accepted else {}
        _, told, body = cdn.get(cdn.url(cdn.file), **headers)
        assert told.get("content-encoding") == accepted
        assert (gzip.decompress(body) if accepted else body) == SCRIPT


def test_a_part_is_cut_from_what_the_cache_holds(cdn: Cdn) -> None:
    cdn.get(cdn.url(cdn.file))
    status, headers, body = cdn.get(cdn.url(cdn.file), Range="bytes=10-19")
    assert (status, headers["content-range"], body) == (206, f"bytes 10-19/{len(SCRIPT)}", SCRIPT[10:20])
    assert len(cdn.origin.paths) == 1


def test_every_origin_may_read_what_the_first_one_fetched(cdn: Cdn) -> None:
    for origin in ("https://one.example", "https://two.example"):
        assert cdn.get(cdn.url(cdn.file), Origin=origin)[1]["access-control-allow-origin"] == "*"


def test_a_plain_name_is_kept_as_long_as_the_mount_says(cdn: Cdn) -> None:
    plain = cdn.url(cdn.file).rpartition("/")[0] + f"/{cdn.file}"
    etag = cdn.get(plain)[1]["etag"]
    status, _, body = cdn.get(plain, If_None_Match=etag)
    assert (status, body) == (304, b"")
    assert len(cdn.origin.paths) == 1


def test_the_applications_own_pages_are_not_shadowed(cdn: Cdn) -> None:
    assert cdn.get("/")[2] == b"home"
