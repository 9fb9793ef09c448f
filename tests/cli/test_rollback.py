"""``assetstore rollback``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def releases(site: str, command: Any, tmp_path: Path) -> list[str]:
    for content in ("first", "second"):
        (tmp_path / "assets/robots.txt").write_text(content)
        command("publish", "--app", f"{site}:assets", "--to", "out")
    return [each["release"] for each in command("releases", "--to", "out", "--json").json["releases"]]


def test_the_release_before_is_live_again(releases: list[str], command: Any) -> None:
    told = command("rollback", "previous", "--to", "out")
    assert told.code == 0
    assert told.out.startswith(f"release {releases[0]} is live")
    assert command("rollback", releases[1], "--to", "out", "--json").json["release"] == releases[1]


def test_an_unknown_release_is_one_clear_line(releases: list[str], command: Any) -> None:
    told = command("rollback", "nothing", "--to", "out")
    assert told.code == 3
    assert releases[0] in told.err
