"""The names of a remote mount: from memory, whatever the storage does."""

from __future__ import annotations

import gc
import hashlib
import threading
import time
from collections.abc import Iterator

import pytest

from assetstore.backends.base import FileStat
from assetstore.errors import BackendUnavailable
from assetstore.names.fingerprint import ContentFingerprint, MtimeFingerprint
from assetstore.names.listing import IndexResolver
from remote_files import RemoteFiles
from waiting import eventually


@pytest.fixture
def remote() -> RemoteFiles:
    return RemoteFiles(a=b"one", b=b"two", c=b"three")


def test_names_come_from_one_listing_and_never_from_the_caller_s_thread(remote: RemoteFiles) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint())
    assert resolver.wait(5)
    asset = resolver.find("a")
    assert asset is not None
    assert asset.stat == remote.facts("a")
    assert asset.fingerprint == MtimeFingerprint().of(remote.facts("a"), remote)
    assert resolver.find("missing") is None
    assert sorted(each.path for each in resolver.all()) == ["a", "b", "c"]
    assert (remote.listings, remote.stats) == (1, 0)


def test_the_first_question_does_not_wait_and_knows_that_it_does_not_know(remote: RemoteFiles) -> None:
    remote.gate.clear()
    remote.stop_after = 2
    resolver = IndexResolver(remote, MtimeFingerprint())
    began = time.monotonic()
    resolver.find("a")
    assert time.monotonic() - began < 4, "the listing waits for five seconds"
    assert eventually(lambda: resolver.find("b")), "usable before it is full"
    assert resolver.find("c") is None
    assert not resolver.knows("c")
    assert not resolver.wait(0.01)
    remote.gate.set()
    assert resolver.wait(5)
    assert resolver.knows("c")
    assert resolver.find("c") is not None


def test_what_is_published_is_seen_within_the_refresh_time(remote: RemoteFiles) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint(), refresh_seconds=0.05)
    assert resolver.wait(5)
    before = resolver.find("a")
    remote.files = {"a": b"newer", "z": b"new"}
    assert eventually(lambda: resolver.find("z"))
    assert resolver.find("a") != before
    assert resolver.find("b") is None


def test_a_refresh_shows_new_names_at_once(remote: RemoteFiles) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint())
    assert resolver.wait(5)
    remote.files["new"] = b"new"
    resolver.refresh()
    assert resolver.find("new") is not None


def test_two_listings_never_run_at_once(remote: RemoteFiles) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint(), refresh_seconds=0.001)
    threads = [threading.Thread(target=resolver.refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    resolver.find("a")
    for thread in threads:
        thread.join()
    assert remote.most_at_once == 1


def test_names_stay_while_the_storage_is_down_and_heal_afterwards(remote: RemoteFiles) -> None:
    resolver = IndexResolver(remote, MtimeFingerprint(), refresh_seconds=0.02)
    assert resolver.wait(5)
    remote.down = True
    with pytest.raises(BackendUnavailable):
        resolver.refresh()
    assert resolver.find("a") is not None
    remote.files["new"] = b"new"
    remote.down = False
    assert eventually(lambda: resolver.find("new"))


def test_a_bucket_that_is_down_at_start_is_listed_once_it_is_up(remote: RemoteFiles) -> None:
    remote.down = True
    resolver = IndexResolver(remote, MtimeFingerprint(), refresh_seconds=0.02)
    assert resolver.find("a") is None
    assert not resolver.knows("a")
    remote.down = False
    assert resolver.wait(5)


def test_content_fingerprints_are_made_in_the_background(remote: RemoteFiles) -> None:
    resolver = IndexResolver(remote, ContentFingerprint())
    assert resolver.wait(5)
    plain = resolver.find("a")
    assert plain is not None
    assert eventually(lambda: (found := resolver.find("a")) and found.fingerprint)
    named = resolver.find("a")
    assert named is not None
    assert named.fingerprint == hashlib.sha256(b"one").hexdigest()


def test_a_listing_out_of_order_is_put_in_order() -> None:
    class Unsorted(RemoteFiles):
        def walk(self) -> Iterator[FileStat]:
            yield from map(self.facts, sorted(self.files, reverse=True))

    resolver = IndexResolver(Unsorted(a=b"1", b=b"2", c=b"3"), None)
    assert resolver.wait(5)
    assert [resolver.find(path) is not None for path in "abc"] == [True] * 3


def test_an_index_that_is_dropped_leaves_no_thread(remote: RemoteFiles) -> None:
    before = set(threading.enumerate())  # a store of another test may not be collected yet
    resolver = IndexResolver(remote, ContentFingerprint())
    assert resolver.wait(5)
    resolver.find("a")
    del resolver
    gc.collect()
    ours = {"assetstore-index", "assetstore-hash"}
    assert eventually(
        lambda: not [thread for thread in threading.enumerate() if thread.name in ours and thread not in before]
    )
