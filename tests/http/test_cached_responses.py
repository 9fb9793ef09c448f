"""What is remembered follows the files: whatever happens to them is seen at the next check, within a second."""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import time
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from asgi.caching import cached, with_cache
from asgi.client import Reply, ask, scope_of
from asgi.tree import DATA, FINGERPRINT, MODIFIED_NS, STYLE, put
from assetstore import AssetStore
from assetstore.assets.compression import CODINGS, decompress
from assetstore.http import revalidation as revalidation
from assetstore.http.cache import MAX_RESPONSES, RESPONSE_BYTES, ResponseCache
from assetstore.http.handler import AssetHandler
from assetstore.http.representation import PIECE_BYTES
from assetstore.names import fingerprint
from waiting import eventually

Get = Callable[..., Reply]


@pytest.fixture
def memory() -> ResponseCache:
    return ResponseCache(64 * 1024 * 1024)


@pytest.fixture
def get(tree: Path, memory: ResponseCache) -> Get:
    handler = with_cache(AssetStore().static("/assets/", root=tree, name="assets"), memory)

    def request(path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        return ask(handler, path, method, headers)

    return request


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let a second pass for whatever is remembered."""
    now = time.monotonic
    passed = [0.0]

    def pass_() -> None:
        passed[0] += 1.0
        monkeypatch.setattr(time, "monotonic", lambda: now() + passed[0])

    return pass_


def test_what_was_asked_for_twice_is_not_read_again(tree: Path, get: Get) -> None:
    get("data.bin")
    (tree / "data.bin").write_bytes(b"other")
    assert get("data.bin").body == DATA


def test_a_saved_file_is_seen_within_a_second(tree: Path, get: Get) -> None:
    first = get("data.bin")
    (tree / "data.bin").write_bytes(b"saved")
    until = time.monotonic() + 1
    while (reply := get("data.bin")).body != b"saved":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert reply.headers["etag"] != first.headers["etag"]


def test_a_check_is_made_well_within_the_second() -> None:
    assert revalidation.CHECK_SECONDS + revalidation.SHARED_SECONDS < 1


def test_a_file_that_stays_the_same_is_not_read_again(
    tree: Path, get: Get, memory: ResponseCache, later: Callable[[], None]
) -> None:
    get("data.bin")
    entry = memory.get("/assets/data.bin")
    later()
    assert get("data.bin").body == DATA
    assert memory.get("/assets/data.bin") is entry


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda file: file.write_bytes(b"x" * len(DATA)), id="written in place"),
        pytest.param(lambda file: (file.unlink(), file.write_bytes(b"new")), id="replaced"),
        pytest.param(
            lambda file: (file.write_bytes(b"x" * len(DATA)), os.utime(file, ns=(MODIFIED_NS, MODIFIED_NS))),
            id="written, with the old time and size",
        ),
    ],
)
def test_a_change_is_seen_at_the_next_check(
    tree: Path, get: Get, later: Callable[[], None], change: Callable[[Path], object]
) -> None:
    get("data.bin")
    change(tree / "data.bin")
    later()
    assert get("data.bin").body == (tree / "data.bin").read_bytes()


def test_a_deleted_file_is_missing_at_the_next_check(tree: Path, get: Get, later: Callable[[], None]) -> None:
    get("data.bin")
    (tree / "data.bin").unlink()
    later()
    assert get("data.bin").status == 404


def test_a_file_that_appears_is_served_at_the_next_check(tree: Path, get: Get, later: Callable[[], None]) -> None:
    assert get("new.css").status == 404
    put(tree, "new.css", STYLE)
    later()
    assert get("new.css").body == STYLE


def test_a_link_that_is_turned_outside_is_missing_at_the_next_check(
    tree: Path, get: Get, later: Callable[[], None]
) -> None:
    put(tree.parent, "secret.bin", b"secret")
    (tree / "link.bin").symlink_to("data.bin")
    assert get("link.bin").body == DATA
    (tree / "link.bin").unlink()
    (tree / "link.bin").symlink_to("../secret.bin")
    later()
    assert get("link.bin").status == 404


def test_without_bytes_in_memory_a_file_that_is_another_is_never_sent_under_the_old_headers(tree: Path) -> None:
    """Then every request asks the file for its mark, so it need not wait for the next check."""
    handler = with_cache(AssetStore().static("/assets/", root=tree), ResponseCache(0))
    first = ask(handler, "data.bin")
    assert ask(handler, "data.bin").body == DATA
    (tree / "data.bin").write_bytes(b"saved")
    reply = ask(handler, "data.bin")
    assert reply.body == b"saved"
    assert reply.headers["etag"] != first.headers["etag"]


def test_a_variant_that_appears_is_offered_at_the_next_check(tree: Path, get: Get, later: Callable[[], None]) -> None:
    assert "content-encoding" not in get("tiny.css", headers={"Accept-Encoding": "gzip"}).headers
    put(tree, "tiny.css.gz", gzip.compress((tree / "tiny.css").read_bytes()))
    later()
    assert get("tiny.css", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("settled", [False, True], ids=["a folder just made", "a folder long left alone"])
def test_whatever_appears_in_a_folder_is_seen_at_the_next_check(
    tree: Path, get: Get, later: Callable[[], None], monkeypatch: pytest.MonkeyPatch, settled: bool
) -> None:
    """The folder's own mark tells, but not while it is young."""
    monkeypatch.setattr(revalidation, "SETTLED_SECONDS", -60 if settled else 60)
    retained = fingerprint.add("css/app.css", "0" * 64)
    gzipped = {"Accept-Encoding": "gzip"}
    assert [get(path).status for path in ("css/new.css", "no/folder.css", retained)] == [404, 404, 200]
    get("css/app.css", headers=gzipped)
    time.sleep(0.02)  # one tick of the clock of older kernels' file systems
    later()
    get("css/app.css", headers=gzipped)
    put(tree, "css/new.css", b"new")
    put(tree, "no/folder.css", b"folder")
    put(tree, retained, b"retained")
    put(tree, "css/app.css.gz", stored := gzip.compress(STYLE, 1))
    later()
    assert [get(path).body for path in ("css/new.css", "no/folder.css", retained)] == [b"new", b"folder", b"retained"]
    assert get("css/app.css", headers=gzipped).body == stored


def test_a_link_whose_target_appears_is_served_at_the_next_check(
    tree: Path, get: Get, later: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revalidation, "SETTLED_SECONDS", -60)
    (tree / "css" / "link.css").symlink_to("../built.css")
    assert get("css/link.css").status == 404
    later()
    assert get("css/link.css").status == 404
    put(tree, "built.css", b"built")
    later()
    assert get("css/link.css").body == b"built"


def test_a_retained_version_that_appears_is_sent_at_the_next_check(
    tree: Path, get: Get, later: Callable[[], None]
) -> None:
    path = fingerprint.add("css/app.css", "0" * 64)
    assert get(path).body == STYLE
    put(tree, path, b"retained")
    later()
    assert get(path).body == b"retained"


def test_a_fingerprint_that_is_no_longer_current_is_not_immutable_at_the_next_check(
    tree: Path, get: Get, later: Callable[[], None]
) -> None:
    path = fingerprint.add("css/app.css", FINGERPRINT)
    assert "immutable" in get(path).headers["cache-control"]
    (tree / "css" / "app.css").write_bytes(b"new")
    later()
    reply = get(path)
    assert "immutable" not in reply.headers["cache-control"]
    assert reply.body == b"new"


def test_a_file_of_the_future_is_not_remembered(tree: Path, get: Get, memory: ResponseCache) -> None:
    """Once its time has come it gets a Last-Modified, though it has not changed."""
    put(tree, "data.bin", DATA, time.time_ns() + 3600 * 10**9)
    get("data.bin")
    assert len(memory) == 0


def test_a_file_beyond_the_limit_is_opened_again_each_time(tree: Path) -> None:
    memory = ResponseCache(8 * 1024 * 1024)
    handler = with_cache(AssetStore().static("/assets/", root=tree), memory)
    put(tree, "big.bin", DATA * 300)
    for _ in range(3):
        assert ask(handler, "big.bin").body == DATA * 300
    assert memory.bytes < 20_000
    for headers in ({}, {"Range": "bytes=5-9"}):
        found = cached(memory, scope_of("big.bin", headers=headers))
        assert found is not None
        assert found.file is not None
    part = ask(handler, "big.bin", headers={"Range": "bytes=5-9"})
    assert (part.status, part.body) == (206, DATA[5:10])


def test_a_large_file_is_remembered_in_pieces_of_one_size(tree: Path, get: Get, memory: ResponseCache) -> None:
    content = os.urandom(3 * PIECE_BYTES + 5)
    put(tree, "large.bin", content)
    for _ in range(2):
        assert get("large.bin").body == content
    found = cached(memory, scope_of("large.bin"))
    assert found is not None
    assert [len(piece) for piece in found.body] == [PIECE_BYTES] * 3 + [5]
    assert b"".join(found.body) == content


def test_no_variety_of_requests_makes_one_url_grow_without_bound(get: Get, memory: ResponseCache) -> None:
    for number in range(500):
        get("data.bin", headers={"If-None-Match": f'"{number}"', "Range": f"bytes={number}-9999"})
        get("data.bin", headers={"Accept-Encoding": "x" * number})
    assert memory.bytes < len(DATA) + MAX_RESPONSES * (RESPONSE_BYTES + len(DATA)) + 10_000


def test_dates_are_judged_anew_each_time(get: Get, memory: ResponseCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date that lies ahead is ignored; once it is past it holds (RFC 9110 section 13.1.3)."""
    tomorrow = time.time() + 86_400
    header = {"If-Modified-Since": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(tomorrow))}
    assert [get("data.bin", headers=header).status for _ in range(3)] == [200] * 3
    monkeypatch.setattr(time, "time", lambda: tomorrow + 10)
    assert get("data.bin", headers=header).status == 304


@pytest.mark.parametrize("coding", CODINGS)
def test_no_client_waits_until_a_large_file_is_compressed(tree: Path, get: Get, coding: str) -> None:
    """It gets the plain bytes, and whoever asks later the coding, which then stays the same."""
    script = "".join(f"call({number});\n" for number in range(30_000)).encode()
    put(tree, "large.js", script)
    accepts = {"Accept-Encoding": coding}
    first = get("large.js", headers=accepts)
    assert (first.body, first.headers["vary"]) == (script, "Accept-Encoding")
    assert "content-encoding" not in first.headers
    assert eventually(lambda: get("large.js", headers=accepts).headers.get("content-encoding") == coding)
    coded = get("large.js", headers=accepts)
    assert decompress(coded.body, coding, len(script)) == script
    assert get("large.js", headers=accepts).headers["etag"] == coded.headers["etag"] != first.headers["etag"]
    assert get("large.js").body == script


def test_what_is_remembered_is_sent_in_messages_of_its_own(get: Get) -> None:
    """Middleware writes into the messages that it passes on."""
    first = get("data.bin")
    first.raw_headers.append((b"x-middleware", b"was here"))  # type: ignore[attr-defined]
    assert "x-middleware" not in get("data.bin").headers


def test_a_thousand_at_once_get_the_same(tree: Path, memory: ResponseCache) -> None:
    handler = with_cache(AssetStore().static("/assets/", root=tree), memory)

    async def all_at_once() -> set[bytes]:
        from asgi.client import ask_async

        return {reply.body for reply in await asyncio.gather(*(ask_async(handler, "data.bin") for _ in range(1000)))}

    assert asyncio.run(all_at_once()) == {DATA}


async def messages(handler: AssetHandler, scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await handler(scope, receive, send)
    return sent


def test_a_large_file_is_left_to_a_server_that_can_send_it(tree: Path, memory: ResponseCache) -> None:
    """From the first request on, and never once the file is another."""
    handler = with_cache(AssetStore().static("/assets/", root=tree), memory)
    big = put(tree, "big.bin", DATA * 300)
    scope = {**scope_of("big.bin"), "extensions": {"http.response.pathsend": {}}}
    for _ in range(3):
        start, sent = asyncio.run(messages(handler, scope))
        assert dict(start["headers"])[b"content-length"] == str(big.stat().st_size).encode()
        assert sent["type"] == "http.response.pathsend"
        assert Path(sent["path"]).samefile(big)
    assert memory.bytes < 20_000, "its bytes were remembered for nothing"
    big.write_bytes(b"another")
    start, sent = asyncio.run(messages(handler, scope))
    assert (sent["body"], dict(start["headers"])[b"content-length"]) == (b"another", b"7")


def test_a_part_of_a_large_file_is_not_left_to_a_server_that_sends_whole_files(
    tree: Path, memory: ResponseCache
) -> None:
    handler = with_cache(AssetStore().static("/assets/", root=tree), memory)
    put(tree, "big.bin", DATA * 300)
    scope = scope_of("big.bin", headers={"Range": "bytes=1-2000000"})
    for _ in range(2):
        _, *sent = asyncio.run(messages(handler, {**scope, "extensions": {"http.response.pathsend": {}}}))
        assert b"".join(each["body"] for each in sent) == (DATA * 300)[1:2000001]


@pytest.mark.parametrize("times", [1, 3], ids=["not cached", "cached"])
@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip, deflate, br, zstd"}], ids=["plain", "as browsers"])
def test_what_is_remembered_takes_no_more_than_it_is_charged_for(
    tree: Path, times: int, headers: dict[str, str]
) -> None:
    """With what the modules around it keep of each file, and for the longest names: fingerprinted ones."""
    store = AssetStore()
    store.static("/assets/", root=tree, name="assets")
    app, memory = store.wrap(_nothing), store.response_cache
    for number in range(400):
        put(tree, f"many/{number:03}.css", b"a { color: red }", MODIFIED_NS + number * 10**9)
    paths = [store.url_for("assets", file=f"many/{number:03}.css").removeprefix("/assets/") for number in range(400)]
    for path in paths[:100] * times:
        ask(app, path, headers=headers)
    gc.collect()
    charged_before = memory.bytes
    tracemalloc.start()
    try:
        for path in paths[100:] * times:
            ask(app, path, headers=headers)
        gc.collect()
        # What the test's own event loops keep is not the cache's.
        taken_by = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*/asyncio/*")])
        taken = sum(each.size for each in taken_by.traces)
    finally:
        tracemalloc.stop()
    assert len(memory) == 400
    assert taken <= memory.bytes - charged_before


async def _nothing(*_: object) -> None:
    raise AssertionError("not for a mount")
