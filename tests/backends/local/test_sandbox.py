"""The race: a link is swapped while files are being opened, and not one outside byte comes out."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assetstore.backends.local import sandbox
from assetstore.backends.local.sandbox import LocalRoot
from assetstore.errors import AssetNotFound


def by_kernel(directory: Path) -> LocalRoot:
    return LocalRoot(str(directory))


def by_components(directory: Path) -> LocalRoot:
    root = LocalRoot(str(directory))
    root._open = root._open_by_components
    return root


def test_the_kernel_opens_where_it_can() -> None:
    ours = tuple(map(int, platform.release().split(".")[:2])) if platform.system() == "Linux" else (0, 0)
    assert sandbox._OPENAT2 is not None or ours < (5, 6)


@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_a_link_inside_may_be_absolute_and_the_root_itself_a_link_that_moves(tree: Path, absolute: bool) -> None:
    target = tree / "root" / "inside" / "x.txt"
    (tree / "root" / "link.txt").symlink_to(target if absolute else "inside/x.txt")
    (tree / "root" / "up").symlink_to("inside/../inside")
    (tree / "current").symlink_to(tree / "root")
    root = LocalRoot(str(tree / "current"))
    for path in ("link.txt", "up/x.txt"):
        descriptor, _ = root.open(path)
        assert (os.read(descriptor, 9), root.real_path(path, descriptor)) == (b"good", str(target))
        os.close(descriptor)
    (tree / "next").symlink_to(tree / "outside")
    os.replace(tree / "next", tree / "current")
    descriptor, _ = root.open("x.txt")
    assert os.read(descriptor, 9) == b"evil"  # which is inside by now
    os.close(descriptor)


def test_a_path_that_leads_to_another_file_by_now_is_none(tree: Path) -> None:
    root = LocalRoot(str(tree / "root"))
    descriptor, _ = root.open("inside/x.txt")
    (tree / "root" / "inside" / "x.txt").unlink()
    assert root.real_path("inside/x.txt", descriptor) is None
    (tree / "root" / "inside" / "x.txt").write_text("newer")
    assert root.real_path("inside/x.txt", descriptor) is None
    os.close(descriptor)


WAYS = pytest.mark.parametrize("way", [by_kernel, by_components])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder, text in (("root/inside", "good"), ("outside", "evil")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.txt").write_text(text)
    return tmp_path


@WAYS
def test_both_ways_agree_on_what_is_inside(tree: Path, way: Callable[[Path], LocalRoot]) -> None:
    root = way(tree / "root")
    (tree / "root" / "alias").symlink_to("inside")
    (tree / "root" / "escape").symlink_to("../outside")
    (tree / "root" / "loop").symlink_to("loop")
    descriptor, facts = root.open("alias/x.txt")
    assert (os.read(descriptor, 9), facts.st_size) == (b"good", 4)
    assert root.real_path("alias/x.txt", descriptor) == str(tree / "root" / "inside" / "x.txt")
    os.close(descriptor)
    for path in ("escape/x.txt", "loop", "inside", "missing", "inside/x.txt/y"):
        with pytest.raises(AssetNotFound):
            root.open(path)
        with pytest.raises(AssetNotFound):
            root.stat(path)


@WAYS
@pytest.mark.parametrize("swapped", ["folder", "file"])
def test_a_link_swapped_between_check_and_open_gains_nothing(
    tree: Path, way: Callable[[Path], LocalRoot], swapped: str
) -> None:
    root = way(tree / "root")
    link, path = ("turn", "turn/x.txt") if swapped == "folder" else ("turn.txt", "turn.txt")
    suffix = "" if swapped == "folder" else "/x.txt"
    stop = threading.Event()

    def swap() -> None:
        spare = tree / "root" / ".spare"
        while not stop.is_set():
            for target in ("inside", "../outside"):
                spare.symlink_to(target + suffix)
                os.replace(spare, tree / "root" / link)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    tries, until = 0, time.monotonic() + 20
    try:
        # Where the two threads run in step, the link may lead outside at every one of many tries.
        while tries < 3000 or (not seen and time.monotonic() < until):
            tries += 1
            try:
                descriptor, _ = root.open(path)
            except AssetNotFound:
                continue
            seen.add(os.read(descriptor, 9))
            os.close(descriptor)
    finally:
        stop.set()
        swapper.join()
    assert seen == {b"good"}


@WAYS
def test_a_signature_hash_changes_when_a_signature_does(tree: Path, way: Callable[[Path], LocalRoot]) -> None:
    root = way(tree / "root")
    (tree / "root" / "nowhere").symlink_to("missing")
    paths = ("inside/x.txt", "inside", "", "missing", "nowhere", "inside/x.txt/y", "nul\0")
    assert [root.signature_hash(path) for path in paths] == [hash(root.signature(path)) for path in paths]
    before = root.signature_hash("inside/x.txt"), root.signature_hash("nowhere")
    (tree / "root" / "inside" / "x.txt").write_text("better")
    (tree / "root" / "missing").write_text("there")
    assert root.signature_hash("inside/x.txt") != before[0]
    assert root.signature_hash("nowhere") != before[1]
