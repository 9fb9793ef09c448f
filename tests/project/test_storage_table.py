"""The documentation's table of promises by storage is made from the contract tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

from storages import STORAGES

PROJECT = Path(__file__).parents[2]


def test_every_promise_and_every_storage_of_the_contract_is_in_the_table() -> None:
    page = (PROJECT / "docs/reference/storages.md").read_text("utf-8")
    contract = (PROJECT / "tests/backends/test_contract.py").read_text("utf-8")
    promises = {name.replace("_", " ").capitalize() for name in re.findall(r"^def test_(\w+)", contract, re.MULTILINE)}
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    assert {row[0].capitalize() for row in rows[2:]} == promises
    assert set(rows[0][1:]) == {str(each.id) for each in STORAGES if " by " not in str(each.id)}
    assert not [row for row in rows[2:] if {"**no**", "not run"} & set(row)]
