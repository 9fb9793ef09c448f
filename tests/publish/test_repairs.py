"""Whatever a target holds, a publish ends with the release that it says; and an unchanged tree is no release."""

from __future__ import annotations

import gzip
import importlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assetstore.assets import compression
from assetstore.backends import open_backend
from assetstore.backends.base import WritableBackend, read_bytes
from assetstore.errors import PublishConflict, PublishError
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.publish.layout import open_target
from assetstore.publish.releases import CURRENT, Releases
from assetstore.publish.rollback import PREVIOUS, rollback
from assetstore.store import AssetStore

MakeMount = Callable[..., Mount]
GREEN, BAD = "body{color:green}", "body{color:bad!!}"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root of one style sheet."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "app.css").write_text(GREEN)
    return root


def mount_of(root: Any, **options: Any) -> Mount:
    return AssetStore({}).static("/assets/", **{"root": root, "name": "assets", "fingerprint": "content", **options})


def test_a_rollback_puts_the_plain_names_right_too(tree: Path, any_target: WritableBackend) -> None:
    publish(mount_of(tree), any_target)
    (tree / "app.css").write_text(BAD)
    publish(mount_of(tree), any_target)
    rollback(any_target, PREVIOUS)
    assert read_bytes(any_target, "app.css").decode() == GREEN
    (tree / "app.css").write_text(GREEN)
    done = publish(mount_of(tree), any_target)
    assert (done.released, done.new) == (False, 0)


@pytest.mark.parametrize("which", ["plain", "fingerprinted"])
def test_an_object_that_another_tool_overwrote_with_as_many_bytes_is_repaired(
    tree: Path, folder: Path, target: WritableBackend, which: str
) -> None:
    entry = publish(mount_of(tree), target).manifest.entries["app.css"]
    file = folder / (entry.path if which == "plain" else entry.fingerprinted_path)
    file.write_text(BAD)
    done = publish(mount_of(tree), target)
    assert (done.new, file.read_text()) == (1, GREEN)


