"""The fast path is the same plan, remembered: every request gets the same answer with the memory on and off.

Each way of remembering is asked everything that the slow path is asked, three times over, so that
answers come from files, from representations and from finished answers; and in two orders, since
what is remembered depends on what was asked before.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asgi.caching import cached, with_cache
from asgi.client import Reply, ask_async, scope_of
from asgi.matrix import MATRIX, fill
from asgi.tree import DATA, FINGERPRINT, STYLE, put
from assetstore import AssetStore
from assetstore.assets import compression as compress
from assetstore.backends.fsspec.backend import FilesystemBackend
from assetstore.http.cache import ResponseCache
from assetstore.http.handler import AssetHandler
from assetstore.names import fingerprint

#: Budgets of bytes: whole files are remembered, plans alone, or both for a few URLs only.
MEMORIES = {
    "everything": lambda: ResponseCache(64 * 1024 * 1024),
    "plans alone": lambda: ResponseCache(0),
    "little memory": lambda: ResponseCache(100_000, plan_bytes=10_000),
}

PATHS = (
    "data.bin",
    fingerprint.add("data.bin", FINGERPRINT),
    fingerprint.add("data.bin", "0" * 64),
    "css/app.css",
    fingerprint.add("css/app.css", FINGERPRINT),
    "css/coded.css",
    "tiny.css",
    "empty.txt",
    "kept-" + "a" * 64 + ".css",
    "missing.css",
    fingerprint.add("missing.css", FINGERPRINT),
    "css",
    "css/",
    "css//app.css",
    "../secret",
    ".hidden",
    "",
)
CODINGS = ("", "gzip", "br;q=1, gzip;q=0.5", "identity;q=0, *;q=0", "zstd, gzip", "*")
METHODS = ("GET", "HEAD", "OPTIONS", "POST")


@pytest.fixture
def tree(tree: Path) -> Path:
    put(tree, "css/coded.css", STYLE)
    put(tree, "css/coded.css.gz", compress.compress(STYLE, "gzip") or b"")
    put(tree, "kept-" + "a" * 64 + ".css", b"of another release")
    put(tree, ".hidden", b"hidden")
    put(tree.parent, "secret", b"secret")
    return tree


def everything(ask: Callable[..., Reply]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Path, method and headers of every request."""
    for path in PATHS:
        yield from ((path, method, {}) for method in METHODS)
        for method, coding in itertools.product(("GET", "HEAD"), CODINGS[1:]):
            yield path, method, {"Accept-Encoding": coding}
    for path in PATHS[:7]:
        for coding in CODINGS[:3]:
            accept = {"Accept-Encoding": coding} if coding else {}
            whole = ask(path, "GET", accept)
            for row in MATRIX:
                yield path, "GET", accept | fill(row.values[0], whole)
                yield path, "HEAD", accept | fill(row.values[0], whole)


def told(reply: Reply) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return reply.status, list(reply.raw_headers), reply.body


@pytest.mark.parametrize(
    ("remembers", "backwards"),
    [
        pytest.param("everything", False, id="everything"),
        pytest.param("everything", True, id="everything, asked backwards"),
        pytest.param("plans alone", False, id="plans alone"),
        pytest.param("little memory", True, id="little memory"),
    ],
)
def test_the_memory_changes_no_answer(tree: Path, remembers: str, backwards: bool) -> None:
    mount = AssetStore().static("/assets/", root=tree, name="assets", defaults={"file": "tiny.css"})
    memory = MEMORIES[remembers]()
    slow, fast = AssetHandler(mount), with_cache(mount, memory)
    with asyncio.Runner() as runner:

        def plainly(*asked: object) -> Reply:
            return runner.run(ask_async(slow, *asked))  # type: ignore[arg-type]

        requests = list(everything(plainly))
        # Once a variant turned out to gain nothing, its file no longer varies; both have to know it.
        expected = [told(plainly(*each)) for each in requests]
        expected = [told(plainly(*each)) for each in requests]
        for each in requests:
            runner.run(ask_async(fast, *each))
        turns = list(zip(requests, expected, strict=True))
        for asked, answer in turns[::-1] if backwards else turns:
            for _ in range(2):
                assert told(runner.run(ask_async(fast, *asked))) == answer, asked
    assert any(cached(memory, scope_of(asked[0])) for asked, _ in turns), "nothing was remembered"


def test_a_large_file_is_the_same_in_pieces(tree: Path) -> None:
    put(tree, "big.bin", DATA * 90)
    mount = AssetStore().static("/assets/", root=tree)
    slow, fast = AssetHandler(mount), with_cache(mount, ResponseCache(64 * 1024 * 1024))
    for headers in ({}, {"Range": "bytes=100-400000"}, {"Range": "bytes=0-1023"}, {"Range": "bytes=0-9,500000-"}):
        expected = told(asyncio.run(ask_async(slow, "big.bin", "GET", headers)))
        for _ in range(3):
            assert told(asyncio.run(ask_async(fast, "big.bin", "GET", headers))) == expected


def test_a_backend_without_marks_is_answered_the_same(tree: Path) -> None:
    """Its answers only live for a second."""
    import fsspec

    files = fsspec.filesystem("memory")
    root = f"/same-answers-{os.getpid()}"
    files.pipe({f"{root}/data.bin": DATA, f"{root}/css/app.css": STYLE})
    mount = AssetStore().static("/assets/", root=FilesystemBackend(files, root), name="assets")
    memory = ResponseCache(64 * 1024 * 1024)
    slow, fast = AssetHandler(mount), with_cache(mount, memory)
    for path, row in itertools.product(("data.bin", "css/app.css", "missing.css"), ({}, {"If-None-Match": "*"})):
        expected = told(asyncio.run(ask_async(slow, path, "GET", row)))
        for _ in range(3):
            assert told(asyncio.run(ask_async(fast, path, "GET", row))) == expected
    assert len(memory) == 3
