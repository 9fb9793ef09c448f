"""Which version a file is: told by its facts, by what was recorded, and by its bytes where nothing else does."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import pytest

from asgi.tree import DATA, FINGERPRINT, MODIFIED_NS, put
from assetstore.backends.base import Backend, FileStat
from assetstore.backends.local.backend import LocalBackend
from assetstore.http.etags import WAIT_BYTES, EntityTags
from assetstore.names.base import Asset, LocalResolver, Stored
from assetstore.names.fingerprint import SAVED_NS, ContentFingerprint, Fingerprint, MtimeFingerprint, TimeFingerprint

DIGEST = hashlib.sha256(DATA).hexdigest()
OTHER = "0" * 64
STORED = f"a-{OTHER}"
STAT = FileStat("data.bin", len(DATA), MODIFIED_NS)


class Remote(LocalBackend):
    """A directory that counts as far away, so it must never be read to tell versions apart."""

    remote = True

    def open(self, *_: object, **__: object) -> object:  # type: ignore[override]
        raise AssertionError("that would be a request")


def versions_of(backend: Backend, fingerprinter: Fingerprint | None) -> EntityTags:
    return EntityTags(backend, fingerprinter, LocalResolver(backend, fingerprinter))


@pytest.mark.parametrize(
    ("fingerprinter", "expected"),
    [
        pytest.param(MtimeFingerprint(), f"{len(DATA):x}-{MODIFIED_NS:x}", id="size and time"),
        pytest.param(None, f"{len(DATA):x}-{MODIFIED_NS:x}", id="size and time where there are no fingerprints"),
        pytest.param(ContentFingerprint(), DIGEST[:32], id="content where content makes the names"),
    ],
)
def test_the_tag_of_a_local_file(tree: Path, fingerprinter: Fingerprint | None, expected: str) -> None:
    backend = LocalBackend(tree)
    assert asyncio.run(versions_of(backend, fingerprinter).tag(backend.stat("data.bin")))[0] == expected


def test_a_manifest_makes_the_tag_follow_content(tree: Path) -> None:
    class Published:
        def find(self, path: str) -> Asset | None:
            return Asset(path, OTHER, sha256=DIGEST)

    backend = LocalBackend(tree)
    versions = EntityTags(backend, MtimeFingerprint(), Published())  # type: ignore[arg-type]
    assert asyncio.run(versions.tag(backend.stat("data.bin")))[0] == DIGEST[:32]


@pytest.mark.parametrize("seconds", [0, 1, 315_532_800, 1_700_000_000])
def test_where_the_time_tells_nothing_the_tag_follows_content(tree: Path, seconds: int) -> None:
    backend = LocalBackend(tree)
    versions = versions_of(backend, TimeFingerprint())
    put(tree, "data.bin", DATA, seconds * 10**9)
    assert asyncio.run(versions.tag(backend.stat("data.bin")))[0] == DIGEST[:32]
    put(tree, "data.bin", DATA[::-1], seconds * 10**9)
    assert asyncio.run(versions.tag(backend.stat("data.bin")))[0] != DIGEST[:32]


def test_a_large_file_has_a_tag_of_its_own_until_its_digest_is_known(tree: Path) -> None:
    data = bytes(WAIT_BYTES + 1)
    put(tree, "large.bin", data, 0)
    backend = LocalBackend(tree)
    versions, stat = versions_of(backend, fingerprint := ContentFingerprint()), backend.stat("large.bin")
    first = asyncio.run(versions.tag(stat))[0]
    assert asyncio.run(versions.tag(stat))[1]
    assert first
    digest = hashlib.sha256(data).hexdigest()
    assert first != digest[:32]
    assert asyncio.run(versions.is_current(stat, digest)) is None
    assert fingerprint.digests.settle()
    assert not asyncio.run(versions.tag(stat))[1]
    assert asyncio.run(versions.tag(stat))[0] == digest[:32]
    assert asyncio.run(versions.is_current(stat, digest)) is True
    put(tree, "large.bin", data[:-1] + b"x", 0)
    newer = backend.stat("large.bin")
    assert asyncio.run(versions.tag(newer))[0] not in {first, digest[:32]}


def test_a_time_is_believed_two_seconds_after_it(tree: Path) -> None:
    backend = LocalBackend(tree)
    versions = versions_of(backend, TimeFingerprint())
    now = time.time_ns() | 1
    put(tree, "data.bin", DATA, now)
    stat = backend.stat("data.bin")
    assert asyncio.run(versions.is_current(stat, hashlib.sha256(str(now).encode()).hexdigest())) is None
    put(tree, "data.bin", DATA, now - SAVED_NS)
    stat = backend.stat("data.bin")
    assert asyncio.run(versions.is_current(stat, hashlib.sha256(str(now - SAVED_NS).encode()).hexdigest())) is True


def test_a_remote_file_is_never_read_for_its_tag(tree: Path) -> None:
    versions = versions_of(Remote(tree), ContentFingerprint())
    assert asyncio.run(versions.tag(FileStat("data.bin", 9)))[0] is None
    assert asyncio.run(versions.tag(FileStat("data.bin", 9, validator="v")))[0] == "v"
    assert asyncio.run(versions.tag(FileStat("data.bin", 9, validator="v", sha256=DIGEST)))[0] == DIGEST[:32]


def test_a_file_that_is_gone_by_now_has_the_tag_of_its_facts(tree: Path) -> None:
    versions = versions_of(LocalBackend(tree), ContentFingerprint())
    stat = FileStat("gone.bin", 16, 2**60)
    assert asyncio.run(versions.tag(stat))[0] == asyncio.run(versions.tag(stat))[0] is not None


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
        pytest.param(FileStat(STORED, 1, published_fingerprint=OTHER), True, id="recorded by a publish"),
        pytest.param(FileStat(STORED, 1, published_fingerprint=DIGEST), False, id="recorded otherwise"),
        pytest.param(FileStat(STORED, 1, fingerprint=OTHER), True, id="the backend's own word"),
        pytest.param(FileStat(STORED, 1, fingerprint=DIGEST, sha256=OTHER), False, id="which comes before all others"),
        pytest.param(FileStat(STORED, 1, sha256=OTHER), True, id="its checksum is its name"),
        pytest.param(FileStat(STORED, 1, sha256=DIGEST), False, id="its checksum is not its name"),
        pytest.param(FileStat(STORED, 1), False, id="nothing is known"),
    ],
)
def test_is_retained(tree: Path, stat: FileStat, expected: bool) -> None:
    for fingerprinter in (MtimeFingerprint(), ContentFingerprint(), None):
        versions = versions_of(Remote(tree), fingerprinter)
        assert asyncio.run(versions.is_retained(stat)) is expected


def test_what_a_manifest_names_is_checked_against_its_digest(tree: Path) -> None:
    class Published(LocalResolver):
        def stored(self, path: str) -> Stored | None:
            return Stored(len(DATA), DIGEST) if path == f"data-{OTHER}.bin" else None

    backend = LocalBackend(tree)
    versions = EntityTags(backend, None, Published(backend, None))

    def judge(data: bytes, fingerprint: str) -> bool | None:
        put(tree, f"data-{fingerprint}.bin", data)
        return asyncio.run(versions.is_retained(backend.stat(f"data-{fingerprint}.bin")))

    assert judge(DATA, OTHER) is True
    assert judge(DATA[::-1], OTHER) is False
    assert judge(DATA[:-1], OTHER) is False
    assert judge(DATA, DIGEST) is False
