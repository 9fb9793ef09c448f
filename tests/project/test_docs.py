"""The documentation does what it says: its commands are run, its examples compiled, its tables compared with the code."""

from __future__ import annotations

import ast
import doctest
import json
import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from assetstore import errors
from assetstore.settings import Settings
from documentation import Block, blocks, run_page, shell_in, tours
from servers.processes import PROJECT
from servers.s3 import S3Bucket

DOCS = PROJECT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), PROJECT / "README.md"])


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


#: Each page with commands, once for each of its tabs.
TOURS = [pytest.param(page, tab, id=f"{name_of(page)} {tab}".strip()) for page in PAGES for tab in tours(page)]


@pytest.mark.program("curl")
@pytest.mark.parametrize(("page", "tab"), TOURS)
def test_the_commands_of_a_page_print_what_it_says(page: Path, tab: str, tmp_path: Path, moto_bucket: S3Bucket) -> None:
    chosen = [each for each in blocks(page.read_text("utf-8")) if each.tab in {"", tab}]
    with shell_in(tmp_path, moto_bucket) as shell:
        run_page(chosen, shell)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("assets", "dist", "templates"):
        (tmp_path / folder).mkdir()
    for block in blocks(page.read_text("utf-8")):
        try:
            _check(block, tmp_path)
        except Exception as error:
            raise AssertionError(f"{name_of(page)}, line {block.line}: {error}") from error


def _check(block: Block, folder: Path) -> None:
    if block.body.startswith(">>>"):
        found = doctest.DocTestParser().get_doctest(block.body, {}, "page", None, block.line)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found).failed == 0
    elif block.language == "python" and block.title:
        ast.parse(block.body)  # a file that the page's commands run
    elif block.language == "python":
        exec(compile(block.body, f"line {block.line}", "exec"), {"__name__": "page"})
    elif block.language == "json":
        json.loads(block.body)
    elif block.language == "toml":
        tomllib.loads(block.body)
    elif block.language == "yaml":
        assert list(yaml.safe_load_all(block.body))
    elif block.language in {"sh", "bash"}:
        (folder / "script").write_text(block.body)
        done = subprocess.run(["bash", "-n", folder / "script"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def table_of(page: str, first: str = r"`(\w+)`") -> dict[str, str]:
    """First cell to second cell of each row whose first cell looks like *first*."""
    return dict(re.findall(rf"^\| {first}[^|]* \| ([^|]+?) *\|", (DOCS / page).read_text("utf-8"), re.M))


def test_every_setting_is_in_the_reference_with_its_default() -> None:
    defaults = {each.name: getattr(Settings(), each.name) for each in fields(Settings)}
    shown = {name: f"`{value}`" if value or value is False else "empty" for name, value in defaults.items()}
    assert table_of("reference/settings.md") == shown


def test_every_error_is_in_the_reference() -> None:
    public = {each.__name__ for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)}
    assert set(table_of("reference/errors.md")) == public


def test_every_message_of_the_troubleshooting_page_is_one_that_the_code_says() -> None:
    said = "\n".join(_texts(file) for file in (PROJECT / "assetstore").rglob("*.py"))
    shown = re.findall(r"^\| `([^`]+)` \|", (DOCS / "troubleshooting.md").read_text("utf-8"), re.M)
    missing = []
    for message in shown:
        parts = [part.strip("' ;?:") for part in re.split("'?…'?", message)]
        missing += [message for part in parts if part and part not in said]
    assert len(shown) > 5
    assert missing == []


def _texts(file: Path) -> str:
    """Every text in a module, with … for what is put in at run time."""
    texts = []
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            texts.append("".join(each.value if isinstance(each, ast.Constant) else "…" for each in node.values))
    return "\n".join(texts)


def test_every_extra_is_in_the_reference() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(table_of("reference/extras.md")) == set(project["optional-dependencies"])


def test_every_public_name_is_in_the_reference() -> None:
    import assetstore

    text = (DOCS / "reference/python.md").read_text("utf-8")
    named = set(re.findall(r"^::: assetstore\.([\w.]+)", text, re.M))
    assert {name for name in assetstore.__all__ if name not in named} == set()


def test_the_reference_of_the_command_line_is_that_of_the_parsers() -> None:
    from cli_reference import page

    assert (DOCS / "reference/cli.md").read_text("utf-8") == page(), "run `make docs-reference`"


def test_the_reference_of_options_is_that_of_the_code() -> None:
    from options_reference import page

    assert (DOCS / "reference/options.md").read_text("utf-8") == page(), "run `make docs-reference`"
