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
FOOT = """
## What runs against each storage

The contract above, the matrix of conditions and ranges over HTTP, the table of faults, and publishing:

| Storage | Stands for it in the tests | Contract | HTTP matrix | Faults | Publish |
|---|---|---|---|---|---|
| a directory | the disk | yes | yes | does not apply | yes |
| S3 | moto | yes | yes | yes | yes |
| S3 | LocalStack | yes | yes | [a](#what-a-stand-in-cannot-do) | yes |
| S3 | OpenStack Swift | yes | yes | [a](#what-a-stand-in-cannot-do) | yes |
| Google Cloud Storage | fake-gcs-server | yes | yes | yes | yes |
| Azure Blob Storage | Azurite | yes | yes | yes | yes |
| SFTP | asyncssh | yes | no | no | yes |
| WebDAV | WsgiDAV | yes | no | no | [b](#what-a-stand-in-cannot-do) |

## What a stand-in cannot do

- a. A fault is made by a proxy in front of the server and never reaches it, so it is tried on one server for each client
  library: moto for S3.
- b. A WebDAV server deletes what a MOVE replaces first (RFC 4918 section 9.9.3): a lock that is renewed is missing for a
  moment, so two publishers at once are not kept apart. One release, an unchanged one, a change, rollback and prune are tried.
- moto, LocalStack and fake-gcs-server believe every credential. Swift checks signatures, and Azurite the account key;
  refused and expired credentials of the others are answered by the proxy.
- Azurite knows OAuth tokens over TLS only, so `DefaultAzureCredential` is not tried.
- Swift has no conditional writes: publishing takes a lock there.
- No stand-in throttles: 429 and 503 with `Retry-After` are answered by the proxy, and so is the 308 of a resumable upload.
- A body that breaks off is answered 502 on S3 and Google Cloud Storage, and 504 on Azure, whose client tries three times, a
  second apart, which cannot be set.
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
        columns = [name for name in storages_of_the_table() if name in self._columns]
        lines = [
            f"| Promise | {' | '.join(columns)} |",
            f"|---|{'---|' * len(columns)}",
        ]
        for promise, row in self._rows.items():
            cells = []
            for storage in columns:
                cell = row.get(storage, "not run")
                if cell not in {"yes", "**no**", "not run"}:
                    if cell not in reasons:
                        reasons.append(cell)
                    cell = f"[{reasons.index(cell) + 1}](#reasons)"
                cells.append(cell)
            lines.append(f"| {promise[:1].upper()}{promise[1:]} | {' | '.join(cells)} |")
        notes = ["", "## Reasons", "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]
        self._target.write_text(HEAD + "\n".join(lines + notes) + "\n" + FOOT, "utf-8")


def storages_of_the_table() -> list[str]:
    """The columns; a reader in front of a storage ("s3 by aiohttp") is tried too, and is no storage of its own."""
    from storages import STORAGES

    return [str(each.id) for each in STORAGES if " by " not in str(each.id)]


def _storages(item: pytest.Function) -> Iterator[str]:
    """The name of the storage that a test is parametrized with."""
    ids = sorted(storages_of_the_table(), key=len, reverse=True)
    found = item.callspec.id if hasattr(item, "callspec") else ""
    yield from (name for name in ids if found == name or found.startswith(f"{name}-"))


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--storage-table", metavar="FILE", help="write which promise holds on which storage, in Markdown")


def pytest_configure(config: pytest.Config) -> None:
    if (target := config.getoption("--storage-table")) is not None:
        config.pluginmanager.register(StorageTable(Path(target)))
