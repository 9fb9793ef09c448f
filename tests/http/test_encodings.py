"""Content codings: siblings that hold the bytes of their file, and what is made here once, within its bounds."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest
import zstandard

from asgi.tree import MODIFIED_NS, STYLE, put
from assetstore.assets.compression import CODINGS, MIN_SIZE
from assetstore.backends.base import FileStat
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.reader import Reader, reader_of
from assetstore.errors import VersionChanged
from assetstore.http import encodings
from assetstore.http.encodings import MAX_FILE_BYTES, PLAIN, WAIT_BYTES, Encodings, Offer
from assetstore.http.revalidation import Snapshot
from assetstore.names import siblings
from assetstore.names.base import Asset, LocalResolver
from waiting import eventually


@pytest.fixture
def backend(tree: Path) -> LocalBackend:
    return LocalBackend(tree)


@pytest.fixture
def reader(backend: LocalBackend) -> Reader:
    return reader_of(backend)


@pytest.fixture
def variants(backend: LocalBackend, reader: Reader) -> Encodings:
    return Encodings(backend, reader, LocalResolver(backend, None))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The codings in which something was really compressed."""
    calls: list[str] = []
    real = encodings.compress

    def counted(data: bytes, coding: str) -> bytes | None:
        calls.append(coding)
        return real(data, coding)

    monkeypatch.setattr(encodings, "compress", counted)
    return calls


STAT = FileStat("css/app.css", len(STYLE), MODIFIED_NS)


@pytest.fixture
def stat(backend: LocalBackend) -> FileStat:
    """The style sheet as it was looked up."""
    return backend.stat("css/app.css")


def test_a_style_sheet_is_offered_in_every_coding(variants: Encodings) -> None:
    assert asyncio.run(variants.offer(STAT, "css/app.css", Snapshot(None))) == Offer(CODINGS)


@pytest.mark.parametrize(
    ("stat", "path"),
    [
        pytest.param(FileStat("a.png", 5000, 1), "a.png", id="what is compressed already"),
        pytest.param(FileStat("a.css", MIN_SIZE - 1, 1), "a.css", id="what is tiny"),
        pytest.param(FileStat("a.css", MAX_FILE_BYTES + 1, 1), "a.css", id="what takes too long"),
        pytest.param(FileStat("a.css", 0, 1), "a.css", id="what is empty"),
        pytest.param(FileStat("a.css", 5000, 1, coding="compress"), "a.css", id="what is stored in an odd coding"),
        pytest.param(
            FileStat("a.css", MAX_FILE_BYTES + 1, 1, coding="br"), "a.css", id="what is stored coded and large"
        ),
        pytest.param(FileStat("a.data", 5000, 1), "a.data", id="what nobody knows, without a sibling"),
    ],
)
def test_nothing_is_offered_of(variants: Encodings, stat: FileStat, path: str) -> None:
    assert asyncio.run(variants.offer(stat, path, Snapshot(None))).codings == ()


def test_a_tiny_file_may_have_a_sibling(variants: Encodings, backend: LocalBackend, tree: Path) -> None:
    put(tree, "tiny.css", b"a{b:c}")
    put(tree, "tiny.css.br", brotli.compress(b"a{b:c}"))
    offer = asyncio.run(variants.offer(backend.stat("tiny.css"), "tiny.css", Snapshot(None)))
    assert offer == Offer(("br",), {"br": backend.stat("tiny.css.br")})


@pytest.mark.parametrize("age_ns", [0, 1, -(10**12)])
def test_a_sibling_counts_where_it_holds_the_bytes_of_its_file(
    variants: Encodings, stat: FileStat, tree: Path, age_ns: int
) -> None:
    put(tree, "css/app.css.zst", zstandard.compress(STYLE), MODIFIED_NS + age_ns)
    offer = asyncio.run(variants.offer(stat, "css/app.css", Snapshot(None)))
    assert (set(offer.siblings), offer.unproven, offer.provisional) == ({"zstd"}, frozenset(), False)
    put(tree, "css/app.css.zst", zstandard.compress(STYLE[::-1]), MODIFIED_NS + age_ns)
    assert asyncio.run(variants.offer(stat, "css/app.css", Snapshot(None))) == Offer(CODINGS)


def test_the_sibling_of_a_large_file_is_compared_in_the_background(
    variants: Encodings, backend: LocalBackend, tree: Path
) -> None:
    large = os.urandom(WAIT_BYTES) + b"x"
    put(tree, "large.data", large)
    put(tree, "large.data.gz", gzip.compress(large), MODIFIED_NS)
    put(tree, "large.data.br", brotli.compress(large, quality=1), MODIFIED_NS - 1)
    stat = backend.stat("large.data")
    first = asyncio.run(variants.offer(stat, "large.data", Snapshot(None)))
    # Until it is known the time decides, and nothing is immutable.
    assert first.codings == ("gzip",)
    assert "gzip" in first.unproven
    assert first.provisional
    assert eventually(lambda: not asyncio.run(variants.offer(stat, "large.data", Snapshot(None))).provisional)
    last = asyncio.run(variants.offer(stat, "large.data", Snapshot(None)))
    assert (last.codings, last.unproven) == (("br", "gzip"), frozenset())


