"""What is particular to filesystems of fsspec."""

from __future__ import annotations

import hashlib
import threading
import uuid
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, FileStat, WritableBackend, WriteOptions, read_bytes
from assetstore.backends.fsspec.backend import FilesystemBackend, MemoryBackend, TreeBackend
from assetstore.errors import (
    AssetNotFound,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    SettingsError,
)
from waiting import eventually

PLAIN = WriteOptions("text/plain", "max-age=0")


@pytest.fixture
def memory() -> MemoryBackend:
    backend = open_backend(f"memory://{uuid.uuid4().hex}/assets")
    assert isinstance(backend, MemoryBackend)
    backend._fs.pipe_file(backend._root + "/css/app.css", b"inside")
    backend._fs.pipe_file(backend._root + "/.env", b"secret")
    return backend


def test_memory_reports_the_same_facts_by_stat_open_and_walk(memory: MemoryBackend) -> None:
    stat = memory.stat("css/app.css")
    assert stat.size == 6
    assert stat.mtime_ns is not None
    assert list(memory.walk()) == [stat]
    assert memory.open("css/app.css").stat == stat


def test_two_readers_of_one_memory_file_do_not_share_a_position(memory: MemoryBackend) -> None:
    one, two = memory.open("css/app.css"), memory.open("css/app.css")
    assert [b"".join(each.chunks(0, 6)) for each in (one, two)] == [b"inside", b"inside"]
    memory._fs.pipe_file(memory._root + "/css/app.css", b"newest")
    assert b"".join(one.chunks(2, 6)) == b"side"


def test_a_rewritten_memory_file_has_a_new_time(memory: MemoryBackend) -> None:
    before = memory.stat("css/app.css").mtime_ns
    memory._fs.pipe_file(memory._root + "/css/app.css", b"newest")
    assert memory.stat("css/app.css").mtime_ns != before


def test_memory_is_writable_and_refuses_what_is_taken(memory: MemoryBackend) -> None:
    assert isinstance(memory, WritableBackend)
    source = memory.open("css/app.css")
    memory.write("b.css", source, replace(PLAIN, create_only=True))
    with pytest.raises(PublishConflict):
        memory.write("b.css", source, replace(PLAIN, create_only=True))
    with pytest.raises(BodyTruncated):
        memory.write("c.css", source, replace(PLAIN, sha256="0" * 64))
    memory.delete("b.css")
    memory.delete("b.css")
    assert [stat.path for stat in memory.walk()] == ["css/app.css"]


@pytest.mark.parametrize("path", ["", "..", "../x", "/css/app.css", "css", "css//app.css", "css/app.css/", "a\0"])
def test_what_is_no_file_is_missing(memory: MemoryBackend, path: str) -> None:
    with pytest.raises(AssetNotFound):
        memory.stat(path)
    with pytest.raises(AssetNotFound):
        memory.open(path)


def test_a_zip_tells_times_in_utc_and_the_crc_as_validator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("pub/a.css", (2024, 1, 2, 3, 4, 6)), b"body" * 1000)
    backend = open_backend(f"zip://pub::{tmp_path}/x.zip")
    stat = backend.stat("a.css")
    assert stat == FileStat("a.css", 4000, 1_704_164_646 * 10**9, stat.validator)
    assert stat.validator is not None
    assert list(backend.walk()) == [stat]
    assert read_bytes(backend, "a.css") == b"body" * 1000
    opened = backend.open("a.css")
    assert b"".join(opened.chunks(5, 9)) == b"odyb"
    opened.close()
    backend._fs.close()  # type: ignore[attr-defined]


def test_an_asynchronous_filesystem_is_refused() -> None:
    class Asynchronous(fsspec.implementations.memory.MemoryFileSystem):
        asynchronous = True

    with pytest.raises(SettingsError, match="asynchronous=True"):
        FilesystemBackend(Asynchronous(skip_instance_cache=True), "x")


