"""Trying ``assetstore serve`` on trees that nobody here wrote.

``python -m examples.real_trees`` finds the static folders of the packages in :data:`TREES` that are
installed, serves each, asks for every file in it by its plain and by its fingerprinted name, compares
the bytes, and says what it met. The names are made in this process and judged by the server's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import quote, urlsplit

from assetstore.servers import Tree

#: Where each package keeps its tree: below the package, or below the environment.
TREES = {
    "django": "contrib/admin/static",
    "swagger_ui": "static",
    "jupyterlab": "{prefix}/share/jupyter/lab/static",
}


@dataclass
class Findings:
    """What one crawl met."""

    answers: int = 0
    size: int = 0
    seconds: float = 0.0
    types: Counter[str] = field(default_factory=Counter)
    #: One line for each file that did not come back as it lies on disk, or not with its cache policy.
    surprises: list[str] = field(default_factory=list)
    #: Files of which no media type is known.
    untyped: list[str] = field(default_factory=list)


def find(package: str) -> Path | None:
    """The package's tree; ``None`` if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    tree = Path(spec.submodule_search_locations[0]) / TREES[package].format(prefix=sys.prefix)
    return tree if tree.is_dir() else None


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    """``assetstore serve`` on *root*, in a process of its own; gives the URL it says."""
    command = [sys.executable, "-m", "assetstore", "serve", str(root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().partition(" at ")[2].split()[0]
        finally:
            server.terminate()


def crawl(root: Path, url: str) -> Findings:
    """Ask for every file under *root* at *url*, by both names, and compare."""
    findings = Findings()
    parts = urlsplit(url)
    names = Tree(str(root), url=parts.path).store()
    connection = _connect(parts.hostname or "", parts.port or 80)
    begun = monotonic()
    for file in sorted(each for each in root.rglob("*") if each.is_file()):
        path = file.relative_to(root).as_posix()
        for asked, policy in (
            (parts.path + quote(path), "must-revalidate"),
            (names.url_for("assets", file=path), "immutable"),
        ):
            connection.request("GET", asked)
            answer = connection.getresponse()
            _judge(answer, answer.read(), file, policy, findings)
    findings.seconds = monotonic() - begun
    connection.close()
    return findings


def _connect(host: str, port: int, patience_seconds: float = 30) -> HTTPConnection:
    """A connection, once the server listens."""
    deadline = monotonic() + patience_seconds
    while True:
        connection = HTTPConnection(host, port, timeout=30)
        try:
            connection.connect()
            return connection
        except ConnectionError:
            if monotonic() > deadline:
                raise
            sleep(0.02)


def _judge(answer: HTTPResponse, body: bytes, file: Path, policy: str, findings: Findings) -> None:
    findings.answers += 1
    findings.size += len(body)
    media_type = answer.headers.get_content_type()
    findings.types[media_type] += 1
    if answer.status != 200:
        findings.surprises.append(f"{file}: status {answer.status}")
    elif body != file.read_bytes():
        findings.surprises.append(f"{file}: {len(body)} bytes came, {file.stat().st_size} are on disk")
    elif policy not in answer.headers.get("Cache-Control", ""):
        findings.surprises.append(f"{file}: {answer.headers.get('Cache-Control')} is not {policy}")
    if media_type == "application/octet-stream" and file.name not in findings.untyped:
        findings.untyped.append(file.name)


def main() -> int:
    for package in TREES:
        tree = find(package)
        if tree is None:
            print(f"{package}: not installed")
            continue
        with served(tree) as url:
            found = crawl(tree, url)
        print(f"{package}: {found.answers} answers, {found.size / 1e6:.1f} MB in {found.seconds:.1f} s")
        print("  types: " + ", ".join(f"{name} {count}" for name, count in found.types.most_common()))
        print(f"  no type is known of: {', '.join(found.untyped) or 'none'}")
        print("".join(f"  surprise: {line}\n" for line in found.surprises), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
