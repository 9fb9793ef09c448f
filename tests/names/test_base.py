"""What an asset is called now: stats remembered for less than half a second, and large files hashed off the loop."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import pytest

from assetstore.backends import open_backend
from assetstore.backends.base import Backend, FileStat
from assetstore.errors import BackendUnavailable
from assetstore.names.base import STAT_SECONDS, Asset, LocalResolver
from assetstore.names.digests import TURN_BYTES
from assetstore.names.fingerprint import ContentFingerprint, MtimeFingerprint


@pytest.fixture
def backend(asset_tree: Path) -> Backend:
    return open_backend(asset_tree)


def test_an_asset_knows_its_fingerprinted_path_and_url() -> None:
    asset = Asset("a b/app.min.js", "0" * 64)
    assert asset.fingerprinted_path == f"a b/app.min-{'0' * 64}.js"
    assert asset.url_path == f"a%20b/app.min-{'0' * 64}.js"


def test_what_is_remembered_is_not_asked_again_at_once(backend: Backend, asset_tree: Path) -> None:
    resolver = LocalResolver(backend, MtimeFingerprint(), seconds=60)
    found = resolver.find("robots.txt")
    (asset_tree / "robots.txt").unlink()
    assert resolver.find("robots.txt") is found
    resolver.forget()
    assert resolver.find("robots.txt") is None


def test_a_stat_is_remembered_for_less_than_a_second() -> None:
    assert STAT_SECONDS < 0.5


def test_all_lists_every_asset(backend: Backend, asset_tree: Path) -> None:
    files = {file.relative_to(asset_tree).as_posix() for file in asset_tree.rglob("*") if file.is_file()}
    assert {asset.path for asset in LocalResolver(backend, None).all()} == files


def test_storage_that_fails_gives_no_name_and_a_warning(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: str) -> FileStat:
        raise BackendUnavailable("the disk is gone", path=path)

    monkeypatch.setattr(backend, "stat", fail)
    assert LocalResolver(backend, None).find("robots.txt") is None
    assert "the disk is gone" in caplog.text


def test_a_large_file_is_hashed_off_the_event_loop(backend: Backend, asset_tree: Path) -> None:
    content = b"x" * (TURN_BYTES + 1)
    (asset_tree / "large.bin").write_bytes(content)
    resolver = LocalResolver(backend, ContentFingerprint())

    async def ask() -> tuple[Asset | None, Asset | None]:
        first = resolver.find("large.bin")
        deadline = time.monotonic() + 5
        while (found := resolver.find("large.bin")) is not None and found.fingerprint is None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        return first, found

    first, found = asyncio.run(ask())
    assert first is not None
    assert first.fingerprint is None, "the plain name until the hash is there"
    assert found is not None
    assert found.fingerprint == hashlib.sha256(content).hexdigest()


def test_without_an_event_loop_a_large_file_is_hashed_at_once(backend: Backend, asset_tree: Path) -> None:
    content = b"x" * (TURN_BYTES + 1)
    (asset_tree / "large.bin").write_bytes(content)
    found = LocalResolver(backend, ContentFingerprint()).find("large.bin")
    assert found is not None
    assert found.fingerprint == hashlib.sha256(content).hexdigest()


def test_what_is_remembered_is_bounded(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assetstore.names.base.MAX_NAMES", 10)
    resolver = LocalResolver(backend, None)
    for number in range(100):
        resolver.find(f"missing-{number}")
    assert len(resolver._found) <= 10
