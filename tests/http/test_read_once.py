"""A small file is read once for its digest, its name and its body, however its name is made; a large one never waits."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from asgi.client import ask, scope_of
from assetstore import AssetStore
from assetstore.backends.local.backend import LocalBackend, LocalFile
from assetstore.http.handler import AssetHandler
from assetstore.names import digests
from assetstore.names.manifest import dump

SMALL = b"a{color:red}" * 100
IMMUTABLE = "max-age=31536000, public, immutable"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all files that were opened to be read."""
    paths: list[str] = []
    open_ = LocalBackend.open

    def counted(self: LocalBackend, path: str, *args: Any, **options: Any) -> LocalFile:
        paths.append(path)
        return open_(self, path, *args, **options)

    monkeypatch.setattr(LocalBackend, "open", counted)
    return paths


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """One small file whose time tells nothing, as a container image leaves it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/app.css").write_bytes(SMALL)
    os.utime(tmp_path / "site/app.css", (1_700_000_000,) * 2)
    return tmp_path / "site"


MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "content": {"fingerprint": "content"},
    "manifest": {"manifest": True},
    "promised": {"fingerprint": False, "immutable": ["*.css"]},
}


@pytest.mark.parametrize("mode", MODES)
def test_a_small_file_is_read_once(site: Path, tmp_path: Path, opened: list[str], mode: str) -> None:
    first = AssetStore({})
    first.static("/assets/", root=site, name="assets")
    options = dict(MODES[mode])
    if options.pop("manifest", False):
        (release,) = first.publish(tmp_path / "published")
        (tmp_path / "manifest.json").write_bytes(dump(release.manifest))
        options["manifest"] = tmp_path / "manifest.json"
    served = AssetStore({})
    mount = served.static("/assets/", root=site, name="assets", **options)
    named = AssetStore({})  # another process: names are made apart from serving
    named.static("/assets/", root=site, name="assets", **options)
    path = named.url_for("assets", file="app.css").removeprefix("/assets/")
    opened.clear()
    reply = ask(AssetHandler(mount), path)
    assert (reply.status, reply.body, reply.headers["cache-control"]) == (200, SMALL, IMMUTABLE)
    assert opened == ["app.css"]
    served.close()


def test_a_large_file_is_sent_before_it_is_hashed(site: Path, opened: list[str]) -> None:
    with (site / "film.bin").open("wb") as file:
        file.truncate(8 << 30)
    store = AssetStore({})
    handler = AssetHandler(store.static("/assets/", root=site, name="assets", fingerprint="content"))
    for method, headers, status in (("HEAD", {}, 200), ("GET", {"Range": "bytes=5-9"}, 206)):
        reply = ask(handler, "film.bin", method, headers)
        assert reply.status == status
        assert "immutable" not in reply.headers["cache-control"]
    tag = reply.headers["etag"]
    assert ask(handler, "film.bin", "GET", {"If-None-Match": tag}).status == 304
    store.close()


def test_what_is_hashed_for_a_client_that_left_is_broken_off(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "GONE_SECONDS", 0.0)
    with (site / "film.bin").open("wb") as file:
        file.truncate(64 << 30)
    store = AssetStore({})
    mount = store.static("/assets/", root=site, name="assets", fingerprint="content")
    assert mount.fingerprinter is not None
    handler = AssetHandler(mount)

    async def visit(*, leaves: bool) -> None:
        received = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await received.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if leaves and message["type"] == "http.response.body":
                received.set()

        await handler(scope_of("film.bin", "GET" if leaves else "HEAD"), receive, send)

    asyncio.run(visit(leaves=False))
    assert not mount.fingerprinter.digests.settle(0.3), "it takes a minute"
    asyncio.run(visit(leaves=True))
    assert mount.fingerprinter.digests.settle(10)
    store.close()
