"""The names of a remote mount: from memory, whatever the storage does."""

from __future__ import annotations

import gc
import hashlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span
from assetstore.backends.held import HeldFile
from assetstore.errors import AssetNotFound, BackendUnavailable
from assetstore.fingerprint import ContentFingerprint, MtimeFingerprint
from assetstore.index import IndexResolver
from assetstore.index_lazy import LazyResolver


class Remote:
    """Storage that counts what it is asked, can be slow, and can be down."""

    label = "remote://bucket"
    remote = True

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.listings = 0
        self.stats = 0
        self.at_once = 0
        self.most_at_once = 0
        self.down = False
        self.gate = threading.Event()
        self.gate.set()
        self.stop_after: int | None = None

    def stat(self, path: str) -> FileStat:
        self.stats += 1
        self.gate.wait(5)
        if self.down:
            raise BackendUnavailable("down")
        if path not in self.files:
            raise AssetNotFound(path)
        return self._stat(path)

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return HeldFile(self._stat(path), self.files[path])

    def walk(self) -> Iterator[FileStat]:
        self.listings += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for number, path in enumerate(sorted(self.files)):
                if number == self.stop_after:
                    self.gate.wait(5)
                if self.down:
                    raise BackendUnavailable("down")
                yield self._stat(path)
        finally:
            self.at_once -= 1

    def _stat(self, path: str) -> FileStat:
        return FileStat(path, len(self.files[path]), 5, hashlib.md5(self.files[path]).hexdigest())


def soon(condition: Callable[[], object]) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.005)
    return False


@pytest.fixture
def remote() -> Remote:
    return Remote(a=b"one", b=b"two", c=b"three")


def test_names_come_from_one_listing_and_never_from_the_caller_s_thread(remote: Remote) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint())
    assert resolver.wait_until_full(5)
    asset = resolver.find("a")
    assert asset is not None
    assert asset.stat == remote._stat("a")
    assert asset.fingerprint == MtimeFingerprint().of(remote._stat("a"), remote)
    assert resolver.find("missing") is None
    assert sorted(each.path for each in resolver.all()) == ["a", "b", "c"]
    assert (remote.listings, remote.stats) == (1, 0)


def test_the_first_question_does_not_wait_and_knows_that_it_does_not_know(remote: Remote) -> None:
    remote.gate.clear()
    remote.stop_after = 2
    resolver = IndexResolver(remote, MtimeFingerprint())
    began = time.monotonic()
    resolver.find("a")
    assert time.monotonic() - began < 4, "the listing waits for five seconds"
    assert soon(lambda: resolver.find("b")), "usable before it is full"
    assert resolver.find("c") is None
    assert not resolver.knows("c")
    assert not resolver.wait_until_full(0.01)
    remote.gate.set()
    assert resolver.wait_until_full(5)
    assert resolver.knows("c")
    assert resolver.find("c") is not None


def test_what_is_published_is_seen_within_the_refresh_time(remote: Remote) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint(), refresh_seconds=0.05)
    assert resolver.wait_until_full(5)
    before = resolver.find("a")
    remote.files = {"a": b"newer", "z": b"new"}
    assert soon(lambda: resolver.find("z"))
    assert resolver.find("a") != before
    assert resolver.find("b") is None


def test_a_refresh_shows_new_names_at_once(remote: Remote) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint())
    assert resolver.wait_until_full(5)
    remote.files["new"] = b"new"
    resolver.refresh()
    assert resolver.find("new") is not None


def test_two_listings_never_run_at_once(remote: Remote) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint(), refresh_seconds=0.001)
    threads = [threading.Thread(target=resolver.refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    resolver.find("a")
    for thread in threads:
        thread.join()
    assert remote.most_at_once == 1


def test_names_stay_while_the_storage_is_down_and_heal_afterwards(remote: Remote) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint(), refresh_seconds=0.02)
    assert resolver.wait_until_full(5)
    remote.down = True
    with pytest.raises(BackendUnavailable):
        resolver.refresh()
    assert resolver.find("a") is not None
    remote.files["new"] = b"new"
    remote.down = False
    assert soon(lambda: resolver.find("new"))


def test_a_bucket_that_is_down_at_start_is_listed_once_it_is_up(remote: Remote) -> None:
    remote.down = True
    resolver = IndexResolver(remote, MtimeFingerprint(), refresh_seconds=0.02)
    assert resolver.find("a") is None
    assert not resolver.knows("a")
    remote.down = False
    assert resolver.wait_until_full(5)


def test_content_fingerprints_are_made_in_the_background(remote: Remote) -> None:
    resolver = IndexResolver(remote, ContentFingerprint())
    assert resolver.wait_until_full(5)
    plain = resolver.find("a")
    assert plain is not None
    assert soon(lambda: (found := resolver.find("a")) and found.fingerprint)
    named = resolver.find("a")
    assert named is not None
    assert named.fingerprint == hashlib.sha256(b"one").hexdigest()


def test_a_listing_out_of_order_is_put_in_order() -> None:
    class Unsorted(Remote):
        def walk(self) -> Iterator[FileStat]:
            yield from map(self._stat, sorted(self.files, reverse=True))

    resolver = IndexResolver(Unsorted(a=b"1", b=b"2", c=b"3"), None)
    assert resolver.wait_until_full(5)
    assert [resolver.find(path) is not None for path in "abc"] == [True] * 3


def test_an_index_that_is_dropped_leaves_no_thread(remote: Remote) -> None:
    before = set(threading.enumerate())  # a store of another test may not be collected yet
    resolver = IndexResolver(remote, ContentFingerprint())
    assert resolver.wait_until_full(5)
    resolver.find("a")
    del resolver
    gc.collect()
    ours = {"assetstore-index", "assetstore-hash"}
    assert soon(
        lambda: not [thread for thread in threading.enumerate() if thread.name in ours and thread not in before]
    )


def test_a_lazy_name_is_plain_first_and_learnt_soon(remote: Remote) -> None:
    resolver = LazyResolver(remote, MtimeFingerprint())
    assert resolver.find("a") is None
    assert not resolver.knows("never asked")
    assert soon(lambda: resolver.find("a"))
    assert resolver.knows("a")
    assert [each.path for each in resolver.all()] == ["a"]
    assert (remote.listings, remote.stats) == (0, 1)


def test_a_lazy_name_never_waits_for_the_storage(remote: Remote) -> None:
    remote.gate.clear()
    resolver = LazyResolver(remote, MtimeFingerprint())
    began = time.monotonic()
    for number in range(5_000):
        resolver.find(str(number))
    assert time.monotonic() - began < 4
    assert len(resolver._waiting) <= 1_000
    remote.gate.set()


def test_lazy_names_are_bounded(remote: Remote) -> None:
    resolver = LazyResolver(remote, MtimeFingerprint(), remembered=2)
    for path in ("a", "b", "c", "missing"):
        resolver.learn(path)
    assert [resolver.knows(path) for path in ("a", "b", "c", "missing")] == [False, False, True, True]


def test_an_old_lazy_name_is_answered_and_learnt_anew(remote: Remote) -> None:
    resolver = LazyResolver(remote, MtimeFingerprint(), refresh_seconds=0.02)
    before = resolver.learn("a")
    remote.files["a"] = b"newer"
    time.sleep(0.03)
    assert resolver.find("a") == before
    assert soon(lambda: resolver.find("a") != before)
    remote.down = True
    resolver.refresh()
    assert resolver.find("a") is not None
