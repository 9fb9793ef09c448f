"""A resource responds with what is kept of it, and to requests that were made before with the same response."""

from __future__ import annotations

import pytest

from assetstore.http.cache import (
    MAX_RESPONSES,
    REPRESENTATION_BYTES,
    RESOURCE_BYTES,
    RESPONSE_BYTES,
    RequestKey,
    Resource,
)
from assetstore.http.conditional import ETag, Validators
from assetstore.http.representation import AssetHeaders, Representation
from assetstore.http.response import Response
from assetstore.http.revalidation import Snapshot

DATA = bytes(range(200))
IDENTITY = Validators(ETag("t"), 10**9)
GET = ("GET", ())


def represented() -> Representation:
    return AssetHeaders("a/b", "max-age=9", (), 10**9).represent(len(DATA), "t", varies=False)


@pytest.fixture
def resource() -> Resource:
    """The whole of :data:`DATA`, in two pieces."""
    resource = Resource(Snapshot(None).revalidation(), identity=IDENTITY)
    resource.add(represented()._replace(content=(DATA[:120], DATA[120:])))
    return resource


def answered(resource: Resource, request: RequestKey) -> Response | None:
    return resource.responses.get(request) or resource.respond(request)


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
    resource: Resource, request_: tuple[str, tuple[tuple[bytes, bytes], ...]], status: int, body: bytes
) -> None:
    for _ in range(2):
        answer = answered(resource, request_)
        assert answer is not None
        assert (answer.status, b"".join(piece for piece in answer.body if isinstance(piece, bytes))) == (status, body)


def test_the_whole_is_not_copied(resource: Resource) -> None:
    whole = Resource(Snapshot(None).revalidation(), identity=IDENTITY)
    whole.add(represented()._replace(content=(DATA,)))
    answer = answered(whole, GET)
    assert answer is not None
    assert answer.body[0] is DATA


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "get", ""])
def test_other_methods_are_not_its_business(resource: Resource, method: str) -> None:
    assert answered(resource, (method, ())) is None


def test_a_coding_that_is_not_remembered_is_not_made_up() -> None:
    resource = Resource(Snapshot(None).revalidation(), codings=("br",), identity=IDENTITY)
    resource.add(represented()._replace(content=(DATA,)))
    assert answered(resource, asked(accept_encoding="br")) is None
    assert answered(resource, asked(accept_encoding="gzip")) is not None


def test_a_plan_without_bytes_answers_what_needs_none() -> None:
    resource = Resource(Snapshot(None).revalidation(), identity=IDENTITY)
    resource.add(represented())
    assert answered(resource, GET) is None
    unchanged = answered(resource, asked(if_none_match="*"))
    assert unchanged is not None
    assert unchanged.status == 304


def test_bytes_are_not_given_up_for_a_plan_alone(resource: Resource) -> None:
    resource.add(represented())
    assert answered(resource, GET) is not None


def test_the_cost_counts_what_it_holds(resource: Resource) -> None:
    empty = RESOURCE_BYTES + REPRESENTATION_BYTES + len(DATA)
    assert resource.cost == empty
    answered(resource, GET)
    answered(resource, asked(range="bytes=0-9"))
    assert resource.cost == empty + 2 * RESPONSE_BYTES + 10
    answered(resource, asked(if_modified_since="Sun, 06 Nov 2094 08:49:37 GMT"))
    assert resource.cost == empty + 2 * RESPONSE_BYTES + 10, "an answer that time may change was kept"


def test_the_cost_has_an_end(resource: Resource) -> None:
    for number in range(10 * MAX_RESPONSES):
        answered(resource, asked(if_none_match=f'"{number}"'))
    assert resource.cost <= RESOURCE_BYTES + REPRESENTATION_BYTES + len(DATA) + MAX_RESPONSES * RESPONSE_BYTES
