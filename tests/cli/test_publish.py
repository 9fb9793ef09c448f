"""``assetstore publish``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assetstore.names.manifest import load
from assetstore.publish.releases import CURRENT


@pytest.mark.parametrize("attribute", ["assets", "app"], ids=["a store", "an application with nested routes"])
def test_an_applications_assets_are_published(site: str, attribute: str, command: Any, tmp_path: Path) -> None:
    told = command("publish", "--app", f"{site}:{attribute}", "--to", "out")
    assert told.code == 0
    assert "is live in" in told.out
    assert "18 new" in told.out
    assert (tmp_path / "out" / CURRENT).exists()
    assert "fingerprinted files: 9 of 9, done" in told.err


def test_a_second_run_says_that_nothing_changed(site: str, command: Any) -> None:
    command("publish", "--app", f"{site}:assets", "--to", "out")
    told = command("publish", "--app", f"{site}:assets", "--to", "out")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("nothing changed in ")
    assert "18 same" in told.out


def test_a_dry_run_prints_the_plan_and_writes_nothing(site: str, command: Any, tmp_path: Path) -> None:
    told = command("publish", "--app", f"{site}:assets", "--to", "out", "--dry-run")
    assert told.code == 5  # changes are pending
    assert [line.split()[0] for line in told.out.splitlines()[:-1]] == ["missing"] * 18
    assert told.out.splitlines()[-1].startswith("nothing was written to")
    assert "a publish would write 18 objects" in told.out
    assert "done" not in told.out + told.err
    assert not (tmp_path / "out").exists()
    command("publish", "--app", f"{site}:assets", "--to", "out")
    assert command("publish", "--app", f"{site}:assets", "--to", "out", "--dry-run").code == 0


def test_a_dry_run_and_the_run_after_it_have_the_same_plan(site: str, command: Any) -> None:
    planned = command("publish", "--app", f"{site}:assets", "--to", "out", "--dry-run", "--json").json
    done = command("publish", "--app", f"{site}:assets", "--to", "out", "--json").json
    assert planned["published"][0]["objects"] == done["published"][0]["objects"]
    assert (planned["published"][0]["dry_run"], done["published"][0]["dry_run"]) == (True, False)


def test_json_tells_every_object_and_its_reason(site: str, command: Any, tmp_path: Path) -> None:
    command("publish", "--app", f"{site}:assets", "--to", "out")
    (tmp_path / "assets/robots.txt").write_text("changed")
    [told] = command("publish", "--app", f"{site}:assets", "--to", "out", "--json").json["published"]
    assert (told["mount"], told["released"], told["new"], told["same"], told["bytes"]) == ("assets", True, 2, 16, 14)
    reasons = {each["path"]: each["reason"] for each in told["objects"] if each["asset"] == "robots.txt"}
    assert sorted(reasons.values()) == ["changed", "missing"]
    assert reasons["robots.txt"] == "changed"


def test_the_manifest_is_written_for_the_code_to_ship(site: str, command: Any, tmp_path: Path) -> None:
    command("publish", "--app", f"{site}:assets", "--to", "out", "--manifest", "assets.json")
    manifest = load((tmp_path / "assets.json").read_bytes(), "assets.json")
    assert manifest.release == json.loads((tmp_path / "out" / CURRENT).read_text())["release"]


def test_siblings_and_encodings_are_spelled_by_name_or_suffix(site: str, command: Any, tmp_path: Path) -> None:
    (tmp_path / "assets/css/app.css").write_text("a { color: red }\n" * 200)
    command("publish", "--app", f"{site}:assets", "--to", "out", "--siblings", "br,gz")
    assert (tmp_path / "out/css/app.css.br").exists()
    assert (tmp_path / "out/css/app.css.gz").exists()
    command("publish", "--app", f"{site}:assets", "--to", "encoded", "--encoding", "gzip")
    assert (tmp_path / "encoded/css/app.css").read_bytes()[:2] == b"\x1f\x8b"


def test_several_mounts_go_where_the_placeholder_says(site: str, command: Any, tmp_path: Path) -> None:
    told = command("publish", "--app", f"{site}:two", "--to", "out/{mount}")
    assert told.code == 0
    assert (tmp_path / "out/assets" / CURRENT).exists()
    assert (tmp_path / "out/media/robots.txt").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--app", "{}:two", "--to", "out"], "would share one target"),
        (["--app", "{}:two", "--to", "out", "--mount", "nothing"], "no mount is named 'nothing'"),
        (["--app", "{}:two", "--to", "out/{{mount}}", "--manifest", "m.json"], "write {mount} in it"),
        (["--app", "{}:bare", "--to", "out"], "names a Starlette without assets"),
        (["--app", "{}:assets", "--to", ""], "root is empty"),
        (["--app", "{}:assets", "--to", "out", "--siblings", "lzma"], "no content coding"),
        (["--app", "{}:assets", "--to", "out", "--siblings", "br", "--encoding", "br"], "not both"),
        (["--app", "{}:assets", "--to", "out", "--storage-option", "x"], "no KEY=VALUE"),
    ],
)
def test_what_cannot_be_published_is_one_clear_line(site: str, command: Any, words: list[str], says: str) -> None:
    told = command("publish", *[word.format(site) for word in words])
    assert told.code == 2
    assert says in told.err
    assert len(told.err.splitlines()) == 1


def test_quiet_says_nothing_of_progress(site: str, command: Callable[..., Any], tmp_path: Path) -> None:
    told = command("publish", "--app", f"{site}:assets", "--to", tmp_path / "quiet", "--quiet")
    assert (told.code, told.err) == (0, "")
    assert "is live in" in told.out