def test_a_file_over_a_listing_never_answers_from_an_old_listing(tmp_path: Path) -> None:
    filesystem = fsspec.filesystem("file")
    assert filesystem.dircache is not None
    FilesystemBackend(filesystem, str(tmp_path))
    assert filesystem.dircache.use_listings_cache is False


@pytest.fixture
def tree(tmp_path: Path) -> TreeBackend:
    """A folder through fsspec, as SFTP and its like are written to."""
    return TreeBackend(fsspec.filesystem("file"), f"{tmp_path}/tree")


def test_a_tree_of_files_is_written_by_renaming(tree: TreeBackend, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"body").hexdigest()
    stat = tree.write("deep/er/a.css", BytesFile.of("a.css", b"body"), replace(PLAIN, create_only=True, sha256=digest))
    assert stat == tree.stat("deep/er/a.css")
    tree.write("deep/er/a.css", BytesFile.of("a.css", b"other"), PLAIN)
    assert (tmp_path / "tree/deep/er/a.css").read_bytes() == b"other"
    assert [each.name for each in (tmp_path / "tree/deep/er").iterdir()] == ["a.css"]
    tree.delete("deep/er/a.css")
    tree.delete("deep/er/a.css")
    with pytest.raises(AssetNotFound):
        tree.stat("deep/er/a.css")


def test_a_tree_keeps_what_it_has_where_a_write_is_refused(tree: TreeBackend, tmp_path: Path) -> None:
    tree.write("a.css", BytesFile.of("a.css", b"body"), PLAIN)
    with pytest.raises(PublishConflict, match="exists already"):
        tree.write("a.css", BytesFile.of("a.css", b"other"), replace(PLAIN, create_only=True))
    with pytest.raises(PublishConflict, match="no longer the version 'v1'"):
        tree.write("a.css", BytesFile.of("a.css", b"other"), replace(PLAIN, if_validator="v1"))
    with pytest.raises(BodyTruncated, match="SHA-256"):
        tree.write("a.css", BytesFile.of("a.css", b"other"), replace(PLAIN, sha256="0" * 64))
    assert [each.name for each in (tmp_path / "tree").iterdir()] == ["a.css"]
    assert read_bytes(tree, "a.css") == b"body"


class Hanging(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A filesystem behind a network that does not answer until ``gate`` is set."""

    protocol = "hanging"
    gate = threading.Event()
    calls = 0

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        type(self).calls += 1
        self.gate.wait(30)
        raise FileNotFoundError(path)


def test_a_listing_that_hangs_ends_in_time_and_leaves_one_thread_only() -> None:
    backend = FilesystemBackend(Hanging(skip_instance_cache=True), "x")
    backend.folder_seconds = 0.05
    for said in ("did not answer a listing within 0.05 s", "has not answered an earlier listing yet"):
        with pytest.raises(BackendTimeout, match=said):
            list(backend.walk())
    assert Hanging.calls == 1
    Hanging.gate.set()
    assert eventually(lambda: not backend._hung.is_alive())  # type: ignore[union-attr]
    backend.folder_seconds = 10.0
    with pytest.raises(BackendUnavailable, match="there is no"):
        list(backend.walk())


class Slow(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A filesystem behind a network whose listing takes until ``gate`` is set."""

    protocol = "slow"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.entered, self.gate = threading.Event(), threading.Event()

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self.entered.set()
        assert self.gate.wait(30)
        return [{"name": f"{path}/a.txt", "size": 1, "type": "file"}]


def test_a_listing_that_runs_is_no_listing_that_hangs() -> None:
    filesystem = Slow(skip_instance_cache=True)
    backend = FilesystemBackend(filesystem, "x")
    results: list[object] = []

    def run() -> None:
        try:
            results.append([each.path for each in backend.walk()])
        except BackendTimeout as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    threads[0].start()
    assert filesystem.entered.wait(30)
    threads[1].start()
    listing = "assetstore-listing"
    assert eventually(lambda: results or sum(each.name == listing for each in threading.enumerate()) >= 2)
    filesystem.gate.set()
    for thread in threads:
        thread.join()
    assert results == [["a.txt"], ["a.txt"]]
