"""Every machine gives the same names for the same files, and other names for other bytes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assetstore import AssetStore
from assetstore.names.manifest import dump

SECOND = 10**9
#: Of today's tools and of yesterday's: pins, whole seconds, and times below one.
TIMES = st.sampled_from([0, 1, 315_532_800, 499_162_500, 1_700_000_000, 4_000_000_000]).map(lambda at: at * SECOND)
TREES = st.dictionaries(st.sampled_from(["a.css", "js/b.js", "c.bin"]), st.binary(max_size=300), min_size=1)


def tree(folder: Path, files: dict[str, bytes], time_ns: int) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        os.utime(folder / path, ns=(time_ns, time_ns))
    return folder


def names(root: Path, files: dict[str, bytes], **options: Any) -> dict[str, str]:
    with AssetStore({}) as assets:
        assets.static("/assets/", root=root, name="assets", **options)
        return {path: assets.url_for("assets", file=path) for path in files}


@pytest.mark.parametrize("fingerprint", [True, "content"])
@settings(max_examples=20)
@given(files=TREES, time_ns=TIMES, data=st.data())
def test_names_are_equal_where_bytes_and_times_are_and_never_for_other_bytes(
    fingerprint: Any, files: dict[str, bytes], time_ns: int, data: st.DataObject
) -> None:
    changed = data.draw(st.sampled_from(sorted(files)))
    other = {**files, changed: data.draw(st.binary(max_size=300).filter(lambda found: found != files[changed]))}
    with tempfile.TemporaryDirectory() as name:
        here, there, elsewhere = (Path(name, each) for each in ("here", "there", "elsewhere"))
        mine = names(tree(here, files, time_ns), files, fingerprint=fingerprint)
        assert names(tree(there, files, time_ns), files, fingerprint=fingerprint) == mine
        theirs = names(tree(elsewhere, other, time_ns), files, fingerprint=fingerprint)
        assert [path for path in files if theirs[path] == mine[path]] == [path for path in files if path != changed]


@settings(max_examples=10)
@given(files=TREES, times=st.lists(TIMES, min_size=2, max_size=2))
def test_every_mode_gives_the_names_of_the_manifest(files: dict[str, bytes], times: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        published = AssetStore({})
        published.static("/assets/", root=tree(Path(name, "built"), files, times[0]), name="assets")
        (release,) = published.publish(Path(name, "published"))
        published.close()
        manifest = Path(name, "manifest.json")
        manifest.write_bytes(dump(release.manifest))
        served = tree(Path(name, "served"), files, times[1])
        wanted = {path: f"/assets/{release.manifest.entries[path].fingerprinted_path}" for path in files}
        for fingerprint in (True, "mtime", "content"):
            assert names(served, files, fingerprint=fingerprint, manifest=manifest) == wanted
