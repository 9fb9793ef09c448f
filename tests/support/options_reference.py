"""The page ``docs/reference/options.md``, written from the source; ``python -m options_reference`` saves it."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from assetstore.mounts import build

PAGE = Path(__file__).parents[2] / "docs/reference/options.md"

HEAD = """---
hide: [toc]
---

# Options of a mount

`assets.static(url, **options)` binds a URL prefix to a root. `url` is `ASSETS_URL` unless it is given: `"media/"` is below
`ASSETS_URL`, `"/media/"` is itself, and a full URL names a CDN. Everything else is a keyword. A wrong name or value is a
`SettingsError` when the mount is made. Options that speak of remote storage are idle on a directory.

| Option, type, default | What it is |
|---|---|
"""


def page() -> str:
    """One row for each option: its type, its default, and the comment above it."""
    source = inspect.getsource(build)
    lines = source.splitlines()
    [options] = [
        each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and each.name == "MountOptions"
    ]
    rows = []
    for field in options.body:
        if isinstance(field, ast.AnnAssign):
            assert isinstance(field.target, ast.Name)
            name = field.target.id
            kind = re.sub(r"^Required\[(.*)\]$", r"\1", ast.unparse(field.annotation)).replace("'", '"')
            default = "required" if "Required" in ast.unparse(field.annotation) else f"`{_default(name)}`"
            rows.append(f"| **`{name}`**<br>`{kind}`<br>{default} | {_comment(lines, field.lineno)} |")
    return HEAD + "\n".join(rows) + "\n"


def _default(name: str) -> str:
    return repr(build.DEFAULTS[name]).replace("'", '"')  # type: ignore[literal-required]


def _comment(lines: list[str], line: int) -> str:
    """The ``#:`` comment that ends above *line*, as Markdown."""
    said: list[str] = []
    for each in reversed(lines[: line - 1]):
        if not each.strip().startswith("#:"):
            break
        said.insert(0, each.strip()[2:].strip())
    return " ".join(said).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
