"""Siblings are looked up in the one folder in which the file is: none is of another release, another root or outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assetstore.backends.base import FileStat, siblings_of, stat_siblings
from assetstore.backends.local import backend as module
from assetstore.backends.local.backend import LocalBackend, Overlay
from assetstore.errors import VersionChanged

SUFFIXES = (".br", ".gz", ".zst")


def put(file: Path, data: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(data)
    return file


def sizes(found: tuple[dict[str, FileStat], bool]) -> tuple[dict[str, int], bool]:
    return {suffix: stat.size for suffix, stat in found[0].items()}, found[1]


@pytest.mark.parametrize("path", ["app.css", "css/app.css"])
def test_they_are_those_with_its_name_and_a_suffix(tmp_path: Path, path: str) -> None:
    put(tmp_path / path, "plain")
    put(tmp_path / f"{path}.br", "b")
    put(tmp_path / f"{path}.gz", "gz")
    backend = LocalBackend(tmp_path)
    found, complete = backend.siblings(backend.stat(path), SUFFIXES)
    assert complete
    assert found == {suffix: backend.stat(path + suffix) for suffix in (".br", ".gz")}


def test_none_is_of_another_release(tmp_path: Path) -> None:
    for release in ("r0", "r1"):
        put(tmp_path / release / "css/app.css", release)
        put(tmp_path / release / "css/app.css.br", release)
    current = tmp_path / "current"
    current.symlink_to("r0")
    backend = LocalBackend(current)
    stat = backend.stat("css/app.css")
    (tmp_path / "next").symlink_to("r1")
    os.replace(tmp_path / "next", current)
    with pytest.raises(VersionChanged):
        backend.siblings(stat, SUFFIXES)
    assert sizes(backend.siblings(backend.stat("css/app.css"), SUFFIXES)) == ({".br": 2}, True)


def test_a_link_inside_the_root_is_one_and_any_other_is_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root / "css/app.css", "plain")
    put(root / "shared/x.br", "shared")
    put(tmp_path / "secret.gz", "secret")
    (root / "css/app.css.br").symlink_to("../shared/x.br")
    (root / "css/app.css.gz").symlink_to(tmp_path / "secret.gz")
    (root / "css/app.css.zst").symlink_to("nowhere")
    backend = LocalBackend(root)
    assert sizes(backend.siblings(backend.stat("css/app.css"), SUFFIXES)) == ({".br": 6}, True)


def test_what_is_no_file_is_none(tmp_path: Path) -> None:
    put(tmp_path / "app.css", "plain")
    (tmp_path / "app.css.br").mkdir()
    os.mkfifo(tmp_path / "app.css.gz")
    backend = LocalBackend(tmp_path)
    assert backend.siblings(backend.stat("app.css"), SUFFIXES) == ({}, True)


def test_a_file_behind_a_link_has_the_siblings_beside_the_link(tmp_path: Path) -> None:
    put(tmp_path / "store/1234", "plain")
    put(tmp_path / "app.css.br", "br")
    (tmp_path / "app.css").symlink_to("store/1234")
    backend = LocalBackend(tmp_path)
    assert sizes(backend.siblings(backend.stat("app.css"), SUFFIXES)) == ({".br": 2}, True)


def test_those_of_a_file_in_one_of_several_roots_are_in_that_root(tmp_path: Path) -> None:
    put(tmp_path / "mine/app.css", "mine")
    put(tmp_path / "theirs/app.css", "theirs")
    put(tmp_path / "theirs/app.css.br", "of theirs")
    put(tmp_path / "theirs/base.css", "base")
    put(tmp_path / "theirs/base.css.br", "b")
    overlay = Overlay([LocalBackend(tmp_path / "mine"), LocalBackend(tmp_path / "theirs")])
    assert overlay.siblings(overlay.stat("app.css"), SUFFIXES) == ({}, True)
    assert sizes(overlay.siblings(overlay.stat("base.css"), SUFFIXES)) == ({".br": 1}, True)


def test_a_file_that_is_gone_has_none(tmp_path: Path) -> None:
    file = put(tmp_path / "app.css", "plain")
    backend = LocalBackend(tmp_path)
    stat = backend.stat("app.css")
    os.replace(put(tmp_path / "new", "plain"), file)
    with pytest.raises(VersionChanged):
        backend.siblings(stat, SUFFIXES)


def test_without_directory_descriptors_each_is_looked_up_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HAS_DIR_FD", False)
    put(tmp_path / "app.css", "plain")
    put(tmp_path / "app.css.gz", "gz")
    backend = LocalBackend(tmp_path)
    stat = backend.stat("app.css")
    assert sizes(siblings_of(backend, stat, SUFFIXES)) == ({".gz": 2}, True)
    assert siblings_of(backend, stat, SUFFIXES) == stat_siblings(backend, stat, SUFFIXES)
