"""Fingerprints of far files: what needs the bytes is made in the background, and the plain name stands until then."""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import replace

import pytest

from assetstore.backends.base import Backend, FileStat
from assetstore.errors import BackendUnavailable
from assetstore.names import listing as index_fingerprints
from assetstore.names.fingerprint import ContentFingerprint, MtimeFingerprint
from assetstore.names.listing import BackgroundFingerprints, fingerprint_of
from remote_files import RemoteFiles
from waiting import eventually


@pytest.fixture
def remote() -> RemoteFiles:
    return RemoteFiles(a=b"one", b=b"two", c=b"three")


class Making:
    """A fingerprinter that counts, waits, and fails as it is told."""

    reads = True

    def __init__(self) -> None:
        self.made: list[str] = []
        self.faults: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        self.gate.wait(5)
        self.made.append(stat.path)
        if self.faults:
            raise self.faults.pop()
        return hashlib.sha256(stat.path.encode()).hexdigest()


class TestFingerprintOf:
    def test_the_backend_s_own_comes_first(self, remote: RemoteFiles) -> None:
        stat = replace(remote.facts("a"), fingerprint="its own")
        assert fingerprint_of(stat, MtimeFingerprint(), remote) == "its own"

    def test_else_it_is_made(self, remote: RemoteFiles) -> None:
        stat = remote.facts("a")
        assert fingerprint_of(stat, ContentFingerprint(), remote) == hashlib.sha256(b"one").hexdigest()

    def test_without_a_fingerprinter_there_is_none(self, remote: RemoteFiles) -> None:
        assert fingerprint_of(remote.facts("a"), None, remote) is None


def test_the_first_answer_is_none_and_the_fingerprint_comes_soon(remote: RemoteFiles) -> None:
    fingerprints = BackgroundFingerprints(remote, ContentFingerprint())
    assert fingerprints.of(remote.facts("a")) is None
    assert eventually(lambda: fingerprints.of(remote.facts("a")) == hashlib.sha256(b"one").hexdigest())


def test_each_version_is_made_once_however_often_it_is_asked_for(remote: RemoteFiles) -> None:
    making = Making()
    making.gate.clear()
    fingerprints = BackgroundFingerprints(remote, making)
    for _ in range(50):
        assert fingerprints.of(remote.facts("a")) is None
    making.gate.set()
    assert eventually(lambda: fingerprints.of(remote.facts("a")))
    assert making.made == ["a"]
    remote.files["a"] = b"newer"
    assert fingerprints.of(remote.facts("a")) is None
    assert eventually(lambda: fingerprints.of(remote.facts("a")))
    assert making.made == ["a", "a"]


@pytest.mark.parametrize(
    "fault",
    [BackendUnavailable("down"), ZeroDivisionError("a fingerprinter of the user's own")],
    ids=["the storage", "the fingerprinter itself"],
)
def test_what_fails_is_said_and_neither_stops_the_others_nor_counts_for_ever(
    remote: RemoteFiles, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    making = Making()
    making.faults = [fault]
    fingerprints = BackgroundFingerprints(remote, making)
    with caplog.at_level(logging.WARNING, "assetstore"):
        fingerprints.of(remote.facts("a"))
        assert eventually(lambda: fingerprints.of(remote.facts("b")), 5)
    assert f"cannot fingerprint 'a' in remote://bucket: {fault}" in caplog.text
    assert eventually(lambda: fingerprints.of(remote.facts("a")), 5)


def test_how_many_wait_is_bounded(remote: RemoteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_fingerprints, "WAITING", 3)
    making = Making()
    making.gate.clear()
    fingerprints = BackgroundFingerprints(remote, making)
    for number in range(20):
        fingerprints.of(FileStat(str(number), 1))
    making.gate.set()
    assert eventually(lambda: fingerprints.of(FileStat("2", 1)))
    assert making.made == ["0", "1", "2"]


def test_how_many_are_remembered_is_bounded(remote: RemoteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_fingerprints, "MAX_FINGERPRINTS", 2)
    fingerprints = BackgroundFingerprints(remote, Making())
    for path in ("a", "b", "c"):
        assert eventually(lambda path=path: fingerprints.of(remote.facts(path)))  # type: ignore[misc]
    assert len(fingerprints._known) == 2
