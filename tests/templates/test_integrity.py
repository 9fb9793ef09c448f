"""Integrity is that of the bytes that the URL names, or absent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path

import pytest

from assetstore.backends.local.backend import LocalBackend
from assetstore.names.base import Asset, LocalResolver
from assetstore.names.fingerprint import ContentFingerprint
from assetstore.rewrite.backend import RewrittenBackend
from assetstore.templates.integrity import Integrity, is_integrity

DATA = b"one from css/app.css\n"
EXPECTED = "sha384-" + base64.b64encode(hashlib.sha384(DATA).digest()).decode()


@pytest.fixture
def backend(asset_tree: Path) -> LocalBackend:
    return LocalBackend(asset_tree)


def asset(backend: LocalBackend | RewrittenBackend, path: str = "css/app.css") -> Asset:
    found = LocalResolver(backend, ContentFingerprint()).find(path)
    assert found is not None
    return found


def test_it_is_the_sha384_of_the_bytes(backend: LocalBackend) -> None:
    assert Integrity().of(asset(backend), backend) == EXPECTED


def test_it_is_that_of_rewritten_bytes(asset_tree: Path) -> None:
    (asset_tree / "css/app.css").write_text("a{b:url(../images/grüße.svg)}")
    backend = RewrittenBackend(LocalBackend(asset_tree), ContentFingerprint())
    opened = backend.open("css/app.css")
    data = b"".join(opened.chunks(0, opened.stat.size))
    assert b"%C3%BC" in data
    expected = "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode()
    assert Integrity().of(asset(backend), backend) == expected


def test_a_manifests_integrity_is_taken_as_it_is(backend: LocalBackend) -> None:
    published = Asset("css/app.css", "a" * 64, integrity="sha384-known")
    assert Integrity().of(published, backend) == "sha384-known"


def test_a_plain_url_has_none(backend: LocalBackend) -> None:
    assert Integrity().of(Asset("css/app.css", None, backend.stat("css/app.css")), backend) is None
    assert Integrity().of(Asset("css/app.css", None, integrity="sha384-known"), backend) is None


def test_another_version_has_none(asset_tree: Path, backend: LocalBackend) -> None:
    before = asset(backend)
    (asset_tree / "css/app.css").write_text("edited since")
    assert Integrity().of(before, backend) is None


def test_a_file_that_is_gone_has_none(asset_tree: Path, backend: LocalBackend) -> None:
    before = asset(backend)
    (asset_tree / "css/app.css").unlink()
    assert Integrity().of(before, backend) is None


def test_an_event_loop_does_not_wait_for_it(backend: LocalBackend) -> None:
    book, found = Integrity(), asset(backend)

    async def ask() -> str | None:
        return book.of(found, backend)

    assert asyncio.run(ask()) is None
    book.settle()
    assert asyncio.run(ask()) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        EXPECTED,
        "sha256-" + base64.b64encode(bytes(32)).decode(),
        f"{EXPECTED} sha512-{base64.b64encode(bytes(64)).decode()}",
    ],
)
def test_metadata_that_browsers_read_is_accepted(text: str) -> None:
    assert is_integrity(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", None, "sha384-", "sha1-" + "A" * 28, "sha384-" + "a" * 96, "sha384-AAAA", EXPECTED[7:], EXPECTED + "="],
)
def test_other_text_is_not(text: object) -> None:
    assert not is_integrity(text)
