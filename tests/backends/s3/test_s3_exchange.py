"""One exchange with a bucket: what is sent, what may come back, and what becomes of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.s3.client import S3Options
from assetstore.backends.s3.connection import BENEATH, FAULTS, S3Connections, lines_of, require

HELLO = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "v"\r\n\r\nhello'


@dataclass
class Server:
    """Answers each request with the next of what it was given; ``None`` closes the connection instead."""

    answers: list[bytes | None]
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
            else:
                await reader.read()  # until the client leaves
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*answers: bytes | None) -> AsyncIterator[tuple[Server, S3Connections]]:
    server = Server(list(answers))
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/bucket/a.txt?X-Amz-Signature=1"
    session = S3Connections(S3Options(read_timeout_seconds=5.0))
    await session.keep_until_the_loop_ends()
    try:
        yield server, session
    finally:
        await session.aclose()
        listening.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())


def test_what_is_sent_is_a_whole_head_and_nothing_that_was_not_asked_for() -> None:
    async def scenario() -> None:
        async with serving(HELLO) as (server, session):
            answer = await session.request("GET", server.url, {"Range": "bytes=0-4"})
            answer.close()
            host = server.url.split("/")[2]
            assert server.heads == [
                (
                    f"GET /bucket/a.txt?X-Amz-Signature=1 HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
                    "Accept-Encoding: identity\r\nUser-Agent: assetstore\r\nRange: bytes=0-4\r\n\r\n"
                ).encode()
            ]

    run(scenario)


def test_an_answer_has_its_status_headers_by_any_case_and_its_body() -> None:
    async def scenario() -> None:
        async with serving(HELLO) as (server, session):
            answer = await session.request("GET", server.url, {})
            assert (answer.status, answer.headers["etag"], await answer.content.read()) == (200, '"v"', b"hello")
            answer.close()
            answer.close()

    run(scenario)


def test_a_connection_whose_body_came_is_used_again() -> None:
    async def scenario() -> None:
        async with serving(HELLO, HELLO, HELLO) as (server, session):
            for _ in range(3):
                answer = await session.request("GET", server.url, {})
                assert await answer.content.read() == b"hello"
                answer.close()
            assert server.connections == 1

    run(scenario)


def test_a_connection_is_free_once_the_body_came_however_slowly_it_is_taken() -> None:
    async def scenario() -> None:
        async with serving(HELLO, HELLO) as (server, session):
            slow = await session.request("GET", server.url, {})
            while not slow.content.is_eof():  # noqa: ASYNC110 (aiohttp tells nobody when)
                await asyncio.sleep(0.001)
            answer = await session.request("GET", server.url, {})
            assert await answer.content.read() == b"hello"
            answer.close()
            assert await slow.content.read() == b"hello"
            slow.close()
            assert server.connections == 1

    run(scenario)


def test_a_connection_whose_body_did_not_come_is_not_used_again() -> None:
    async def scenario() -> None:
        async with serving(HELLO.replace(b": 5", b": 50"), HELLO) as (server, session):
            answer = await session.request("GET", server.url, {})
            assert await answer.content.readany() == b"hello"
            answer.close()
            answer = await session.request("GET", server.url, {})
            assert await answer.content.read() == b"hello"
            answer.close()
            assert server.connections == 2

    run(scenario)


def test_a_head_has_no_body_whatever_its_length_says() -> None:
    async def scenario() -> None:
        async with serving(HELLO.removesuffix(b"hello"), HELLO) as (server, session):
            answer = await session.request("HEAD", server.url, {})
            assert (answer.headers["content-length"], await answer.content.read()) == ("5", b"")
            answer.close()
            answer = await session.request("GET", server.url, {})
            assert await answer.content.read() == b"hello"
            answer.close()
            assert server.connections == 1

    run(scenario)


def test_what_comes_before_the_answer_is_not_taken_for_it() -> None:
    async def scenario() -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        async with serving(early + early + HELLO) as (server, session):
            answer = await session.request("GET", server.url, {})
            assert answer.status == 200
            answer.close()

    run(scenario)


def test_a_body_in_chunks_is_put_together() -> None:
    async def scenario() -> None:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
        async with serving(chunked) as (server, session):
            answer = await session.request("GET", server.url, {})
            assert await answer.content.read() == b"hello"
            answer.close()

    run(scenario)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="a connection that is closed instead"),
        pytest.param(b"ICY 200 OK\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", id="a length that is none"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", id="a header beyond measure"),
    ],
)
def test_what_is_no_answer_is_a_fault_and_the_next_request_is_made_elsewhere(answer: bytes | None) -> None:
    async def scenario() -> None:
        async with serving(answer, HELLO) as (server, session):
            with pytest.raises(FAULTS):
                await session.request("GET", server.url, {})
            again = await session.request("GET", server.url, {})
            assert await again.content.read() == b"hello"
            again.close()
            assert server.connections == 2

    run(scenario)


def test_a_request_that_is_lost_is_not_sent_a_second_time() -> None:
    """Attempts are counted in one place, which is not here."""

    async def scenario() -> None:
        async with serving(HELLO, None, HELLO) as (server, session):
            answer = await session.request("GET", server.url, {})
            await answer.content.read()
            answer.close()
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.request("GET", server.url, {})
            assert len(server.heads) == 2

    run(scenario)


def test_a_silent_server_is_waited_for_only_so_long() -> None:
    async def scenario() -> None:
        async with serving(b"") as (server, _):
            session = S3Connections(S3Options(read_timeout_seconds=0.2))
            await session.keep_until_the_loop_ends()
            with pytest.raises(TimeoutError):
                await session.request("GET", server.url, {})
            await session.aclose()

    run(scenario)


def test_one_who_is_cancelled_gives_the_connection_up() -> None:
    async def scenario() -> None:
        async with serving(b"", HELLO) as (server, session):
            asking = asyncio.create_task(session.request("GET", server.url, {}))
            while not server.heads:  # noqa: ASYNC110 (the server is a plain value)
                await asyncio.sleep(0.001)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            answer = await session.request("GET", server.url, {})
            answer.close()
            assert server.connections == 2

    run(scenario)


@given(st.dictionaries(st.sampled_from(["Range", "If-Match"]), st.text(max_size=40)))
def test_header_lines_are_one_for_each_header_or_none_at_all(headers: dict[str, str]) -> None:
    try:
        lines = lines_of(headers)
    except ValueError:
        assert any(ord(character) < 32 or ord(character) == 127 for value in headers.values() for character in value)
    else:
        assert lines.count("\r\n") == lines.count("\n") == lines.count("\r") == len(headers)


def test_an_aiohttp_that_was_changed_beneath_its_door_is_refused_at_import() -> None:
    def connect(req: object) -> None:
        raise NotImplementedError

    require(BENEATH)
    with pytest.raises(ImportError, match="install 'aiohttp"):
        require({connect: frozenset({"req", "timeout"})})
