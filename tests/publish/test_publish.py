"""A publish as a whole, from a mount to a target."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.base import WritableBackend, read_bytes
from assetstore.errors import BackendUnavailable, PublishConflict, PublishError
from assetstore.mounts.mount import Mount
from assetstore.names import manifest as manifests
from assetstore.names.fingerprint import split
from assetstore.publish import publish
from assetstore.publish.plan import Reason
from assetstore.publish.releases import CURRENT, Releases


def reasons(done: Any) -> Counter[str]:
    return Counter(row.reason.value for row in done.plan.rows)


def test_every_asset_arrives_under_both_names_with_its_bytes(
    mount: Mount, any_target: WritableBackend, asset_tree: Path
) -> None:
    done = publish(mount, any_target)
    stored = {stat.path for stat in any_target.walk()}
    files = {str(file.relative_to(asset_tree)): file for file in asset_tree.rglob("*") if file.is_file()}
    assert {split(path)[0] for path in stored if split(path)[1]} == set(files)
    assert {path for path in stored if not split(path)[1]} == set(files)
    for path in stored:
        assert read_bytes(any_target, path) == files[split(path)[0]].read_bytes()
    assert done.released
    assert (done.new, done.same) == (len(stored), 0)


def test_the_published_names_are_those_that_url_for_gives(mount: Mount, any_target: WritableBackend) -> None:
    done = publish(mount, any_target)
    for path, entry in done.manifest.entries.items():
        asset = mount.resolver.find(path)
        assert asset is not None
        assert asset.fingerprinted_path == entry.fingerprinted_path


def test_a_second_run_reads_the_ledger_once_lists_once_and_writes_nothing(mount: Mount, watched: Any) -> None:
    first = publish(mount, watched)
    watched.calls.clear()
    second = publish(mount, watched)
    assert watched.calls == {"open": 1, "walk": 1}
    assert not second.released
    assert second.manifest == first.manifest
    assert reasons(second) == {"same": second.same}


def test_a_fresh_checkout_with_other_times_changes_nothing(
    mount: Mount, asset_tree: Path, watched: Any, age: Callable[[Path, float], None]
) -> None:
    first = publish(mount, watched)
    for file in asset_tree.rglob("*.*"):
        if file.is_file():
            age(file, 1000)
    watched.calls.clear()
    second = publish(mount, watched)
    assert watched.calls["write"] == 0
    assert second.manifest == first.manifest


def test_only_the_changed_file_is_written_and_its_earlier_version_is_retained(
    mount: Mount, asset_tree: Path, watched: Any, age: Callable[[Path, float], None]
) -> None:
    before = publish(mount, watched).manifest
    (asset_tree / "css/app.css").write_text("new")
    age(asset_tree / "css/app.css", 1)
    watched.written.clear()
    done = publish(mount, watched)
    entry = done.manifest.entries["css/app.css"]
    hidden = [path for path in watched.written if path.startswith(".assetstore/")]
    assert [path for path in watched.written if path not in hidden] == [entry.fingerprinted_path, "css/app.css"]
    release = f".assetstore/manifests/{done.manifest.release}.json"
    assert hidden[0].startswith(".assetstore/journals/")
    assert hidden[1:] == [".assetstore/lock.json", release, CURRENT]
    assert done.manifest.retained == {before.entries["css/app.css"].fingerprinted_path}
    assert reasons(done) == {"same": 16, "missing": 1, "changed": 1}


def test_bytes_that_changed_in_place_with_the_same_size_and_time_are_seen(
    make_mount: Callable[..., Mount], asset_tree: Path, target: WritableBackend
) -> None:
    mount = make_mount(fingerprint="content")
    publish(mount, target)
    file = asset_tree / "css/app.css"
    facts = file.stat()
    file.write_bytes(b"x" * facts.st_size)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    fresh = make_mount(fingerprint="content")  # a deploy is a new process
    done = publish(fresh, target)
    assert reasons(done)["changed"] == 1
    assert read_bytes(target, "css/app.css") == file.read_bytes()


def test_a_fingerprinted_name_with_other_bytes_is_a_hard_error(
    mount: Mount, asset_tree: Path, target: WritableBackend
) -> None:
    publish(mount, target)
    file = asset_tree / "css/app.css"
    facts = file.stat()
    file.write_bytes(b"y" * facts.st_size)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    before = read_bytes(target, CURRENT)
    with pytest.raises(PublishConflict, match="fingerprint='content'"):
        publish(mount, target)
    assert read_bytes(target, CURRENT) == before


def test_a_removed_file_makes_a_release_and_deletes_nothing(mount: Mount, asset_tree: Path, watched: Any) -> None:
    gone = publish(mount, watched).manifest.entries["robots.txt"]
    (asset_tree / "robots.txt").unlink()
    done = publish(mount, watched)
    assert done.released
    assert "robots.txt" not in done.manifest.entries
    assert read_bytes(watched, gone.fingerprinted_path)
    assert all(path.startswith((".assetstore/lock", ".assetstore/journals/")) for path in watched.deleted)


def test_an_object_that_somebody_else_overwrote_is_repaired(
    mount: Mount, folder: Path, target: WritableBackend, asset_tree: Path
) -> None:
    publish(mount, target)
    (folder / "css/app.css").write_text("vandalised, and longer than it was")
    done = publish(mount, target)
    assert reasons(done)["changed"] == 1
    assert (folder / "css/app.css").read_bytes() == (asset_tree / "css/app.css").read_bytes()


def test_header_rules_that_changed_are_header_drift(
    make_mount: Callable[..., Mount], any_target: WritableBackend
) -> None:
    publish(make_mount(), any_target)
    done = publish(make_mount(headers={"*.svg": {"Content-Disposition": "inline"}}), any_target)
    drifted = [row.stored.path for row in done.plan.rows if row.reason is Reason.HEADER_DRIFT]
    assert [split(path)[0] for path in drifted] == ["images/grüße.svg"] * 2
    assert publish(make_mount(headers={"*.svg": {"Content-Disposition": "inline"}}), any_target).new == 0


def test_force_writes_everything_again_under_the_same_names(mount: Mount, any_target: WritableBackend) -> None:
    first = publish(mount, any_target)
    done = publish(mount, any_target, force=True)
    assert reasons(done) == {"forced": 18}
    assert {each.path for each in done.manifest.objects()} == {each.path for each in first.manifest.objects()}


@pytest.mark.parametrize("stage", ["css/app-", "js/lib/util.js", ".assetstore/manifests/", CURRENT])
def test_a_failure_in_any_stage_leaves_the_live_release_and_the_next_run_repeats_nothing(
    mount: Mount, watched: Any, stage: str
) -> None:
    def fail(path: str) -> None:
        if path.startswith(stage):
            raise BackendUnavailable("the network is down", path=path)

    watched.before_write = fail
    with pytest.raises(PublishError, match="run the same command again"):
        publish(mount, watched, workers=1)
    assert Releases(watched).read() is None
    arrived = [path for path in watched.written if not path.startswith(".assetstore/")]
    watched.before_write = lambda path: None
    watched.written.clear()
    done = publish(mount, watched, workers=1)
    again = [path for path in watched.written if not path.startswith(".assetstore/")]
    assert not set(arrived) & set(again)
    assert len(arrived) + len(again) == len(done.plan.rows) == 18


def test_plain_files_wait_until_every_fingerprinted_file_has_arrived(mount: Mount, watched: Any) -> None:
    publish(mount, watched, workers=8)
    kinds = [split(path)[1] is not None for path in watched.written if not path.startswith(".assetstore/")]
    assert kinds == sorted(kinds, reverse=True)


def test_of_two_publishers_one_wins_and_the_other_is_told(
    make_mount: Callable[..., Mount], asset_tree: Path, any_target: WritableBackend, watch: Any
) -> None:
    publish(make_mount(), any_target)
    (asset_tree / "robots.txt").write_text("changed by the slower one")
    slow, other = watch(any_target), make_mount(headers={"*.svg": {"Content-Disposition": "inline"}})

    def overtaken(path: str) -> None:
        slow.before_write = lambda path: None
        publish(other, any_target)

    slow.before_write = overtaken
    with pytest.raises(PublishConflict, match="run the same command again"):
        publish(make_mount(), slow)
    state = Releases(any_target).require()
    assert len(state.releases) == 2
    assert publish(make_mount(), any_target).released


def test_two_first_publishes_at_once_end_with_one_whole_release(mount: Mount, any_target: WritableBackend) -> None:
    barrier, failed = threading.Barrier(2), []

    def run() -> None:
        barrier.wait()
        try:
            publish(mount, any_target, workers=2)
        except PublishConflict as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = Releases(any_target).require()
    assert len(state.releases) == 2 - len(failed)
    for each in state.current.objects():
        assert hashlib.sha256(read_bytes(any_target, each.path)).hexdigest() == each.sha256


def test_release_times_never_run_backwards(
    mount: Mount, asset_tree: Path, target: WritableBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = []
    for content in ("a", "b", "c"):  # all within one second
        (asset_tree / "robots.txt").write_text(content)
        ids.append(publish(mount, target).manifest.release)
    state = Releases(target).require()
    times = [each.published_at for each in state.releases]
    assert ids == sorted(ids)
    assert times == sorted(set(times))
    assert all(each.utcoffset().total_seconds() == 0 for each in times)  # type: ignore[union-attr]


def test_nothing_of_the_ledger_is_a_servable_name(mount: Mount, any_target: WritableBackend) -> None:
    from assetstore.assets.paths import is_clean

    publish(mount, any_target)
    assert not is_clean(CURRENT)
    assert not [stat.path for stat in any_target.walk() if "assetstore" in stat.path]


def test_an_empty_mount_is_not_published(
    make_mount: Callable[..., Mount], tmp_path: Path, target: WritableBackend
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PublishError, match="was the build run before"):
        publish(make_mount(root=tmp_path / "empty"), target)


def test_what_allowed_ext_leaves_out_is_not_published(
    make_mount: Callable[..., Mount], target: WritableBackend
) -> None:
    done = publish(make_mount(allowed_ext=[".css"]), target)
    assert set(done.manifest.entries) == {"css/app.css"}


def test_a_mount_without_fingerprints_has_plain_names_only(
    make_mount: Callable[..., Mount], target: WritableBackend
) -> None:
    done = publish(make_mount(fingerprint=False), target)
    assert [each.path for each in done.manifest.objects()] == sorted(done.manifest.entries)


def test_rewritten_style_sheets_name_what_was_published(
    make_mount: Callable[..., Mount], asset_tree: Path, target: WritableBackend, age: Callable[[Path, float], None]
) -> None:
    (asset_tree / "css/app.css").write_text("@font-face { src: url(../fonts/text.woff2) }")
    publish(make_mount(references="rewrite"), target)
    age(asset_tree / "fonts/text.woff2", 5)  # the same bytes, another time: the sheet now names another file
    done = publish(make_mount(references="rewrite"), target)
    font = done.manifest.entries["fonts/text.woff2"].fingerprinted_path
    sheet = read_bytes(target, done.manifest.entries["css/app.css"].fingerprinted_path).decode()
    assert font.removeprefix("fonts/") in sheet
    assert read_bytes(target, font)


def test_the_stored_manifest_is_the_live_one(mount: Mount, any_target: WritableBackend) -> None:
    done = publish(mount, any_target)
    path = f".assetstore/manifests/{done.manifest.release}.json"
    assert manifests.load(read_bytes(any_target, path), path) == done.manifest
    assert Releases(any_target).require().current == done.manifest


def test_siblings_that_are_no_longer_refreshed_are_warned_of(
    mount: Mount, asset_tree: Path, target: WritableBackend, caplog: pytest.LogCaptureFixture
) -> None:
    (asset_tree / "css/app.css").write_text("a { color: red }\n" * 200)
    publish(mount, target, siblings=("br",))
    (asset_tree / "css/app.css").write_text("a { color: blue }\n" * 200)
    with caplog.at_level(logging.WARNING, "assetstore"):
        publish(mount, target)
    assert "such as 'css/app.css.br', are of an earlier release" in caplog.text
