"""Exactly the promised bytes are sent, or the connection is broken; clients that leave stop the reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from assetstore.backends.base import FileStat
from assetstore.errors import BodyTruncated, VersionChanged
from assetstore.http.representation import PIECE_BYTES
from assetstore.http.response import ByteSpan, Response
from assetstore.http.send import HELD_BYTES, LEAST_PIECE_BYTES, TURN_BYTES, BrokenOff, send_response


class Held:
    """An opened file that gives the chunks it is told to, whatever was asked for."""

    stat = FileStat("a", 10)

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = chunks
        self.asked: list[tuple[int, int]] = []
        self.given = 0

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        self.asked.append((start, stop))
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.given += 1
            yield chunk

    async def aclose(self) -> None:
        raise AssertionError("closing is the caller's")


READY = Response(200, ((b"a", b"b"),), (b"012", b"345", b"6"))


async def stays() -> Any:
    return await asyncio.Future()


def sent_of(answer: Response, opened: Held | None, receive: Any = stays) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(send_response(answer, opened, receive, send))
    return sent


WHOLE = Response(200, ((b"a", b"b"),), (ByteSpan(0, 10),))


def test_what_is_in_memory_is_one_message() -> None:
    sent = sent_of(Response(200, (), (b"abc",)), None)
    assert [each.get("body") for each in sent] == [None, b"abc"]


def test_a_file_of_one_chunk_is_one_message_that_is_the_last() -> None:
    sent = sent_of(WHOLE, Held(b"0123456789"))
    assert sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]},
        {"type": "http.response.body", "body": b"0123456789", "more_body": False},
    ]


def test_what_the_file_holds_already_is_one_message_and_is_not_read() -> None:
    class InMemory(Held):
        def buffered(self, start: int, stop: int) -> bytes | None:
            return b"0123456789"[start:stop] if stop <= 8 else None

    held = InMemory(b"89")
    sent = sent_of(Response(206, (), (ByteSpan(2, 8),)), held)
    assert [(each.get("body"), each.get("more_body")) for each in sent] == [(None, None), (b"234567", False)]
    assert held.asked == []
    assert sent_of(Response(206, (), (ByteSpan(8, 10),)), held)[1]["body"] == b"89"


def test_the_last_chunk_says_that_it_is_the_last() -> None:
    sent = sent_of(WHOLE, Held(b"01234", b"56789"))
    assert [(each["body"], each["more_body"]) for each in sent[1:]] == [(b"01234", True), (b"56789", False)]


def test_pieces_are_sent_in_order_and_each_part_is_read_where_it_is() -> None:
    opened = Held(b"xx")
    sent = sent_of(Response(206, (), (b"<", ByteSpan(3, 5), b">", ByteSpan(7, 9), b"|")), opened)
    assert b"".join(each["body"] for each in sent[1:]) == b"<xx>xx|"
    assert opened.asked == [(3, 5), (7, 9)]


@pytest.mark.parametrize("chunks", [(), (b"x" * 11,), (VersionChanged("x"),), (BodyTruncated("x"),)])
def test_a_fault_before_the_first_byte_leaves_the_response_unsent(chunks: Any) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises((BodyTruncated, VersionChanged)):
        asyncio.run(send_response(WHOLE, Held(*chunks), stays, send))
    assert sent == []


@pytest.mark.parametrize("rest", [(), (b"x" * 6,), (VersionChanged("x"),), (b"xx", BodyTruncated("x"))])
def test_a_fault_after_it_breaks_off_and_never_ends_the_body(rest: Any) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(BrokenOff):
        asyncio.run(send_response(WHOLE, Held(b"01234", *rest), stays, send))
    assert all(each["more_body"] for each in sent[1:])
    assert sum(len(each["body"]) for each in sent[1:]) < 10


def test_a_client_that_has_left_stops_the_reading() -> None:
    messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    opened = Held(b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        await asyncio.sleep(0.01)

    asyncio.run(send_response(WHOLE, opened, receive, send))
    assert opened.given < 5


def test_a_server_that_raises_for_a_client_that_has_left_is_no_fault() -> None:
    async def send(message: Any) -> None:
        raise OSError("gone")

    asyncio.run(send_response(WHOLE, Held(b"01234", b"56789"), stays, send))


def test_others_get_their_turn_between_the_pieces_of_what_is_ready() -> None:
    happened: list[Any] = []

    async def send(message: Any) -> None:
        happened.append(message.get("body"))

    async def other() -> None:
        for _ in range(2):
            happened.append("other")
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(send_response(READY, None, stays, send), other())

    asyncio.run(both())
    assert happened == [None, b"012", "other", b"345", "other", b"6"]


@pytest.mark.parametrize("when", range(4))
def test_a_client_that_leaves_what_is_ready_is_no_fault(when: int) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        if len(sent) == when:
            raise OSError("gone")
        sent.append(message)

    asyncio.run(send_response(READY, None, stays, send))
    assert len(sent) == when


def test_a_harness_that_repeats_the_request_for_ever_is_not_listened_to_for_ever() -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    assert len(sent_of(WHOLE, Held(b"01234", b"56789"), receive)) == 3


class Long:
    """An opened file of *pieces* full pieces, which counts what is read of all such files."""

    read = 0

    def __init__(self, pieces: int) -> None:
        self.stat = FileStat("a", pieces * PIECE_BYTES)
        self._piece = bytes(PIECE_BYTES)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        while start < stop:
            type(self).read += 1
            yield self._piece
            start += PIECE_BYTES

    async def aclose(self) -> None: ...


def test_many_long_bodies_share_the_turns_of_the_loop() -> None:
    """A hundred clients that can take whatever is sent: in one turn not each of them is served, and none is forgotten."""
    clients, pieces = 100, 5
    response = Response(200, (), (ByteSpan(0, pieces * PIECE_BYTES),))
    in_one_turn: list[int] = []

    async def ready(message: Any) -> None: ...

    async def leaves() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def main() -> list[bool]:
        loop, before = asyncio.get_running_loop(), 0

        def count() -> None:
            nonlocal before
            in_one_turn.append(Long.read - before)
            before = Long.read
            loop.call_soon(count)

        loop.call_soon(count)
        receivers = [leaves if number % 10 == 0 else stays for number in range(clients)]
        return await asyncio.gather(*(send_response(response, Long(pieces), each, ready) for each in receivers))

    Long.read = 0
    sent = asyncio.run(main())
    assert sent.count(False) == clients // 10
    assert Long.read >= clients * 9 // 10 * pieces
    assert max(in_one_turn) < 3 * TURN_BYTES // PIECE_BYTES


def test_a_loop_that_ended_leaves_the_turns_of_the_next_one_alone() -> None:
    async def main() -> bool:
        async def send(message: Any) -> None: ...

        response = Response(200, (), (ByteSpan(0, 40 * PIECE_BYTES),))
        return all(await asyncio.gather(*(send_response(response, Long(40), stays, send) for _ in range(3))))

    assert all(asyncio.run(main()) for _ in range(3))


def test_the_more_long_bodies_there_are_the_less_of_each_is_given_to_the_server_at_once() -> None:
    """A server may hold several pieces for a client that reads slowly; all of them together are bounded."""
    sizes: dict[int, list[int]] = {}

    async def main(clients: int) -> None:
        async def send(message: Any) -> None:
            sizes.setdefault(clients, []).append(len(message.get("body", b"")))

        response = Response(200, (), (ByteSpan(0, 3 * PIECE_BYTES),))
        await asyncio.gather(*(send_response(response, Long(3), stays, send) for _ in range(clients)))

    for clients in (1, 64, 500):
        asyncio.run(main(clients))
        assert sum(sizes[clients]) == clients * 3 * PIECE_BYTES
    assert set(sizes[1]) == {0, PIECE_BYTES}
    assert sorted(sizes[64])[len(sizes[64]) // 2] <= HELD_BYTES // 32
    assert sorted(sizes[500])[len(sizes[500]) // 2] == LEAST_PIECE_BYTES
