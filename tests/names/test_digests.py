"""Digests: one reading for each version, in the background where somebody would wait, and never of other bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assetstore.backends.base import FileStat
from assetstore.backends.local.backend import LocalBackend, LocalFile
from assetstore.errors import BackendUnavailable, UnexpectedResponse
from assetstore.names import digests as module
from assetstore.names.digests import FILE_BYTES, TICK_NS, TURN_BYTES, CheckedFile, Digests, unsettled_ns
from remote_files import RemoteFiles
from waiting import eventually


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Counting(LocalBackend):
    """A directory that counts how often each file is opened."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.opened: list[str] = []

    def open(self, path: str, *args: object, **options: object) -> LocalFile:
        self.opened.append(path)
        return super().open(path)


@pytest.fixture
def backend(tmp_path: Path) -> Counting:
    return Counting(tmp_path)


@pytest.fixture
def digests() -> Iterator[Digests]:
    made = Digests()
    yield made
    made.close()


def saved(backend: LocalBackend, path: str, data: bytes) -> FileStat:
    (Path(backend.label) / path).write_bytes(data)
    return backend.stat(path)


def test_each_version_is_read_once(backend: Counting, digests: Digests) -> None:
    stat = saved(backend, "a", b"one")
    assert digests.known(stat) is None
    assert [digests.now(stat, backend) for _ in range(3)] == [digest_of(b"one")] * 3
    assert digests.known(stat) == digest_of(b"one")
    assert backend.opened == ["a"]


def test_what_the_storage_recorded_is_not_read(backend: Counting, digests: Digests) -> None:
    assert digests.now(FileStat("missing", 3, sha256="00" * 32), backend) == "00" * 32


def test_a_version_that_is_gone_has_none(backend: Counting, digests: Digests) -> None:
    old = saved(backend, "a", b"one")
    time.sleep(TICK_NS / 1e9)
    saved(backend, "a", b"two")
    assert digests.now(old, backend) is None
    assert digests.known(old) is None


def test_other_bytes_of_the_same_size_and_time_have_another(backend: Counting, digests: Digests) -> None:
    for data in (b"one", b"two", b"six"):
        (Path(backend.label) / "a").write_bytes(data)
        os.utime(Path(backend.label) / "a", (1, 1))
        assert digests.now(backend.stat("a"), backend) == digest_of(data)


def test_a_file_that_changed_within_the_tick_of_the_clock_is_waited_for(backend: Counting, digests: Digests) -> None:
    stat = saved(backend, "a", b"one")
    assert stat.signature is not None
    digests.now(stat, backend)
    assert time.time_ns() - stat.signature.ctime_ns >= TICK_NS
    assert unsettled_ns(stat) <= 0


