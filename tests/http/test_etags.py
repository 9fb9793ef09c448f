"""Which version a file is: told by its facts, by what was recorded, and by its bytes where nothing else does."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from asgi.tree import DATA, FINGERPRINT, MODIFIED_NS, put
from assetstore.backends.base import Backend, FileStat
from assetstore.backends.local.backend import LocalBackend
from assetstore.http.etags import Versions
from assetstore.names.base import Asset, LocalResolver
from assetstore.names.fingerprint import ContentFingerprint, Fingerprinter, MtimeFingerprint

DIGEST = hashlib.sha256(DATA).hexdigest()
OTHER = "0" * 64
STAT = FileStat("data.bin", len(DATA), MODIFIED_NS)


class Remote(LocalBackend):
    """A directory that counts as far away, so it must never be read to tell versions apart."""

    remote = True

    def open(self, *_: object, **__: object) -> object:  # type: ignore[override]
        raise AssertionError("that would be a request")


def versions_of(backend: Backend, fingerprinter: Fingerprinter | None) -> Versions:
    return Versions(backend, fingerprinter, LocalResolver(backend, fingerprinter))


@pytest.mark.parametrize(
    ("fingerprinter", "expected"),
    [
        pytest.param(MtimeFingerprint(), f"{len(DATA):x}-{MODIFIED_NS:x}", id="size and time"),
        pytest.param(None, f"{len(DATA):x}-{MODIFIED_NS:x}", id="size and time where there are no fingerprints"),
        pytest.param(ContentFingerprint(), DIGEST[:32], id="content where content makes the names"),
    ],
)
def test_the_tag_of_a_local_file(tree: Path, fingerprinter: Fingerprinter | None, expected: str) -> None:
    assert asyncio.run(versions_of(LocalBackend(tree), fingerprinter).etag(STAT)) == expected


def test_a_manifest_makes_the_tag_follow_content(tree: Path) -> None:
    class Published(LocalResolver):
        def find(self, path: str) -> Asset | None:
            return Asset(path, OTHER, sha256=DIGEST)

    backend = LocalBackend(tree)
    versions = Versions(backend, MtimeFingerprint(), Published(backend, None))
    assert asyncio.run(versions.etag(STAT)) == DIGEST[:32]


def test_a_time_that_tells_nothing_makes_the_tag_follow_content(tree: Path) -> None:
    put(tree, "data.bin", DATA, 0)
    versions = versions_of(LocalBackend(tree), None)
    stat = FileStat("data.bin", len(DATA), 0)
    assert asyncio.run(versions.etag(stat)) == DIGEST[:32]
    put(tree, "data.bin", DATA[::-1], 0)
    assert asyncio.run(versions.etag(stat)) != DIGEST[:32]


def test_a_remote_file_is_never_read_for_its_tag(tree: Path) -> None:
    versions = versions_of(Remote(tree), ContentFingerprint())
    assert asyncio.run(versions.etag(FileStat("data.bin", 9))) is None
    assert asyncio.run(versions.etag(FileStat("data.bin", 9, validator="v"))) == "v"
    assert asyncio.run(versions.etag(FileStat("data.bin", 9, validator="v", sha256=DIGEST))) == DIGEST[:32]


def test_a_file_that_is_gone_by_now_has_the_tag_of_its_facts(tree: Path) -> None:
    versions = versions_of(LocalBackend(tree), ContentFingerprint())
    assert asyncio.run(versions.etag(FileStat("gone.bin", 16, 2**60))) == f"10-{2**60:x}"


@pytest.mark.parametrize(
    ("stat", "fingerprint", "expected"),
    [
        pytest.param(STAT, FINGERPRINT, True, id="what the mount makes of it"),
        pytest.param(STAT, OTHER, False, id="anything else"),
        pytest.param(FileStat("a", 1, MODIFIED_NS, fingerprint=OTHER), OTHER, True, id="what the backend makes of it"),
        pytest.param(FileStat("a", 1, MODIFIED_NS, fingerprint=OTHER), FINGERPRINT, False, id="and only that"),
        pytest.param(FileStat("a", 1, 5, published_fingerprint=OTHER), OTHER, True, id="what a publish recorded"),
    ],
)
def test_is_current(tree: Path, stat: FileStat, fingerprint: str, expected: bool) -> None:
    versions = versions_of(LocalBackend(tree), MtimeFingerprint())
    assert asyncio.run(versions.is_current(stat, fingerprint)) is expected


def test_without_fingerprints_nothing_is_current(tree: Path) -> None:
    assert not asyncio.run(versions_of(LocalBackend(tree), None).is_current(STAT, FINGERPRINT))


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        pytest.param(FileStat("a", 1, published_fingerprint=OTHER), True, id="recorded by a publish"),
        pytest.param(FileStat("a", 1, published_fingerprint=DIGEST), False, id="recorded otherwise"),
        pytest.param(FileStat("a", 1, fingerprint=OTHER), True, id="the backend's own word"),
        pytest.param(FileStat("a", 1, fingerprint=DIGEST, sha256=OTHER), False, id="which comes before all others"),
        pytest.param(FileStat("a", 1, sha256=OTHER), True, id="its checksum is its name"),
        pytest.param(FileStat("a", 1, sha256=DIGEST), False, id="its checksum is not its name"),
        pytest.param(FileStat("a", 1), False, id="nothing is known"),
    ],
)
def test_is_retained(tree: Path, stat: FileStat, expected: bool) -> None:
    for fingerprinter in (MtimeFingerprint(), ContentFingerprint(), None):
        versions = versions_of(Remote(tree), fingerprinter)
        assert asyncio.run(versions.is_retained(stat, "a", OTHER)) is expected


def test_a_manifest_vouches_for_what_is_retained(tree: Path) -> None:
    class Vouching(LocalResolver):
        def vouches(self, path: str, fingerprint: str) -> bool:
            return (path, fingerprint) == ("a", OTHER)

    backend = Remote(tree)
    versions = Versions(backend, None, Vouching(backend, None))
    assert asyncio.run(versions.is_retained(FileStat("a", 1), "a", OTHER))
    assert not asyncio.run(versions.is_retained(FileStat("a", 1), "a", DIGEST))
