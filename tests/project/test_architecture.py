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
#: ``ls assetstore`` shows what the system is: folders and modules at the top, without ``__init__`` and ``__main__``.
MOST_PARTS = 25
#: The registry of backends and the base of every remote one import what stands beneath `backends` when it is used.
LAZY = {"backends/__init__.py"}


def part_of(path: str) -> str:
    """The part that a file (``http/send.py``) belongs to: itself or the longest folder named above, else its own name."""
    parts = [part for part in ORDER if path.startswith((f"{part}/", f"{part}.py"))]
    return max(parts, key=len) if parts else path.removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Each dotted name that is imported, with its line."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def part_of_import(name: str) -> str:
    path = name.removeprefix("assetstore").strip(".").replace(".", "/")
    while path and not (PACKAGE / f"{path}.py").exists() and not (PACKAGE / path).is_dir():
        path = path.rpartition("/")[0]
    return part_of(f"{path}/__init__.py" if (PACKAGE / path).is_dir() and path else f"{path or '__init__'}.py")


FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("file", [file for file in FILES if name_of(file) not in LAZY], ids=name_of)
def test_imports_only_go_down(file: Path) -> None:
    place = ORDER.index(part_of(name_of(file)))
    ours = [(name, line) for name, line in imports(file) if name.split(".")[0] == "assetstore"]
    upward = [f"line {line}: {name}" for name, line in ours if ORDER.index(part_of_import(name)) > place]
    assert not upward


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_outside_libraries_stay_in_their_part(file: Path) -> None:
    allowed = PARTS[part_of(name_of(file))] | {"assetstore"} | sys.stdlib_module_names
    strays = [f"line {line}: {name}" for name, line in imports(file) if name.split(".")[0] not in allowed]
    assert not strays


def test_there_are_few_parts_and_each_is_in_the_list() -> None:
    parts = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in FILES}
    assert parts == {part.partition("/")[0] for part in ORDER}
    assert len(parts - {"__init__", "__main__"}) <= MOST_PARTS
