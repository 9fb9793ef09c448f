"""The README is short, its map is the code's, and its links work on a package index's page too."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib

import pytest

from servers.processes import PROJECT

README = (PROJECT / "README.md").read_text("utf-8")
SOURCE = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Source"]
RAW = SOURCE.replace("//github.com/", "//raw.githubusercontent.com/")


def section(title: str) -> str:
    return re.split(r"^## ", README.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_it_has_at_most_150_lines() -> None:
    assert README.count("\n") <= 150


def test_the_map_names_every_folder_once() -> None:
    named = re.findall(r"^assetstore/([a-z0-9/]*) ", section("The code"), re.MULTILINE)
    package = PROJECT / "assetstore"
    folders = {each.parent.relative_to(package).as_posix() for each in package.rglob("*.py")} - {"."}
    assert sorted(each.rstrip("/") for each in named if each) == sorted(folders)


def test_every_file_that_is_named_is_there() -> None:
    for path in re.findall(r"`(tests/[\w/.]+)`", README):
        assert (PROJECT / path).is_file(), path
    folder = ""
    for line in section("The code").splitlines():
        folder = found[1] if (found := re.match(r"(assetstore/[a-z0-9/]*) ", line)) else folder
        for name in re.findall(r"\b(\w+\.py)\b", line) if folder else ():
            assert (PROJECT / folder / name).is_file(), f"{folder}{name}"


def test_every_link_is_absolute_and_those_into_the_repository_lead_to_something() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [each for each in links if not each.startswith("https://")] == []
    for link in links:
        inside = re.fullmatch(
            rf"(?:{re.escape(SOURCE)}/(?:blob|tree)/main|{re.escape(RAW)}/main)/([^#]+)(?:#.*)?", link
        )
        assert inside is None or (PROJECT / inside[1]).exists(), link


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_two_commands_exist(command: str) -> None:
    assert f"make {command} " in section("Two commands")
    done = subprocess.run([shutil.which("make") or "make", "-n", command], cwd=PROJECT, capture_output=True, timeout=30)
    assert done.returncode == 0
