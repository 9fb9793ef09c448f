"""This module owns one exchange with a bucket: a request's head goes out, an answer's head comes in.

It works beneath aiohttp's session, on a connection of aiohttp's pool and with its parser. For a
request without a body the session's own preparations (cookies, redirects, payloads, tracing) take
two and a half times as long as the exchange itself.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from assetstore.backends.ranged import CHUNK_BYTES

#: Everything that an exchange and reading what follows raise.
FAULTS: Final = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)

#: What no header may hold (RFC 9110 section 5.5).
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

#: What is used here of aiohttp beneath its public door, by parameter.
BENEATH: Final[Mapping[Callable[..., Any], frozenset[str]]] = {
    aiohttp.TCPConnector.connect: frozenset({"req", "traces", "timeout"}),
    ResponseHandler.set_response_params: frozenset(
        {"skip_payload", "read_until_eof", "auto_decompress", "read_timeout", "read_bufsize"}
    ),
}


def require(beneath: Mapping[Callable[..., Any], frozenset[str]]) -> None:
    """Make sure that functions take the parameters that are used.

    Raises:
        ImportError: one does not; another release of aiohttp may have changed it. Then boto3 reads.
    """
    for function, parameters in beneath.items():
        if not parameters <= inspect.signature(function).parameters.keys():
            name = function.__qualname__
            raise ImportError(f"aiohttp {aiohttp.__version__} has another {name}; install 'aiohttp>=3.10,<4'")


require(BENEATH)


class Answer:
    """The head of an answer, and its body on its way. Who gets it closes it."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self, status: int, headers: CIMultiDictProxy[str], content: aiohttp.StreamReader, connection: Connection
    ) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self._connection = connection

    def close(self) -> None:
        """Give the connection up, unless the whole body came, which gave it back; closing twice is harmless."""
        self._connection.release()


def lines_of(headers: Mapping[str, str]) -> str:
    """Header lines as they are sent (RFC 9112 section 5).

    Raises:
        ValueError: a value holds what would end its line.
    """
    for name, value in headers.items():
        if _CONTROLS.search(value):
            raise ValueError(f"the header {name} cannot hold {value!r}")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


async def exchange(connection: Connection, head: bytes, *, has_body: bool, read_timeout_seconds: float) -> Answer:
    """Send *head*, a request without a body, and wait for the head of the answer.

    Args:
        has_body: whether the answer to this method has one.
        read_timeout_seconds: the longest silence of the server, now and while the body is read.

    Raises:
        One of :data:`FAULTS`; the connection is closed then.
    """
    try:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            skip_payload=not has_body,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=read_timeout_seconds,
            read_bufsize=CHUNK_BYTES,
        )
        transport.write(head)
        protocol.start_timeout()
        message, content = await protocol.read()
        while message.code < 200:  # 100 and 103 come before the answer itself
            message, content = await protocol.read()
        content.on_eof(connection.release)  # however slowly the body is taken from here
        return Answer(message.code, message.headers, content, connection)
    except BaseException:
        connection.close()
        raise
