"""The table of what holds on which storage is that of the contract's tests, and no cell of it is a no."""

from __future__ import annotations

import ast
from pathlib import Path

from storage_table import FOOT, storages_of_the_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/storages.md").read_text("utf-8")
NEEDS_STORAGE = {"backend", "storage"}


def rows() -> list[list[str]]:
    table = PAGE.partition("| Promise")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in f"| Promise{table}".splitlines()]


def test_each_column_is_a_storage_that_the_contract_runs_on() -> None:
    assert rows()[0] == ["Promise", *storages_of_the_table()], "run: make storage-table"


def test_each_row_is_a_promise_of_the_contract() -> None:
    tree = ast.parse((ROOT / "tests/backends/test_contract.py").read_text("utf-8"))
    promises = {
        node.name.removeprefix("test_").replace("_", " ")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and {arg.arg for arg in node.args.args} & NEEDS_STORAGE
        if node.name.startswith("test_")
    }
    assert {row[0].lower() for row in rows()[2:]} == {each.lower() for each in promises}, "run: make storage-table"


def test_each_promise_holds_or_has_a_reason() -> None:
    reasons = PAGE.partition("## Reasons")[2].partition("## ")[0]
    for promise, *cells in rows()[2:]:
        for cell in cells:
            assert cell == "yes" or f"{cell[1:].partition(']')[0]}. " in reasons, f"{promise}: {cell}"


def test_the_page_says_what_the_stand_ins_cannot_do() -> None:
    assert PAGE.endswith(FOOT), "run: make storage-table"
