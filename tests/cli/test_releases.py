"""``assetstore releases``."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_releases_are_listed_with_what_only_they_hold(site: str, command: Any, tmp_path: Path) -> None:
    command("publish", "--app", f"{site}:assets", "--to", "out")
    (tmp_path / "assets/robots.txt").write_text("second!")
    command("publish", "--app", f"{site}:assets", "--to", "out")
    told = command("releases", "--to", "out")
    head, second, first = told.out.splitlines()
    assert "bytes only here" in head
    assert second.startswith("live")
    assert second.split()[-3:] == ["1", "7", "B"]
    assert first.split()[0].startswith("20")
    [older, newer] = command("releases", "--to", "out", "--json").json["releases"]
    assert (older["live"], newer["live"]) == (False, True)
    assert (newer["files"], newer["bytes_only_here"]) == (9, 7)
    assert newer["published_at"].endswith("+00:00")


def test_a_target_without_releases_says_what_to_do(command: Any, tmp_path: Path) -> None:
    told = command("releases", "--to", tmp_path / "empty")
    assert told.code == 3
    assert "run 'assetstore publish' first" in told.err
