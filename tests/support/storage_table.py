"""``--storage-table FILE``: which promise of the contract holds on which storage, as a page of the documentation.

The table is made from the results of ``tests/backends/test_contract.py`` alone, so it says what was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

CONTRACT = "test_contract.py"
HEAD = """# What holds on which storage

Each row is a promise of the backend contract, each column a storage that the contract's tests ran against: *yes* where
every test of it passed, a number where there is a reason why it does not apply. Made by `make storage-table`.

"""


class StorageTable:
    """Collects the outcome of each test of the contract and writes the table at the end."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._rows: dict[str, dict[str, str]] = {}
        self._columns: dict[str, None] = {}
        self._place: dict[str, tuple[str, str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if item.path.name != CONTRACT or not isinstance(item, pytest.Function):
                continue
            storage = next((mark for mark in _storages(item)), None)
            if storage is not None:
                promise = item.originalname.removeprefix("test_").replace("_", " ")
                self._place[item.nodeid] = promise, storage
                self._columns.setdefault(storage)
                self._rows.setdefault(promise, {})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid not in self._place or (report.when != "call" and report.passed):
            return
        promise, storage = self._place[report.nodeid]
        row = self._rows[promise]
        if report.failed:
            row[storage] = "**no**"
        elif report.skipped and row.get(storage) != "**no**":
            row[storage] = _reason(report)
        else:
            row.setdefault(storage, "yes")

    def pytest_sessionfinish(self) -> None:
        reasons: list[str] = []
        lines = [
            f"| Promise | {' | '.join(self._columns)} |",
            f"|---|{'---|' * len(self._columns)}",
        ]
        for promise, row in self._rows.items():
            cells = []
            for storage in self._columns:
                cell = row.get(storage, "not run")
                if cell not in {"yes", "**no**", "not run"}:
                    if cell not in reasons:
                        reasons.append(cell)
                    cell = f"[{reasons.index(cell) + 1}](#reasons)"
                cells.append(cell)
            lines.append(f"| {promise[:1].upper()}{promise[1:]} | {' | '.join(cells)} |")
        notes = ["", "## Reasons", "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]
        self._target.write_text(HEAD + "\n".join(lines + notes) + "\n", "utf-8")


def _storages(item: pytest.Function) -> Iterator[str]:
    """The name of the storage that a test is parametrized with."""
    from storages import STORAGES

    ids = sorted((str(each.id) for each in STORAGES), key=len, reverse=True)
    found = item.callspec.id if hasattr(item, "callspec") else ""
    # A reader in front of a storage ("s3 by aiohttp") is tried too, and is no storage of its own.
    yield from (name for name in ids if " by " not in name and (found == name or found.startswith(f"{name}-")))


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--storage-table", metavar="FILE", help="write which promise holds on which storage, in Markdown")


def pytest_configure(config: pytest.Config) -> None:
    if (target := config.getoption("--storage-table")) is not None:
        config.pluginmanager.register(StorageTable(Path(target)))