def test_what_cannot_be_compared_is_sent_by_its_time_and_never_as_proven(
    variants: Encodings,
    backend: LocalBackend,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(siblings, "MAX_BYTES", 100)
    put(tree, "css/app.css.br", brotli.compress(STYLE), MODIFIED_NS)
    put(tree, "css/app.css.gz", gzip.compress(STYLE), MODIFIED_NS - 1)
    offer = asyncio.run(variants.offer(backend.stat("css/app.css"), "css/app.css", Snapshot(None)))
    assert (set(offer.siblings), offer.unproven, offer.provisional) == ({"br"}, {"br", "gzip"}, False)
    asyncio.run(variants.offer(backend.stat("css/app.css"), "css/app.css", Snapshot(None)))
    (refused,) = [record.message for record in caplog.records if "is not sent" in record.message]
    assert "'css/app.css.gz'" in refused, "and once is enough"
    assert "older than 'css/app.css'" in refused


def test_a_fault_is_not_remembered_as_absence(
    variants: Encodings, stat: FileStat, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tree, "css/app.css.br", brotli.compress(STYLE), MODIFIED_NS)

    def out_of_descriptors(*args: object, **options: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", out_of_descriptors)
        faulty = asyncio.run(variants.offer(stat, "css/app.css", Snapshot(None)))
    assert (faulty.siblings, faulty.provisional) == ({}, True)
    offer = asyncio.run(variants.offer(stat, "css/app.css", Snapshot(None)))
    assert (set(offer.siblings), offer.provisional) == ({"br"}, False)


def test_an_empty_sibling_is_half_a_build(variants: Encodings, stat: FileStat, tree: Path) -> None:
    put(tree, "css/app.css.br", b"")
    assert asyncio.run(variants.offer(stat, "css/app.css", Snapshot(None))).siblings == {}


def test_what_nobody_knows_may_have_a_sibling(variants: Encodings, backend: LocalBackend, tree: Path) -> None:
    put(tree, "game.data", bytes(5000))
    put(tree, "game.data.br", brotli.compress(bytes(5000)))
    assert asyncio.run(variants.offer(backend.stat("game.data"), "game.data", Snapshot(None))).codings == ("br",)


def test_what_is_stored_in_a_coding_is_had_in_that_and_plain(variants: Encodings, tree: Path) -> None:
    put(tree, "app.css", gzip.compress(STYLE))
    stat = FileStat("app.css", (tree / "app.css").stat().st_size, MODIFIED_NS, coding="gzip")
    assert asyncio.run(variants.offer(stat, "app.css", Snapshot(None))) == Offer(("gzip",))


def test_what_is_damaged_is_not_offered_plain_again(
    variants: Encodings, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stored_so(stat: FileStat, opened: object) -> bytes:
        return b"no gzip at all"

    monkeypatch.setattr(variants, "_read", stored_so)
    stat = FileStat("app.css", 14, MODIFIED_NS, coding="gzip")
    assert asyncio.run(variants.make(stat, PLAIN, None)) is None
    assert asyncio.run(variants.offer(stat, "app.css", Snapshot(None))) == Offer()


def test_a_sibling_that_is_gone_or_another_by_now_is_not_opened(
    variants: Encodings, stat: FileStat, backend: LocalBackend, tree: Path
) -> None:
    put(tree, "css/app.css.br", b"x")
    seen = backend.stat("css/app.css.br")
    time.sleep(0.02)  # one tick of the clock of older kernels' file systems
    put(tree, "css/app.css.br", b"y")
    assert asyncio.run(variants.open_sibling(stat, seen)) is None
    (tree / "css/app.css.br").unlink()
    assert asyncio.run(variants.open_sibling(stat, seen)) is None


def test_of_a_remote_file_only_known_siblings_count(backend: LocalBackend, reader: Reader, tree: Path) -> None:
    put(tree, "css/app.css.br", brotli.compress(STYLE))
    put(tree, "css/app.css.gz", gzip.compress(STYLE))

    class Remote(LocalBackend):
        remote = True

        def stat(self, path: str) -> FileStat:
            raise AssertionError("that would be a request")

    class Known(LocalResolver):
        def find(self, path: str) -> Asset | None:
            known = {"css/app.css.br": backend.stat("css/app.css.br")}
            return Asset(path, None, known[path]) if path in known else None

    offer = asyncio.run(
        Encodings(Remote(tree), reader, Known(backend, None)).offer(
            backend.stat("css/app.css"), "css/app.css", Snapshot(None)
        )
    )
    assert set(offer.siblings) == {"br"}


def test_a_variant_is_made_once(variants: Encodings, stat: FileStat, made: list[str]) -> None:
    async def twice() -> None:
        first = await variants.make(stat, "gzip", None)
        assert first is not None
        assert gzip.decompress(first) == STYLE
        assert await variants.make(stat, "gzip", None) is first

    asyncio.run(twice())
    assert made == ["gzip"]


def test_many_who_ask_at_once_share_one_making(variants: Encodings, stat: FileStat, made: list[str]) -> None:
    async def at_once() -> None:
        results = await asyncio.gather(*(variants.make(stat, "br", None) for _ in range(50)))
        assert len({id(each) for each in results}) == 1

    asyncio.run(at_once())
    assert made == ["br"]


def test_another_version_is_made_anew(
    variants: Encodings, backend: LocalBackend, stat: FileStat, tree: Path, made: list[str]
) -> None:
    async def both() -> None:
        await variants.make(stat, "gzip", None)
        put(tree, "css/app.css", STYLE[::-1], MODIFIED_NS + 1)
        newer = backend.stat("css/app.css")
        second = await variants.make(newer, "gzip", None)
        assert second is not None
        assert gzip.decompress(second) == STYLE[::-1]

    asyncio.run(both())
    assert made == ["gzip", "gzip"]


def test_a_file_that_is_another_by_now_makes_no_variant(variants: Encodings) -> None:
    with pytest.raises(VersionChanged):
        asyncio.run(variants.make(FileStat("css/app.css", len(STYLE), MODIFIED_NS - 1), "gzip", None))


def test_what_gains_nothing_is_offered_no_more(
    variants: Encodings, stat: FileStat, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "compress", lambda data, coding: None)
    assert asyncio.run(variants.make(stat, "br", None)) is None
    assert asyncio.run(variants.offer(stat, "css/app.css", Snapshot(None))).codings == ("zstd", "gzip")


def test_memory_stays_within_its_budget(backend: LocalBackend, reader: Reader, tree: Path, made: list[str]) -> None:
    small = Encodings(backend, reader, LocalResolver(backend, None), budget_bytes=3000)

    async def many() -> None:
        for number in range(20):
            put(tree, f"{number}.css", STYLE + bytes([65 + number]))
            await small.make(backend.stat(f"{number}.css"), "br", None)
        before = len(made)
        await small.make(backend.stat("19.css"), "br", None)  # the last one is still in memory
        assert len(made) == before
        await small.make(backend.stat("0.css"), "br", None)  # the first one was evicted
        assert len(made) == before + 1
        assert sum(200 + len(each or b"") for _, each in small._made.items()) <= 3000

    asyncio.run(many())


def test_a_budget_of_nothing_makes_nothing(backend: LocalBackend, reader: Reader) -> None:
    none = Encodings(backend, reader, LocalResolver(backend, None), budget_bytes=0)
    assert asyncio.run(none.offer(STAT, "css/app.css", Snapshot(None))).codings == ()


def test_who_would_wait_too_long_gets_the_plain_bytes(
    variants: Encodings, backend: LocalBackend, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slow(data: bytes, coding: str) -> bytes:
        go.wait(10)
        return b"x"

    monkeypatch.setattr(encodings, "compress", slow)

    async def crowd() -> None:
        count = encodings.MAX_COMPRESSING + encodings.MAX_WAITING + 5
        for number in range(count):
            put(tree, f"{number}.css", STYLE)
        stats = [backend.stat(f"{number}.css") for number in range(count)]
        tasks = [asyncio.create_task(variants.make(stat, "br", None)) for stat in stats]
        await asyncio.wait_for(asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED), 5)
        assert sum(task.done() for task in tasks) == 5
        go.set()
        assert [await task for task in tasks].count(b"x") == count - 5

    asyncio.run(crowd())


def test_who_waits_for_a_making_that_is_cancelled_is_not_left_waiting(
    variants: Encodings, stat: FileStat, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slow(data: bytes, coding: str) -> bytes:
        go.wait(10)
        return b"x"

    monkeypatch.setattr(encodings, "compress", slow)

    async def cancel_the_first() -> None:
        first = asyncio.create_task(variants.make(stat, "br", None))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(variants.make(stat, "br", None))
        await asyncio.sleep(0.05)
        first.cancel()
        go.set()
        assert await asyncio.wait_for(second, 5) in {None, b"x"}

    asyncio.run(cancel_the_first())