def test_times_set_back_do_not_hide_that_an_object_was_overwritten(
    tree: Path, folder: Path, target: WritableBackend
) -> None:
    publish(mount_of(tree), target)
    facts = (folder / "app.css").stat()
    (folder / "app.css").write_text(BAD)
    os.utime(folder / "app.css", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    publish(mount_of(tree), target)
    assert (folder / "app.css").read_text() == GREEN


def test_a_target_that_was_copied_is_read_once_and_makes_no_release(
    tree: Path, folder: Path, target: WritableBackend, watch: Any, tmp_path: Path
) -> None:
    first = publish(mount_of(tree), target).manifest
    shutil.copytree(folder, tmp_path / "copy")
    copy = open_backend(tmp_path / "copy")
    assert isinstance(copy, WritableBackend)
    done = publish(mount_of(tree), watch(copy))
    assert (done.released, done.new, done.manifest.release) == (False, 0, first.release)
    counted = watch(copy)
    publish(mount_of(tree), counted)
    assert counted.calls["open"] == 1  # the record now has the versions of the copy


def test_previous_is_the_last_good_release_and_not_the_one_that_was_withdrawn(
    tree: Path, target: WritableBackend
) -> None:
    names: dict[str, str] = {}

    def release(text: str) -> None:
        (tree / "app.css").write_text(text)
        names[publish(mount_of(tree), target).manifest.release] = text

    release("A is good")
    release("B is bad")
    assert names[rollback(target, PREVIOUS).release] == "A is good"
    release("C is bad")
    assert names[rollback(target, PREVIOUS).release] == "A is good"
    with pytest.raises(PublishError, match="no release before"):
        rollback(target, PREVIOUS)


def test_a_revert_after_the_compressor_changed_is_published_and_its_sibling_stays(
    tree: Path, folder: Path, target: WritableBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = "a{color:red}\n" * 200, "a{color:tan}\n" * 200
    for text in (one, two):
        (tree / "app.css").write_text(text)
        publish(mount_of(tree), target, siblings=("gzip",))
    real = compression._library
    another = (lambda data, thorough: gzip.compress(data, 1, mtime=0), compression._gunzip)
    monkeypatch.setattr(compression, "_library", lambda coding: another if coding == "gzip" else real(coding))
    (tree / "app.css").write_text(one)
    before = {file.name: file.read_bytes() for file in folder.glob("app-*.gz")}
    done = publish(mount_of(tree), target, siblings=("gzip",))
    assert done.released
    assert {file.name: file.read_bytes() for file in folder.glob("app-*.gz")} == before
    for each in done.manifest.entries["app.css"].stored:
        data = read_bytes(target, each.path)
        assert len(data) == each.size
        assert (gzip.decompress(data) if each.coding else data) == one.encode()


def test_a_sibling_of_other_bytes_is_written_anew(tree: Path, folder: Path, target: WritableBackend) -> None:
    text = "a{color:red}\n" * 200
    (tree / "app.css").write_text(text)
    publish(mount_of(tree), target, siblings=("gzip",))
    for file in folder.glob("*.gz"):
        file.write_bytes(gzip.compress(b"of another file"))
    assert publish(mount_of(tree), target, siblings=("gzip",)).new == 2
    assert {gzip.decompress(file.read_bytes()).decode() for file in folder.glob("*.gz")} == {text}


@pytest.mark.parametrize("references", [None, "rewrite"])
@pytest.mark.parametrize("fingerprint", [True, "mtime", "content"])
def test_a_fresh_checkout_of_the_same_commit_is_no_release(
    tmp_path: Path, target: WritableBackend, references: str | None, fingerprint: Any
) -> None:
    root = tmp_path / "checkout"
    released = []
    for run in range(3):
        shutil.rmtree(root, ignore_errors=True)
        (root / "img").mkdir(parents=True)
        (root / "app.css").write_text("@import 'base.css'; a{background:url(img/logo.png)}")
        (root / "base.css").write_text("b{background:url(img/logo.png)}")
        (root / "img/logo.png").write_bytes(b"\x89PNG same bytes")
        for number, file in enumerate(sorted(root.rglob("*"))):
            when = 1_700_000_000_000_000_123 + run * 3_600_000_000_000 + number
            os.utime(file, ns=(when, when))
        released.append(publish(mount_of(root, references=references, fingerprint=fingerprint), target).released)
    assert released == [True, False, False]


def test_another_mounts_release_is_not_replaced_unless_told_so(
    tree: Path, folder: Path, target: WritableBackend, tmp_path: Path
) -> None:
    publish(mount_of(tree, name="shop"), target)
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin/app.css").write_text("admin{}")
    with pytest.raises(PublishConflict, match="is of the mount 'shop', not 'admin'"):
        publish(mount_of(tmp_path / "admin", name="admin"), target)
    assert (folder / "app.css").read_text() == GREEN
    assert publish(mount_of(tmp_path / "admin", name="admin"), target, replace_mount=True).released


@pytest.mark.parametrize("to", [".", "public", "deep/public", "link"])
def test_a_root_is_not_published_into_itself(tree: Path, to: str) -> None:
    (tree / "link").symlink_to(tree)
    with pytest.raises(PublishConflict, match="or below it"):
        publish(mount_of(tree), open_target(tree / to))
    assert not list(tree.rglob(".assetstore"))


def test_no_directory_of_several_is_published_into_itself(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for references in (None, "rewrite"):
        mount = mount_of([tree, tmp_path / "other"], references=references)
        with pytest.raises(PublishConflict, match="or below it"):
            publish(mount, open_target(tmp_path / "other/public"))


def test_a_root_may_be_below_the_target_and_a_hidden_folder_of_the_root_may_be_one(tree: Path, tmp_path: Path) -> None:
    assert publish(mount_of(tree), open_target(tree / ".published")).released
    assert publish(mount_of(tree), open_target(tmp_path)).released


def test_secrets_and_leftovers_are_left_out_and_named(
    tree: Path, target: WritableBackend, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = ["id_rsa", "keys/server.pem", "terraform.tfstate", "dump.sql", "credentials.json", ".env", ".npmrc"]
    rubbish = ["app.css~", ".app.css.swp", "notes.swp", "__pycache__/x.pyc", ".git/config", "#draft#"]
    for path in (*secrets, *rubbish):
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text("secret")
    with caplog.at_level(logging.WARNING, "assetstore"):
        done = publish(mount_of(tree), target)
    assert set(done.manifest.entries) == {"app.css"}
    for path in (*secrets, *rubbish):
        assert path.startswith(".") or repr(path) in caplog.text


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tree: Path, target: WritableBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = mount_of(tree)
    real, reads = mount.backend.open, []

    def open_and_edit(path: str, *rest: Any, **options: Any) -> Any:
        opened = real(path, *rest, **options)
        reads.append(path)
        if len(reads) == 1:
            (tree / path).write_text(BAD)
        return opened

    monkeypatch.setattr(mount.backend, "open", open_and_edit)
    publish(mount, target)
    assert read_bytes(target, "app.css").decode() == BAD


def test_a_file_that_never_rests_is_named(tree: Path, target: WritableBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = mount_of(tree)
    real = mount.backend.open

    def open_and_edit(path: str, *rest: Any, **options: Any) -> Any:
        opened = real(path, *rest, **options)
        (tree / path).write_text(f"{time.time_ns()}")
        return opened

    monkeypatch.setattr(mount.backend, "open", open_and_edit)
    with pytest.raises(PublishError, match="'app.css' in .* changes while it is read"):
        publish(mount, target)


def test_a_name_that_the_target_cannot_hold_is_refused_before_anything_is_written(
    tree: Path, folder: Path, target: WritableBackend
) -> None:
    (tree / ("é" * 100 + ".js")).write_text("1")
    with pytest.raises(PublishError, match="255 bytes for one name, and a fingerprint adds up to 65"):
        publish(mount_of(tree), target)
    assert not folder.exists()


def test_an_unchanged_run_reads_no_file_of_the_root(tree: Path, target: WritableBackend, monkeypatch: Any) -> None:
    old = time.time() - 3600
    os.utime(tree / "app.css", (old, old))
    monkeypatch.setattr(importlib.import_module("assetstore.publish.scan"), "SETTLED_SECONDS", -1.0)
    publish(mount_of(tree), target)
    mount = mount_of(tree)

    def refuse(path: str, *rest: Any, **options: Any) -> Any:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(mount.backend, "open", refuse)
    assert not publish(mount, target).released


def test_a_plain_name_that_a_killed_publish_left_is_put_right_by_the_next(
    tree: Path, folder: Path, watched: Any
) -> None:
    (tree / "x.txt").write_text("x")
    live = publish(mount_of(tree), watched).manifest

    class Killed(BaseException):
        pass

    def kill(path: str) -> None:
        if path == CURRENT:
            raise Killed

    (tree / "app.css").write_text(BAD)
    watched.before_write = kill
    with pytest.raises(Killed):
        publish(mount_of(tree), watched)
    assert (folder / "app.css").read_text() == BAD
    watched.before_write = lambda path: None
    (tree / "app.css").write_text(GREEN)
    done = publish(mount_of(tree), watched)
    assert (done.manifest.entries["app.css"].sha256, done.new) == (live.entries["app.css"].sha256, 1)
    assert (folder / "app.css").read_text() == GREEN


def test_the_loser_of_a_race_leaves_the_plain_names_of_the_winner(
    tree: Path, tmp_path: Path, folder: Path, target: WritableBackend, watch: Any
) -> None:
    """Where the target switches in one step, no lock keeps the two apart."""
    publish(mount_of(tree), target)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/app.css").write_text("body{color:blue!}")
    (tree / "app.css").write_text(BAD)

    class OneStep(type(watch(target))):  # type: ignore[misc]
        conditional_creates = conditional_replaces = True

        def write(self, path: str, source: Any, options: Any) -> Any:
            if path == "app.css" and not self.calls["write of app.css"]:
                self.calls["write of app.css"] += 1
                publish(mount_of(tmp_path / "other"), target)
            if path == CURRENT:
                raise PublishConflict("412")
            return super().write(path, source, options)

    slow = OneStep(target)
    with pytest.raises(PublishConflict, match="1 files under plain names were written again"):
        publish(mount_of(tree), slow)
    assert (folder / "app.css").read_text() == "body{color:blue!}"
    assert len(Releases(target).require().releases) == 2
    assert len(list((folder / ".assetstore/manifests").iterdir())) == 2
