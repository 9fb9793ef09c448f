"""An answer is a function of a request and a representation; whole requests are in test_handler."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assetstore.http.representation import PIECE_BYTES, AssetHeaders, Representation, cut
from assetstore.http.request import AssetRequest
from assetstore.http.response import ByteSpan, Response, plain_response, respond

CONTENT = bytes(range(200))
NOW = 1_700_000_000.0


def representation(content: bytes | None = None, size: int = len(CONTENT)) -> Representation:
    pieces = None if content is None else cut(content)
    return AssetHeaders("a/b", "max-age=9", (), 10**9).represent(size, "t", varies=False, content=pieces)


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


@given(st.integers(0, 3 * PIECE_BYTES + 2))
def test_bytes_are_cut_into_pieces_of_one_size(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    pieces = cut(content[:size])
    assert b"".join(pieces) == content[:size]
    assert {len(piece) for piece in pieces[:-1]} <= {PIECE_BYTES}
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces[-1:])


def test_one_piece_is_not_copied() -> None:
    content = bytes(PIECE_BYTES)
    assert cut(content)[0] is content


@given(st.integers(0, 200), st.integers(0, 200), st.lists(st.integers(0, 200), max_size=3))
def test_a_part_is_the_same_from_whatever_pieces(start: int, stop: int, cuts: list[int]) -> None:
    edges = sorted({0, 200, *cuts})
    pieces = tuple(CONTENT[a:b] for a, b in zip(edges, edges[1:], strict=False))
    chosen = representation()._replace(content=pieces)
    response = respond(get(range=f"bytes={start}-{stop}"), chosen, NOW)
    if response.status == 206:
        assert b"".join(piece for piece in response.body if isinstance(piece, bytes)) == CONTENT[start : stop + 1]
    assert not response.needs_file


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