def test_on_an_event_loop_nothing_is_waited_for_and_nothing_unsure_is_kept(
    backend: Counting, digests: Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_NS", 10**12)
    stat = saved(backend, "a", b"one")

    async def ask() -> str | None:
        return digests.soon(stat, backend)

    began = time.monotonic()
    assert asyncio.run(ask()) == digest_of(b"one")
    assert time.monotonic() - began < 5
    assert digests.known(stat) is None


def test_an_event_loop_hashes_a_megabyte_in_one_turn_and_leaves_the_rest(backend: Counting, digests: Digests) -> None:
    stats = [saved(backend, f"{number:03}", b"x" * number) for number in range(300)]
    large = saved(backend, "large", bytes(TURN_BYTES + 1))
    time.sleep(TICK_NS / 1e9)

    async def ask() -> tuple[list[str], str | None]:
        made = [stat.path for stat in stats if digests.soon(stat, backend)]
        late = digests.soon(large, backend)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert digests.soon(stats[-1], backend) is not None, "the next turn may hash again"
        return made, late

    made, late = asyncio.run(ask())
    assert made == [stat.path for stat in stats[: TURN_BYTES // FILE_BYTES]]
    assert late is None
    assert digests.settle()
    assert all(digests.known(stat) for stat in [*stats, large])
    assert sorted(backend.opened) == sorted(stat.path for stat in [*stats, large])


def test_where_no_event_loop_waits_a_large_file_is_read_at_once(backend: Counting, digests: Digests) -> None:
    data = bytes(TURN_BYTES + 1)
    assert digests.soon(saved(backend, "large", data), backend) == digest_of(data)


def test_a_remote_file_is_read_in_the_background_only(digests: Digests) -> None:
    remote = RemoteFiles(a=b"one")
    assert digests.soon(remote.facts("a"), remote) is None
    assert eventually(lambda: digests.soon(remote.facts("a"), remote) == digest_of(b"one"))
    remote.files["a"] = b"newer"
    assert digests.soon(remote.facts("a"), remote) is None
    assert eventually(lambda: digests.soon(remote.facts("a"), remote) == digest_of(b"newer"))


def test_a_storage_that_fails_raises_where_it_is_asked_now_and_is_logged_in_the_background(
    digests: Digests, caplog: pytest.LogCaptureFixture
) -> None:
    remote = RemoteFiles(a=b"one", b=b"two")
    remote.down = True
    with pytest.raises(BackendUnavailable):
        digests.now(remote.facts("a"), remote)
    digests.soon(remote.facts("b"), remote)
    assert eventually(lambda: "cannot hash 'b' in remote://bucket" in caplog.text)


def test_closing_breaks_off_a_large_file(backend: Counting, digests: Digests) -> None:
    others = set(threading.enumerate())
    with (Path(backend.label) / "huge").open("wb") as file:
        file.truncate(4 << 30)
    stat = backend.stat("huge")

    async def ask() -> None:
        assert digests.soon(stat, backend) is None

    asyncio.run(ask())
    assert eventually(lambda: backend.opened == ["huge"])
    mine = [each for each in threading.enumerate() if each.name == "assetstore-hash" and each not in others]
    assert mine
    digests.close()
    assert not [each for each in mine if each.is_alive()]
    assert digests.known(stat) is None


def test_what_nobody_wants_any_more_is_broken_off_and_the_next_is_begun(
    backend: Counting, digests: Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GONE_SECONDS", 0.0)
    with (Path(backend.label) / "huge").open("wb") as file:
        file.truncate(64 << 30)
    (Path(backend.label) / "larger").write_bytes(b"x")
    os.truncate(Path(backend.label) / "larger", 65 << 30)
    huge, larger = backend.stat("huge"), backend.stat("larger")

    async def request() -> None:
        assert digests.soon(huge, backend) is None
        assert digests.soon(larger, backend) is None

    asyncio.run(request())
    assert eventually(lambda: backend.opened == ["huge"]), "the smaller one first"
    digests.let_go(huge)
    assert eventually(lambda: backend.opened == ["huge", "larger"])
    digests.let_go(larger)
    assert digests.settle(10), "nothing is left to do"

    asyncio.run(request())
    assert eventually(lambda: backend.opened[2:] == ["huge"]), "begun again at once: what was broken off did not fail"
    digests.let_go(huge)


def test_a_client_that_leaves_takes_no_digest_from_another(
    backend: Counting, digests: Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GONE_SECONDS", 0.2)
    (Path(backend.label) / "huge").write_bytes(b"")
    os.truncate(Path(backend.label) / "huge", 64 << 30)
    huge = backend.stat("huge")

    async def request() -> None:
        assert digests.soon(huge, backend) is None

    asyncio.run(request())
    digests.let_go(huge)
    asyncio.run(request())
    assert not digests.settle(0.6), "it is still wanted"
    digests.let_go(huge)
    assert digests.settle(10)


class Opened:
    """A file that is sent in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.stat = FileStat("film-0.bin", sum(map(len, pieces)))
        self.pieces = pieces
        self.closed = False

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece[: stop - start]

    async def aclose(self) -> None:
        self.closed = True


def sent_of(pieces: tuple[bytes, ...], promised: bytes, stop: int | None = None) -> tuple[list[bytes], list[str]]:
    """What is sent of *pieces*, and what is said of it at the end."""
    said: list[str] = []
    sent: list[bytes] = []

    async def send() -> None:
        opened = Opened(*pieces)
        file = CheckedFile(opened, digest_of(promised), lambda: said.append("right"), lambda: said.append("wrong"))
        try:
            async for piece in file.chunks(0, file.stat.size if stop is None else stop):
                sent.append(piece)
        except UnexpectedResponse:
            said.append("broken off")
        await file.aclose()
        assert opened.closed

    asyncio.run(send())
    return sent, said


def test_bytes_are_compared_with_their_digest_while_they_are_sent() -> None:
    assert sent_of((b"one", b"two", b"six"), b"onetwosix") == ([b"one", b"two", b"six"], ["right"])
    assert sent_of((b"one",), b"one") == ([b"one"], ["right"])
    assert sent_of((), b"") == ([], ["right"])


@given(st.lists(st.binary(min_size=1), min_size=1), st.binary())
def test_other_bytes_are_broken_off_before_the_last_piece(pieces: list[bytes], promised: bytes) -> None:
    assume(b"".join(pieces) != promised)
    assert sent_of(tuple(pieces), promised) == (pieces[:-1], ["wrong", "broken off"])


def test_a_part_is_sent_and_nothing_is_said_of_it() -> None:
    assert sent_of((b"one", b"two"), b"other", stop=2) == ([b"on", b"tw"], [])


def test_a_digest_that_somebody_else_made_is_kept(backend: Counting, digests: Digests) -> None:
    stat = saved(backend, "a", b"one")
    time.sleep(TICK_NS / 1e9)
    digests.put(stat, digest_of(b"one"))
    assert digests.now(stat, backend) == digest_of(b"one")
    assert backend.opened == []
