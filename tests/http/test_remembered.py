"""What is remembered of one URL: answers that were made before, and new ones made of what is remembered."""

from __future__ import annotations

import pytest

from assetstore.http.cache import (
    ANSWER_BYTES,
    ENTRY_BYTES,
    KEPT_BYTES,
    MAX_ANSWERS,
    CachedRepresentation,
    CacheEntry,
    RequestKey,
)
from assetstore.http.conditional import ETag, Validators
from assetstore.http.representation import AssetHeaders, Representation
from assetstore.http.response import FinishedResponse
from assetstore.http.revalidation import Snapshot

DATA = bytes(range(200))
IDENTITY = Validators(ETag("t"), 10**9)
GET = ("GET", ())


def represented() -> Representation:
    return AssetHeaders("a/b", "max-age=9", (), 10**9).represent(len(DATA), "t", varies=False)


@pytest.fixture
def entry() -> CacheEntry:
    """The whole of :data:`DATA`, in two pieces."""
    entry = CacheEntry(Snapshot(None, ()).revalidation(), None, identity=IDENTITY)
    entry.keep(CachedRepresentation(represented(), (DATA[:120], DATA[120:])))
    return entry


def answered(entry: CacheEntry, request: RequestKey) -> FinishedResponse | None:
    known = entry.answers.get(request) or entry.plan(request)
    assert known is None or isinstance(known, FinishedResponse)
    return known


def asked(method: str = "GET", **headers: str) -> tuple[str, tuple[tuple[bytes, bytes], ...]]:
    return method, tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        pytest.param(GET, 200, DATA, id="the whole"),
        pytest.param(asked("HEAD"), 200, b"", id="its headers"),
        pytest.param(asked(range="bytes=0-9"), 206, DATA[:10], id="a part in the first piece"),
        pytest.param(asked(range="bytes=110-129"), 206, DATA[110:130], id="a part across pieces"),
        pytest.param(asked(range="bytes=120-"), 206, DATA[120:], id="exactly the second piece"),
        pytest.param(asked(if_none_match='"t"'), 304, b"", id="not modified"),
        pytest.param(asked(if_match='"u"'), 412, b"Precondition Failed", id="a precondition that fails"),
    ],
)
def test_answers_are_made_of_what_is_remembered(
    entry: CacheEntry, request_: tuple[str, tuple[tuple[bytes, bytes], ...]], status: int, body: bytes
) -> None:
    for _ in range(2):
        answer = answered(entry, request_)
        assert answer is not None
        assert (answer.status, b"".join(answer.body)) == (status, body)


def test_the_whole_is_not_copied(entry: CacheEntry) -> None:
    whole = CacheEntry(Snapshot(None, ()).revalidation(), None, identity=IDENTITY)
    whole.keep(CachedRepresentation(represented(), (DATA,)))
    answer = answered(whole, GET)
    assert answer is not None
    assert answer.body[0] is DATA


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "get", ""])
def test_other_methods_are_not_its_business(entry: CacheEntry, method: str) -> None:
    assert answered(entry, (method, ())) is None


def test_a_coding_that_is_not_remembered_is_not_made_up() -> None:
    entry = CacheEntry(Snapshot(None, ()).revalidation(), None, codings=("br",), identity=IDENTITY)
    entry.keep(CachedRepresentation(represented(), (DATA,)))
    assert answered(entry, asked(accept_encoding="br")) is None
    assert answered(entry, asked(accept_encoding="gzip")) is not None


def test_a_plan_without_bytes_answers_what_needs_none() -> None:
    entry = CacheEntry(Snapshot(None, ()).revalidation(), None, identity=IDENTITY)
    entry.keep(CachedRepresentation(represented()))
    assert answered(entry, GET) is None
    unchanged = answered(entry, asked(if_none_match="*"))
    assert unchanged is not None
    assert unchanged.status == 304


def test_bytes_are_not_given_up_for_a_plan_alone(entry: CacheEntry) -> None:
    entry.keep(CachedRepresentation(represented()))
    assert answered(entry, GET) is not None


def test_the_cost_counts_what_it_holds(entry: CacheEntry) -> None:
    empty = ENTRY_BYTES + KEPT_BYTES + len(DATA)
    assert entry.cost == empty
    answered(entry, GET)
    answered(entry, asked(range="bytes=0-9"))
    assert entry.cost == empty + 2 * ANSWER_BYTES + 10
    answered(entry, asked(if_modified_since="Sun, 06 Nov 2094 08:49:37 GMT"))
    assert entry.cost == empty + 2 * ANSWER_BYTES + 10, "an answer that time may change was kept"


def test_the_cost_has_an_end(entry: CacheEntry) -> None:
    for number in range(10 * MAX_ANSWERS):
        answered(entry, asked(if_none_match=f'"{number}"'))
    assert entry.cost <= ENTRY_BYTES + KEPT_BYTES + len(DATA) + MAX_ANSWERS * ANSWER_BYTES
