"""What is particular to a directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from assetstore.backends.base import WriteOptions, read_bytes
from assetstore.backends.local.backend import CHUNK_BYTES, LocalBackend
from assetstore.errors import (
    AssetNotFound,
    BackendForbidden,
    BodyTruncated,
    PublishConflict,
    SettingsError,
    UnsafePath,
)

PLAIN = WriteOptions("text/plain", "max-age=0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("outside")
    root = tmp_path / "root"
    (root / "css").mkdir(parents=True)
    (root / "css" / "app.css").write_text("inside")
    return root


@pytest.fixture
def backend(root: Path) -> LocalBackend:
    return LocalBackend(root)


def test_times_are_whole_nanoseconds(root: Path, backend: LocalBackend) -> None:
    os.utime(root / "css" / "app.css", ns=(1, 1_700_000_000_123_456_789))
    stat = backend.stat("css/app.css")
    assert (stat.path, stat.size, stat.mtime_ns) == ("css/app.css", 6, 1_700_000_000_123_456_789)


def pinned_copy(path: Path, data: bytes) -> Path:
    copy = path.with_name("copy")
    copy.write_bytes(data)
    os.utime(copy, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    return copy


def replaced(path: Path) -> None:
    pinned_copy(path, b"a{red}").replace(path)


def rewritten_in_place(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"a{red}")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def switched(path: Path) -> None:
    path.parent.rename(path.parent.with_name("old"))
    path.parent.mkdir()
    shutil.copy2(path.parent.with_name("old") / path.name, path)


@pytest.mark.parametrize("change", [replaced, rewritten_in_place, switched])
def test_no_two_versions_are_one_though_size_and_time_are_kept(
    root: Path, backend: LocalBackend, change: Callable[[Path], None]
) -> None:
    before = backend.stat("css/app.css")
    assert backend.stat("css/app.css").version == before.version
    time.sleep(0.02)  # a tick of the file system's clock
    change(root / "css" / "app.css")
    after = backend.stat("css/app.css")
    assert (after.size, after.mtime_ns) == (before.size, before.mtime_ns)
    assert after.version != before.version
    opened = backend.open("css/app.css")
    assert opened.stat == after
    opened.close()


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../secret.txt",
        "css/../../secret.txt",
        "css/../css/app.css",
        "/etc/passwd",
        "css//app.css",
        "css/app.css/",
        "css/app.css/child",
        "css",
        "missing.css",
        "nul\0.css",
        "back\\slash",
        "lone\udc80surrogate",
        "x" * 300,
        "/".join(["x"] * 600),
        "x" * 10_000,
    ],
)
def test_what_is_no_file_of_the_root_is_missing(backend: LocalBackend, path: str) -> None:
    with pytest.raises(AssetNotFound):
        backend.stat(path)
    with pytest.raises(AssetNotFound):
        backend.open(path)


def test_links_inside_the_root_are_followed(root: Path, backend: LocalBackend) -> None:
    (root / "alias.css").symlink_to("css/app.css")
    (root / "absolute.css").symlink_to(root / "css" / "app.css")
    (root / "styles").symlink_to("css")
    assert {stat.path for stat in backend.walk()} == {"css/app.css", "alias.css", "absolute.css", "styles/app.css"}
    for path in ("alias.css", "absolute.css", "styles/app.css"):
        assert read_bytes(backend, path) == b"inside"


def test_links_to_outside_are_missing(root: Path, backend: LocalBackend) -> None:
    (root / "file.txt").symlink_to("../secret.txt")
    (root / "folder").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to(".")
    (root / "dangling").symlink_to("nowhere")
    for path in ("file.txt", "folder/secret.txt", "loop", "dangling"):
        with pytest.raises(AssetNotFound):
            backend.stat(path)
        with pytest.raises(AssetNotFound):
            backend.open(path)
    assert [stat.path for stat in backend.walk()] == ["css/app.css"]


def test_a_sibling_whose_name_begins_like_the_root_is_outside(root: Path, backend: LocalBackend) -> None:
    sibling = root.with_name("root-of-all-evil")
    sibling.mkdir()
    (sibling / "x.txt").write_text("outside")
    (root / "x.txt").symlink_to(sibling / "x.txt")
    with pytest.raises(AssetNotFound):
        backend.open("x.txt")


def test_special_files_are_missing_and_never_wait(root: Path, backend: LocalBackend) -> None:
    os.mkfifo(root / "fifo.css")
    (root / "null.css").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(root)  # a socket's name must be short
        try:
            server.bind("socket.css")
        finally:
            os.chdir(here)
        for path in ("fifo.css", "null.css", "socket.css"):
            with pytest.raises(AssetNotFound):
                backend.open(path)
            with pytest.raises(AssetNotFound):
                backend.stat(path)
        assert [stat.path for stat in backend.walk()] == ["css/app.css"]


def test_an_unreadable_file_is_forbidden_not_missing(root: Path, backend: LocalBackend) -> None:
    (root / "css" / "app.css").chmod(0)
    root.parent.chmod(0o755)
    for folder in root.parents:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        with pytest.raises(BackendForbidden):
            backend.open("css/app.css")
    finally:
        if was_root:
            os.seteuid(0)


def test_hidden_files_are_not_listed(root: Path, backend: LocalBackend) -> None:
    (root / ".env").write_text("secret")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    assert [stat.path for stat in backend.walk()] == ["css/app.css"]


def test_a_file_that_shrinks_in_mid_read_is_truncated(root: Path, backend: LocalBackend) -> None:
    big = root / "big.bin"
    big.write_bytes(b"x" * (CHUNK_BYTES + 10))
    opened = backend.open("big.bin")
    chunks = opened.chunks(0, opened.stat.size)
    assert len(next(chunks)) == CHUNK_BYTES
    os.truncate(big, 5)
    with pytest.raises(BodyTruncated):
        next(chunks)
    opened.close()


def test_an_open_file_is_one_version_through_replacement_and_deletion(root: Path, backend: LocalBackend) -> None:
    opened = backend.open("css/app.css")
    (root / "new").write_text("newer!")
    os.replace(root / "new", root / "css" / "app.css")
    (root / "css" / "app.css").unlink()
    assert b"".join(opened.chunks(0, opened.stat.size)) == b"inside"
    opened.close()
    opened.close()


def test_a_write_is_whole_or_not_at_all(root: Path, backend: LocalBackend) -> None:
    source = LocalBackend(root).open("css/app.css")
    digest = hashlib.sha256(b"inside").hexdigest()
    stat = backend.write("deep/er/copy.css", source, replace(PLAIN, sha256=digest))
    assert stat.size == 6
    assert (root / "deep" / "er" / "copy.css").stat().st_mode & 0o777 == 0o644
    with pytest.raises(BodyTruncated):
        backend.write("deep/er/copy.css", source, replace(PLAIN, sha256="0" * 64))
    assert os.listdir(root / "deep" / "er") == ["copy.css"]
    source.close()


def test_create_only_refuses_a_name_that_is_taken(root: Path, backend: LocalBackend) -> None:
    source = backend.open("css/app.css")
    backend.write("a.css", source, replace(PLAIN, create_only=True))
    with pytest.raises(PublishConflict):
        backend.write("a.css", source, replace(PLAIN, create_only=True))
    assert sorted(os.listdir(root)) == ["a.css", "css"]
    source.close()


def test_nothing_is_written_or_deleted_outside(root: Path, backend: LocalBackend) -> None:
    (root / "folder").symlink_to("..")
    source = backend.open("css/app.css")
    with pytest.raises(UnsafePath):
        backend.write("folder/secret.txt", source, PLAIN)
    with pytest.raises(UnsafePath):
        backend.delete("folder/secret.txt")
    with pytest.raises(UnsafePath):
        backend.delete("../secret.txt")
    assert (root.parent / "secret.txt").read_text() == "outside"
    source.close()


def test_deleting_twice_is_no_error(root: Path, backend: LocalBackend) -> None:
    backend.delete("css/app.css")
    backend.delete("css/app.css")
    assert not (root / "css" / "app.css").exists()


def test_a_root_that_is_missing_or_a_file_is_an_error_at_wiring(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        LocalBackend(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="is not a directory"):
        LocalBackend(tmp_path / "file", must_exist=False)


def test_a_tree_built_later_is_seen(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "later", must_exist=False)
    assert list(backend.walk()) == []
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.css").write_text("a")
    assert backend.stat("a.css").size == 1


def test_a_root_that_is_a_link_may_be_moved_to_another_release(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.css").write_text(name)
    (tmp_path / "current").symlink_to("one")
    backend = LocalBackend(tmp_path / "current")
    assert read_bytes(backend, "a.css") == b"one"
    (tmp_path / "next").symlink_to("two")
    os.replace(tmp_path / "next", tmp_path / "current")
    assert read_bytes(backend, "a.css") == b"two"


def test_no_descriptor_is_left_open(root: Path, backend: LocalBackend) -> None:
    before = len(os.listdir("/proc/self/fd"))
    (root / "out").symlink_to("../secret.txt")
    for path in ("css/app.css", "missing", "css", "out"):
        for _ in range(5):
            try:
                backend.stat(path)
                backend.open(path).close()
            except AssetNotFound:
                pass
    assert len(os.listdir("/proc/self/fd")) == before
