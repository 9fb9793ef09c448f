"""The folders of assetstore/ in order, from the bottom up, and the outside libraries each may import."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "assetstore"

#: Each part imports only from parts above it in this list, and from itself. A part is a folder or a module.
PARTS: dict[str, set[str]] = {
    "errors": set(),
    "util": set(),
    "assets": {"brotli", "zstandard"},
    "backends": {"anyio", "fsspec"},
    "backends/local": {"anyio"},
    "backends/fsspec": {"fsspec"},
    "backends/http": {"urllib3"},
    "backends/s3": {"urllib3", "aiohttp", "anyio", "boto3", "botocore", "multidict", "mypy_boto3_s3", "yarl"},
    "backends/gcs": {"google", "requests", "urllib3"},
    "backends/azure": {"azure", "requests"},
    "backends/remote": {"anyio"},
    "references": set(),
    "names": {"anyio"},
    "rewrite": {"anyio"},
    "mounts": set(),
    "settings": set(),
    "templates": {"markupsafe"},
    "http": {"anyio", "starlette"},
    "monitoring": {"anyio", "starlette"},
    "publish": {"rich", "urllib3", "boto3", "botocore"},
    "check": {"urllib3"},
    "store": {"anyio", "starlette"},
    "__init__": set(),
    "servers": {"granian", "starlette", "uvicorn", "anyio"},
    "integrations": {"fastapi", "jinja2", "jx", "markupsafe", "starlette"},
    "testing": {"pytest", "boto3", "moto", "fsspec"},
    "cli": {"argcomplete"},
    "__main__": set(),
}
ORDER = list(PARTS)
#: Parts at the top of the package, without ``__init__`` and ``__main__``; files in all of it.
MOST_PARTS, MOST_FILES = 25, 135
FILES = sorted(PACKAGE.rglob("*.py"))
#: The registry of backends and the base of every remote one import what stands beneath `backends` when it is used.
LAZY = {"backends/__init__.py"}


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def part_of(path: str) -> str:
    """The part that a file (``http/send.py``) belongs to: itself or the longest folder named above, else its own name."""
    parts = [part for part in ORDER if path.startswith((f"{part}/", f"{part}.py"))]
    return max(parts, key=len) if parts else path.removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    """Each dotted name that is imported, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of_import(name: str) -> str:
    path = name.removeprefix("assetstore").strip(".").replace(".", "/")
    while path and not (PACKAGE / f"{path}.py").exists() and not (PACKAGE / path).is_dir():
        path = path.rpartition("/")[0]
    return part_of(f"{path}/__init__.py" if (PACKAGE / path).is_dir() and path else f"{path or '__init__'}.py")


@pytest.mark.parametrize("file", [file for file in FILES if name_of(file) not in LAZY], ids=name_of)
def test_imports_only_go_down(file: Path) -> None:
    place = ORDER.index(part_of(name_of(file)))
    ours = [name for name in imports(file) if name.split(".")[0] == "assetstore"]
    assert [name for name in ours if ORDER.index(part_of_import(name)) > place] == []


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_outside_libraries_stay_in_their_part(file: Path) -> None:
    allowed = PARTS[part_of(name_of(file))] | {"assetstore"} | sys.stdlib_module_names
    assert [name for name in imports(file) if name.split(".")[0] not in allowed] == []


def test_there_are_few_parts_and_few_files_and_each_part_is_in_the_list() -> None:
    parts = {name_of(file).split("/")[0].removesuffix(".py") for file in FILES}
    assert parts == {part.partition("/")[0] for part in ORDER}
    assert len(parts - {"__init__", "__main__"}) <= MOST_PARTS
    assert len(FILES) <= MOST_FILES, "fold a file into the one that uses it"
