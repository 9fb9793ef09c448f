"""What a rude client sends: no byte from outside the root, no 500, nothing left open."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asgi.client import ask_async, scope_of
from asgi.tree import DATA, STYLE, Ask, put
from assetstore import AssetStore
from assetstore.http.handler import AssetHandler
from assetstore.http.send import BrokenOff

SECRET = b"the bytes outside of the root"


@pytest.fixture
def hostile(tree: Path) -> Path:
    """The tree, with everything in it and beside it that must not be served."""
    outside = put(tree.parent, "secret.txt", SECRET)
    put(tree.parent, "outside/secret.txt", SECRET)
    put(tree, ".env", SECRET)
    put(tree, ".git/config", SECRET)
    put(tree, "css/.hidden.css", SECRET)
    (tree / "dir.css").mkdir()
    (tree / "link.txt").symlink_to(outside)
    (tree / "folder").symlink_to(tree.parent / "outside")
    (tree / "loop.txt").symlink_to(tree / "loop.txt")
    (tree / "zero.bin").symlink_to("/dev/zero")
    os.mkfifo(tree / "fifo.txt")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(tree / "socket.txt"))
    return tree


PATHS = [
    "../secret.txt",
    "css/../../secret.txt",
    "./css/app.css",
    "css/./app.css",
    "css//app.css",
    "/etc/passwd",
    "//etc/passwd",
    "..\\secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "..;/secret.txt",
    "C:/secret.txt",
    "c:secret.txt",
    "\\\\server\\share\\secret.txt",
    "file:///etc/passwd",
    "\x00",
    "data.bin\x00.txt",
    "data.bin\n",
    "data.bin/",
    "data.bin/child",
    "data.bin/../../secret.txt",
    "css",
    "css/",
    "dir.css",
    ".",
    "..",
    "...",
    "~root/secret.txt",
    ".env",
    ".git/config",
    "css/.hidden.css",
    "link.txt",
    "folder/secret.txt",
    "loop.txt",
    "zero.bin",
    "fifo.txt",
    "socket.txt",
    "a" * 300,
    "a" * 10_000,
    "a/" * 5_000,
    "\udcff\udcfe",
    "\ufffd",
    "é" * 600,
    " ",
    "-" + "0" * 64,
    "../secret-" + "0" * 64 + ".txt",
    ".-" + "0" * 64 + ".css",
    "link-" + "0" * 64 + ".txt",
    "?x",
    "#",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ascii(path)[:60])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_no_asset_is_a_404_that_tells_nothing(
    serve: Callable[..., Ask], hostile: Path, path: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = serve()(path, method, {"Accept-Encoding": "br, gzip", "Range": "bytes=0-5"})
    assert reply.status == 404
    assert reply.body in {b"Not Found", b""}
    assert reply.headers["cache-control"] == "no-store"
    assert not caplog.records


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory, seen by a process that may not read everything, even if root runs the tests."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield Path(folder)
        os.seteuid(user)


def test_a_file_that_may_not_be_read_is_no_500_and_tells_nothing(
    serve: Callable[..., Ask], unprivileged: Path, caplog: pytest.LogCaptureFixture
) -> None:
    user = os.geteuid()
    os.seteuid(os.getuid())
    put(unprivileged, "locked.txt", SECRET).chmod(0)
    os.seteuid(user)
    reply = serve(unprivileged)("locked.txt")
    assert (reply.status, reply.body) == (404, b"Not Found")
    assert "locked.txt" in caplog.text, "the operator must hear of it"


HEADERS = [
    {"Range": "bytes=" + "0-0," * 20_000},
    {"Range": "bytes=" + "9" * 60_000 + "-"},
    {"Range": "\x00\xff"},
    {"If-None-Match": '"a",' * 20_000},
    {"If-None-Match": '"' * 60_000},
    {"If-Match": "W/" * 30_000},
    {"If-Modified-Since": "9" * 60_000},
    {"If-Unmodified-Since": "Sun, 99 Nov 9999 99:99:99 GMT"},
    {"If-Modified-Since": "Fri, 31 Dec 9999 23:59:60 GMT"},
    {"If-Range": "\xff" * 1000, "Range": "bytes=0-1"},
    {"Accept-Encoding": "gzip;q=" * 10_000},
    {"Accept-Encoding": "," * 60_000},
    {"Accept-Encoding": "*;q=" + "0" * 60_000},
]


@pytest.mark.parametrize("headers", HEADERS, ids=range(len(HEADERS)))
def test_no_header_is_a_fault_of_ours_or_takes_long(get: Ask, headers: dict[str, str]) -> None:
    before = time.perf_counter()
    assert get("data.bin", headers=headers).status < 500
    assert time.perf_counter() - before < 10


header_values = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.text('bytes=-0123456789,"W/*; q.gzipbr', max_size=60),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.one_of(st.just("data.bin"), st.just("css/app.css"), st.text(), st.text("./\\%;:~-a\x00 ", max_size=12)),
    headers=st.dictionaries(
        st.sampled_from(
            "Range If-Range If-Match If-None-Match If-Modified-Since If-Unmodified-Since Accept-Encoding".split()
        ),
        header_values,
    ),
    method=st.sampled_from(["GET", "HEAD", "OPTIONS", "POST"]),
)
def test_any_request_gets_an_answer_of_http(get: Ask, path: str, headers: dict[str, str], method: str) -> None:
    reply = get(path, method, headers)
    assert reply.status in {200, 204, 206, 304, 404, 405, 412, 416}
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_link_that_is_swapped_in_is_never_followed_outside(serve: Callable[..., Ask], tree: Path) -> None:
    secret = put(tree.parent, "secret.txt", SECRET)
    target, spare = tree / "swap.txt", tree / "spare.txt"
    target.write_bytes(b"inside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            spare.symlink_to(secret)
            spare.replace(target)
            spare.write_bytes(b"inside")
            spare.replace(target)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        seen = _bodies(tree, "swap.txt", seconds=1.0)
    finally:
        stop.set()
        swapping.join()
    assert SECRET not in seen
    assert b"inside" in seen


def _bodies(tree: Path, path: str, seconds: float) -> set[bytes]:
    handler = AssetHandler(AssetStore().static("/assets/", root=tree))

    async def ask_on() -> set[bytes]:
        seen = set()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen.add((await ask_async(handler, path)).body)
        return seen

    return asyncio.run(ask_on())


@pytest.mark.parametrize("kind", ["link outside", "folder", "fifo"])
def test_a_sibling_is_no_way_out_of_the_root(serve: Callable[..., Ask], tree: Path, kind: str) -> None:
    secret = put(tree.parent, "secret.txt", SECRET)
    for suffix in (".br", ".zst", ".gz"):
        sibling = tree / f"css/app.css{suffix}"
        if kind == "folder":
            sibling.mkdir()
        elif kind == "fifo":
            os.mkfifo(sibling)
        else:
            sibling.symlink_to(secret)
    reply = serve()("css/app.css", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(reply.body) == STYLE


def test_a_client_that_leaves_in_mid_body_leaves_nothing_open(tree: Path) -> None:
    put(tree, "big.bin", DATA * 1000)
    handler = AssetHandler(AssetStore().static("/assets/", root=tree))
    process = psutil.Process()

    async def leave(after: int) -> None:
        gone = asyncio.Event()
        sent = 0

        async def receive() -> dict[str, object]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            nonlocal sent
            sent += 1
            if sent > after:
                gone.set()
                await asyncio.sleep(0)

        scope = scope_of("big.bin")
        await asyncio.wait_for(handler(scope, receive, send), 5)
        assert sent < 39, "the rest of the file was read for nobody"

    async def leave_often() -> None:
        await leave(1)
        before = process.num_fds()
        for _ in range(20):
            await leave(3)
        assert process.num_fds() <= before

    asyncio.run(leave_often())


def test_a_request_that_is_cancelled_leaves_nothing_open(tree: Path) -> None:
    put(tree, "big.bin", DATA * 1000)
    handler = AssetHandler(AssetStore().static("/assets/", root=tree))
    process = psutil.Process()

    async def cancel_in_mid_body() -> None:
        stuck = asyncio.Event()

        async def receive() -> dict[str, object]:
            return await asyncio.Future()

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.body":
                stuck.set()
                await asyncio.Future()

        scope = scope_of("big.bin")
        task = asyncio.create_task(handler(scope, receive, send))
        await stuck.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def often() -> None:
        await cancel_in_mid_body()
        before = process.num_fds()
        for _ in range(20):
            await cancel_in_mid_body()
        assert process.num_fds() <= before

    asyncio.run(often())


@pytest.fixture
def written_to(tree: Path) -> Iterator[Path]:
    """A file that is rewritten in place, in turns longer and shorter, for as long as the test runs."""
    file = put(tree, "log.txt", b"0" * 1000)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for size in (10, 300_000, 0, 1_000_000):
                file.write_bytes(b"0" * size)

    writing = threading.Thread(target=write)
    writing.start()
    yield file
    stop.set()
    writing.join()


def test_a_file_rewritten_in_place_never_breaks_the_promised_length(written_to: Path) -> None:
    handler = AssetHandler(AssetStore().static("/assets/", root=written_to.parent))
    statuses = set()

    async def ask_on() -> None:
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            for headers in ({}, {"Accept-Encoding": "gzip"}):
                statuses.add(await _status(handler, headers))

    asyncio.run(ask_on())
    assert 200 in statuses
    assert statuses <= {200, 502, "broken off"}


async def _status(handler: AssetHandler, headers: dict[str, str]) -> int | str:
    """The status, after checking lengths; or that the body was broken off, as it must be when it falls short."""
    try:
        return (await ask_async(handler, "log.txt", headers=headers)).status
    except BrokenOff:
        return "broken off"
