"""Every promise of a backend, tried on every backend."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from assetstore.backends.base import Backend, Span, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, BackendError, PublishConflict, RangeNotSatisfiable, VersionChanged
from storages import STORAGES, Storage

BIG = bytes(range(256)) * 2600  # 665,600 bytes: more than two chunks
FILES = {
    "css/app.css": b"body { color: red }",
    "big.bin": BIG,
    "empty.txt": b"",
    "images/a cat.jpg": b"cat",
    "images/gr\u00fc\u00dfe \u2603.svg": b"<svg/>",
    "odd/100%/a+b&c=d;e,f@g~h'i(j).txt": b"odd",
    "dir.css/inner.css": b"inner",
    ".env": b"SECRET=1",
    ".git/config": b"secret",
}
SEEN = {path for path in FILES if not path.startswith(".")}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    """For the tests that change something."""
    with request.param(FILES, request) as storage:
        yield storage


@pytest.fixture(scope="module", params=STORAGES)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """For the tests that only read."""
    with request.param(FILES, request) as storage:
        yield storage.backend


@pytest.mark.parametrize("path", sorted(SEEN))
def test_stat_and_open_tell_the_same_facts_and_the_bytes_are_those(backend: Backend, path: str) -> None:
    stat = backend.stat(path)
    assert (stat.path, stat.size) == (path, len(FILES[path]))
    opened = backend.open(path)
    assert opened.stat == stat
    opened.close()
    assert read_bytes(backend, path) == FILES[path]


def test_times_are_whole_nanoseconds_of_a_plausible_day(backend: Backend) -> None:
    moment = backend.stat("css/app.css").mtime_ns
    assert isinstance(moment, int)
    assert 1_700_000_000 * 10**9 <= moment <= (time.time() + 5) * 10**9


def test_walk_lists_every_file_with_the_facts_of_stat_and_nothing_hidden(backend: Backend) -> None:
    if not getattr(backend, "listable", True):
        with pytest.raises(BackendError, match="cannot be listed"):
            list(backend.walk())
        return
    found = {stat.path: stat for stat in backend.walk()}
    assert set(found) == SEEN
    assert all(found[path] == backend.stat(path) for path in ("css/app.css", "empty.txt", "images/a cat.jpg"))


@pytest.mark.parametrize(
    "path",
    [
        "missing.css",
        "css",
        "dir.css",
        "css/",
        "css/app.css/child",
        "",
        ".",
        "..",
        "../pre/css/app.css",
        "css/../css/app.css",
        "css//app.css",
        "/css/app.css",
        "css/./app.css",
        "nul\0.css",
        "x" * 2000,
        "lone\ud800",
    ],
)
def test_what_is_no_file_is_missing_however_it_is_asked_for(backend: Backend, path: str) -> None:
    with pytest.raises(AssetNotFound):
        backend.stat(path)
    with pytest.raises(AssetNotFound):
        backend.open(path)


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (0, len(BIG)), (5, 300_000), (262_143, 262_145), (len(BIG) - 1, len(BIG)), (300, 300)],
)
def test_chunks_are_a_slice(backend: Backend, start: int, stop: int) -> None:
    with contextlib.closing(backend.open("big.bin", Span(start, stop))) as opened:
        assert opened.stat.size == len(BIG)
        assert b"".join(opened.chunks(start, stop)) == BIG[start:stop]


def test_a_suffix_is_a_span(backend: Backend) -> None:
    with contextlib.closing(backend.open("big.bin", Span(-500))) as opened:
        assert opened.stat.size == len(BIG)
        assert b"".join(opened.chunks(*Span(-500).within(opened.stat.size))) == BIG[-500:]


def test_a_suffix_longer_than_the_file_is_the_whole(backend: Backend) -> None:
    with contextlib.closing(backend.open("css/app.css", Span(-500))) as opened:
        assert b"".join(opened.chunks(*Span(-500).within(opened.stat.size))) == FILES["css/app.css"]


def test_several_parts_can_be_read_from_one_open_file_in_any_order(backend: Backend) -> None:
    with contextlib.closing(backend.open("big.bin", Span(100, 200))) as opened:
        for start, stop in ((500_000, 500_010), (100, 200), (0, 3), (150, 400_000)):
            assert b"".join(opened.chunks(start, stop)) == BIG[start:stop]


@pytest.mark.parametrize("span", [Span(), Span(0, 10), Span(-10)])
def test_an_empty_file_can_be_opened_by_any_span(backend: Backend, span: Span) -> None:
    with contextlib.closing(backend.open("empty.txt", span)) as opened:
        assert opened.stat.size == 0
        assert list(opened.chunks(*span.within(0))) == []


def test_a_span_past_the_end_is_not_satisfiable_or_empty(backend: Backend) -> None:
    size: int | None = len(FILES["css/app.css"])
    try:
        opened = backend.open("css/app.css", Span(1000, 2000))
    except RangeNotSatisfiable as refused:
        told = refused.size
    else:
        told = opened.stat.size
        opened.close()
    assert told in {size, None}


def test_a_half_read_file_can_be_closed_twice_and_leaks_no_descriptor(backend: Backend) -> None:
    def half_read() -> None:
        opened = backend.open("big.bin")
        next(iter(opened.chunks(0, len(BIG))))
        opened.close()
        opened.close()

    half_read()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        half_read()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # an idle connection may wait in a pool


def test_a_validator_pins_the_version(storage: Storage) -> None:
    validator = storage.backend.stat("css/app.css").validator
    if validator is None:
        pytest.skip("the storage reports no validator")
    storage.backend.open("css/app.css", validator=validator).close()
    with pytest.raises(VersionChanged):
        storage.backend.open("css/app.css", validator="0" * 32)


def test_an_open_file_never_mixes_two_versions(storage: Storage) -> None:
    if storage.put is None:
        pytest.skip("its files cannot be changed")
    opened = storage.backend.open("big.bin", Span(0, 1000))
    assert b"".join(opened.chunks(0, 1000)) == BIG[:1000]
    storage.put("big.bin", b"new" * 200_000)
    try:
        later = b"".join(opened.chunks(1000, 2000))
    except VersionChanged:
        return
    finally:
        opened.close()
    assert later == BIG[1000:2000]


def test_what_was_replaced_is_seen_at_once_by_stat(storage: Storage) -> None:
    if storage.put is None or storage.remove is None:
        pytest.skip("its files cannot be changed")
    before = storage.backend.stat("css/app.css")
    if getattr(storage.backend, "listable", True):
        list(storage.backend.walk())  # which must not leave a memory behind
    storage.put("css/app.css", b"body { color: blue; }")
    after = storage.backend.stat("css/app.css")
    assert after.size == 21
    assert after.version != before.version  # a time in whole seconds may be the same
    assert read_bytes(storage.backend, "css/app.css") == b"body { color: blue; }"
    storage.remove("css/app.css")
    with pytest.raises(AssetNotFound):
        storage.backend.stat("css/app.css")


def test_a_writable_backend_writes_creates_and_deletes(storage: Storage) -> None:
    backend = storage.backend
    if not isinstance(backend, WritableBackend):
        pytest.skip("it can only be read")
    plain = WriteOptions("text/css; charset=utf-8", "public, max-age=60")
    with contextlib.closing(backend.open("css/app.css")) as source:
        stat = backend.write("new/b.css", source, replace(plain, create_only=True))
        now = backend.stat("new/b.css")
        assert stat == replace(now, mtime_ns=stat.mtime_ns, sha256=stat.sha256)
        assert read_bytes(backend, "new/b.css") == FILES["css/app.css"]
        with pytest.raises(PublishConflict):
            backend.write("new/b.css", source, replace(plain, create_only=True))
    backend.delete("new/b.css")
    backend.delete("new/b.css")
    with pytest.raises(AssetNotFound):
        backend.stat("new/b.css")


def test_the_label_tells_no_secret(backend: Backend) -> None:
    assert "testing" not in backend.label
    assert "testing" not in repr(backend)
