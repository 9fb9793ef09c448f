"""``assetstore check``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from servers.processes import Process, ProcessStarter


@pytest.fixture
def served(site: str, tmp_path: Path, start_process: ProcessStarter) -> Process:
    """The application of the site, as its own CDN."""
    (tmp_path / "serve.py").write_text(
        f"from starlette.applications import Starlette\nfrom {site} import assets\napp = Starlette(routes=assets.routes)\n"
    )
    return start_process.asgi("serve:app", folder=tmp_path)


def test_a_release_that_arrives_whole_is_all_well(site: str, served: Process, command: Any) -> None:
    told = command("check", f"{served.url}/assets/", "--app", f"{site}:assets")
    assert told.code == 0, told.out
    assert "all well (9 files" in told.out
    assert [line for line in told.out.splitlines() if line.startswith("ranges")][0].split() == ["ranges", "9", "-"]


def test_what_is_missing_is_told_with_what_to_change_and_exit_code_1(site: str, served: Process, command: Any) -> None:
    told = command("check", f"{served.url}/elsewhere/", "--app", f"{site}:assets", "--sample", 2)
    assert told.code == 1
    assert "saw: status 404 instead of 200" in told.out
    assert "change: publish this release to where the CDN looks" in told.out
    found = command("check", f"{served.url}/elsewhere/", "--app", f"{site}:assets", "--sample", 2, "--json").json
    assert (found["files"], found["items"]["status"]["faults"]) == (2, 4)
    assert {"item", "url", "saw", "change"} == set(found["faults"][0])


def test_the_files_come_from_the_target_or_from_a_manifest(
    site: str, served: Process, command: Any, tmp_path: Path
) -> None:
    command("publish", "--app", f"{site}:assets", "--to", "out", "--manifest", "m.json")
    (tmp_path / "assets/robots.txt").unlink()
    for words in (["--to", "out"], ["--manifest", "m.json"]):
        told = command("check", f"{served.url}/assets/", *words, "--json").json
        assert told["files"] == 9
        assert {each["url"].rpartition("/")[2][:6] for each in told["faults"]} == {"robots"}
    assert command("check", f"{served.url}/assets/", "--app", f"{site}:assets").code == 0


def test_a_file_is_written_for_a_moment_where_that_is_wanted(
    site: str, served: Process, command: Any, tmp_path: Path
) -> None:
    told = command("check", f"{served.url}/assets/", "--app", f"{site}:assets", "--sample", 1, "--write", "--json")
    assert told.json["items"]["missing"] == {"looked_at": 2, "faults": 0}
    assert not list((tmp_path / "assets").glob("assetstore-check*"))


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["https://cdn.example.com/"], "which files?", 2),
        (["https://cdn.example.com/", "--app", "{}:two"], "which mount?", 2),
        (["20260101T000000Z-00000000", "--app", "{}:cdn"], "say with --to where it was published", 2),
        (["20260101T000000Z-00000000", "--to", "out", "--app", "{}:assets"], "is missing in", 3),
        (["http://127.0.0.1:9/", "--app", "{}:assets"], "does not answer", 4),
        (["https://cdn.example.com/", "--manifest", "no.json"], "there is no manifest", 3),
        (["https://cdn.example.com/", "--manifest", "m.json", "--write"], "no place to write to", 2),
    ],
)
def test_what_cannot_be_checked_is_one_clear_line(
    site: str, command: Any, words: list[str], says: str, code: int
) -> None:
    command("publish", "--app", f"{site}:assets", "--to", "out", "--manifest", "m.json")
    told = command("check", *[word.format(site) for word in words])
    assert told.code == code
    assert says in told.err


def test_a_release_is_checked_at_its_mounts_own_url(site: str, command: Any, tmp_path: Path) -> None:
    command("publish", "--app", f"{site}:assets", "--to", "out")
    [release] = [each["release"] for each in command("releases", "--to", "out", "--json").json["releases"]]
    told = command("check", release, "--to", "out", "--app", f"{site}:assets")
    assert told.code == 2
    assert "where is the CDN?" in told.err
