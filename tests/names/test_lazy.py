"""Names that are looked up when they are first used, where storage is not listed."""

from __future__ import annotations

import logging
import time

import pytest

from assetstore.backends.base import Backend, FileStat
from assetstore.errors import BackendUnavailable
from assetstore.names.fingerprint import MtimeFingerprint
from assetstore.names.listing import LazyResolver
from remote_files import RemoteFiles
from waiting import eventually


@pytest.fixture
def remote() -> RemoteFiles:
    return RemoteFiles(a=b"one", b=b"two", c=b"three")


def test_a_name_is_plain_first_and_learnt_soon(remote: RemoteFiles) -> None:
    resolver = LazyResolver(remote, MtimeFingerprint())
    assert resolver.find("a") is None
    assert not resolver.knows("never asked")
    assert eventually(lambda: resolver.find("a"))
    assert resolver.knows("a")
    assert [each.path for each in resolver.all()] == ["a"]
    assert (remote.listings, remote.stats) == (0, 1)


def test_a_name_never_waits_for_the_storage(remote: RemoteFiles) -> None:
    remote.gate.clear()
    resolver = LazyResolver(remote, MtimeFingerprint())
    began = time.monotonic()
    for number in range(5_000):
        resolver.find(str(number))
    assert time.monotonic() - began < 4
    assert len(resolver._found._waiting) <= 1_000
    remote.gate.set()


def test_names_are_bounded(remote: RemoteFiles) -> None:
    resolver = LazyResolver(remote, MtimeFingerprint(), max_names=2)
    for path in ("a", "b", "c", "missing"):
        resolver.look_up(path)
    assert [resolver.knows(path) for path in ("a", "b", "c", "missing")] == [False, False, True, True]


def test_an_old_name_is_answered_and_learnt_anew(remote: RemoteFiles) -> None:
    resolver = LazyResolver(remote, MtimeFingerprint(), refresh_seconds=0.02)
    before = resolver.look_up("a")
    remote.files["a"] = b"newer"
    time.sleep(0.03)
    assert resolver.find("a") == before
    assert eventually(lambda: resolver.find("a") != before)
    remote.down = True
    resolver.refresh()
    assert resolver.find("a") is not None


def test_what_was_missing_is_asked_for_again_before_long(remote: RemoteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assetstore.names.listing.MISSING_SECONDS", 0.02)
    resolver = LazyResolver(remote, MtimeFingerprint())
    assert resolver.look_up("new") is None
    assert resolver.knows("new")
    remote.files["new"] = b"new"
    assert eventually(lambda: resolver.find("new"))


def test_a_storage_that_is_down_is_left_alone_for_a_moment_and_what_is_known_stays(
    remote: RemoteFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("assetstore.names.listing.RETRY_SECONDS", 0.02)
    resolver = LazyResolver(remote, MtimeFingerprint())
    known = resolver.look_up("a")
    remote.down = True
    resolver.refresh()
    with caplog.at_level(logging.WARNING, "assetstore"):
        assert eventually(
            lambda: resolver.find("a") == known and "cannot look up in remote://bucket a: down" in caplog.text
        )
        with pytest.raises(BackendUnavailable):
            resolver.look_up("a")
    remote.down = False
    remote.files["a"] = b"newer"
    assert eventually(lambda: resolver.find("a") != known)


def test_a_fingerprinter_that_raises_costs_its_own_file_only(
    remote: RemoteFiles, caplog: pytest.LogCaptureFixture
) -> None:
    class Picky(MtimeFingerprint):
        def of(self, stat: FileStat, backend: Backend) -> str | None:
            return None if stat.path == "b" else str(1 // 0)

    resolver = LazyResolver(remote, Picky())
    resolver.find("a")
    assert eventually(lambda: resolver.find("b"), 5)
    assert resolver.find("a") is None
    assert "cannot look up in remote://bucket a" in caplog.text


def test_to_start_asks_nothing(remote: RemoteFiles) -> None:
    LazyResolver(remote, MtimeFingerprint()).start()
    assert (remote.listings, remote.stats) == (0, 0)
