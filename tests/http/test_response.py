"""An answer is a function of a request and a representation; whole requests are in test_handler."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assetstore.http.representation import AssetHeaders, Representation
from assetstore.http.request import AssetRequest
from assetstore.http.response import PIECE_BYTES, ByteSpan, Response, cut, plain_response, respond

CONTENT = bytes(range(200))
NOW = 1_700_000_000.0


def representation(content: bytes | None = None, size: int = len(CONTENT)) -> Representation:
    return AssetHeaders("a/b", "max-age=9", (), 10**9).represent(size, "t", varies=False, content=content)


def get(**headers: str) -> AssetRequest:
    pairs = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return AssetRequest.from_headers("GET", pairs)


def test_a_whole_file_is_one_part() -> None:
    answer = respond(get(), representation(), NOW)
    assert (answer.status, answer.body, answer.needs_file) == (200, (ByteSpan(0, 200),), True)


def test_a_whole_variant_is_its_bytes() -> None:
    answer = respond(get(), representation(CONTENT), NOW)
    assert (answer.body, answer.needs_file) == ((CONTENT,), False)


def test_an_empty_file_needs_no_reading() -> None:
    assert respond(get(), representation(size=0), NOW).body == ()


def test_head_has_the_same_headers_and_no_body() -> None:
    head = respond(AssetRequest(head=True), representation(), NOW)
    assert head == Response(200, representation().full)


def test_a_part_of_what_is_in_memory_is_cut_there() -> None:
    assert respond(get(range="bytes=1-2"), representation(CONTENT), NOW).body == (CONTENT[1:3],)


def test_a_range_that_if_range_forbids_is_no_range() -> None:
    assert respond(get(range="bytes=1-2", if_range='"y"'), representation(), NOW).status == 200


def test_the_same_request_has_the_same_answer() -> None:
    request = get(range="bytes=1-2,5-6")
    assert respond(request, representation(), NOW) == respond(request, representation(), NOW)


@given(st.lists(st.integers(0, 2 * PIECE_BYTES + 2), max_size=4))
def test_bytes_are_cut_into_pieces_of_one_size(sizes: list[int]) -> None:
    pieces = tuple(bytes([number]) * size for number, size in enumerate(sizes))
    found = cut(pieces)
    assert b"".join(found) == b"".join(pieces)
    assert {len(piece) for piece in found[:-1]} <= {PIECE_BYTES}
    assert all(len(piece) <= PIECE_BYTES for piece in found[-1:])


def test_pieces_that_have_that_size_are_not_copied() -> None:
    pieces = (bytes(PIECE_BYTES), bytes(PIECE_BYTES), b"rest")
    assert cut(pieces) is pieces


def test_a_short_answer_in_words_has_its_length() -> None:
    assert dict(plain_response(404, (), "Not Found").headers)[b"content-length"] == b"9"
    assert plain_response(404, (), "Not Found", head=True).headers == plain_response(404, (), "Not Found").headers


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "range": st.text("bytes=-0123456789,", max_size=40),
            "if_range": st.text('"tW/', max_size=5),
            "if_match": st.text('"tW/*, ', max_size=9),
            "if_none_match": st.text('"tW/*, ', max_size=9),
        },
    ),
    st.sampled_from([0, 1, 199, 200]),
)
def test_content_length_is_the_length_of_the_body(headers: dict[str, str], size: int) -> None:
    answer = respond(get(**headers), representation(CONTENT[:size], size), NOW)
    length = sum(len(piece) for piece in answer.body if isinstance(piece, bytes))
    promised = dict(answer.headers).get(b"content-length")
    assert promised == (None if answer.status == 304 else str(length).encode())
