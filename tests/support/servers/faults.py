"""The faults of a storage service, each as a value that :class:`FaultProxy` acts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Wait = Callable[[float], None]


class Hangup(Exception):
    """The connection is to be reset here and now."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is given instead of the server's own."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Nothing is wrong: the server is asked and its answer passed on."""

    def instead(self, wait: Wait) -> Reply | None:
        """What to answer without asking the server; raises :class:`Hangup` to answer nothing."""
        return None

    def body(self, chunks: Iterator[bytes], wait: Wait) -> Iterator[bytes]:
        """The bytes to send for the server's; the headers have promised the server's length."""
        return chunks


@dataclass(frozen=True, slots=True)
class Refuse(Fault):
    """Nobody listens on the port any more, and open connections are cut."""

    def instead(self, wait: Wait) -> Reply | None:
        raise Hangup  # a request that slipped in while its connection was being cut


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """The request is read and its connection reset."""

    def instead(self, wait: Wait) -> Reply | None:
        raise Hangup


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """The answer begins late."""

    seconds: float

    def instead(self, wait: Wait) -> Reply | None:
        wait(self.seconds)
        return None


@dataclass(frozen=True, slots=True)
class Drip(Fault):
    """The body comes in small pieces with pauses between them."""

    piece: int = 100
    pause_seconds: float = 0.05

    def body(self, chunks: Iterator[bytes], wait: Wait) -> Iterator[bytes]:
        for chunk in chunks:
            for start in range(0, len(chunk), self.piece):
                yield chunk[start : start + self.piece]
                wait(self.pause_seconds)


@dataclass(frozen=True, slots=True)
class Truncate(Fault):
    """The body ends after so many bytes, and with it the connection."""

    after: int = 0

    def body(self, chunks: Iterator[bytes], wait: Wait) -> Iterator[bytes]:
        left = self.after
        for chunk in chunks:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return


@dataclass(frozen=True, slots=True)
class Stall(Fault):
    """The body stops after so many bytes, and the connection stays open for so long."""

    after: int = 0
    seconds: float = 60

    def body(self, chunks: Iterator[bytes], wait: Wait) -> Iterator[bytes]:
        yield from Truncate(self.after).body(chunks, wait)
        wait(self.seconds)


@dataclass(frozen=True, slots=True)
class Garble(Fault):
    """One byte of the body is another one; length and headers are right."""

    at: int = 0

    def body(self, chunks: Iterator[bytes], wait: Wait) -> Iterator[bytes]:
        seen = 0
        for chunk in chunks:
            here = self.at - seen
            if 0 <= here < len(chunk):
                chunk = chunk[:here] + bytes([chunk[here] ^ 0xFF]) + chunk[here + 1 :]
            yield chunk
            seen += len(chunk)


@dataclass(frozen=True, slots=True)
class Meanwhile(Fault):
    """Once so many bytes of the body are out, *action* is done: the object changes in mid-read."""

    action: Callable[[], object]
    after: int = 0

    def body(self, chunks: Iterator[bytes], wait: Wait) -> Iterator[bytes]:
        sent, done = 0, False
        for chunk in chunks:
            yield chunk
            sent += len(chunk)
            if not done and sent >= self.after:
                self.action()
                done = True


@dataclass(frozen=True, slots=True)
class ErrorAnswer(Fault):
    """An error in the XML of S3, given without asking the server."""

    status: int
    code: str
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)

    def instead(self, wait: Wait) -> Reply | None:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>secret-detail-of-the-provider</Message>"
            "<RequestId>0123456789</RequestId></Error>"
        )
        return Reply(self.status, {"Content-Type": "application/xml", **self.headers}, body.encode())


@dataclass(frozen=True, slots=True)
class Page(Fault):
    """A page of something else than the storage, with status 200: a captive portal's."""

    headers: Mapping[str, str] = field(default_factory=dict)

    def instead(self, wait: Wait) -> Reply | None:
        return Reply(200, {"Content-Type": "text/html", **self.headers}, b"<html>please log in</html>")


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """A redirect to the same name with a slash, as for a folder."""

    def instead(self, wait: Wait) -> Reply | None:
        return Reply(301, {"Location": "/elsewhere/"}, b"")


@dataclass(frozen=True, slots=True)
class WrongLength(Fault):
    """Content-Length is so many bytes more than the body has."""

    more: int = 100


HEALTHY = Fault()
REFUSE = Refuse()
RESET = Reset()
FORBIDDEN = ErrorAnswer(403, "AccessDenied")
NO_BUCKET = ErrorAnswer(404, "NoSuchBucket")
LONG_KEY = ErrorAnswer(400, "KeyTooLongError")
PAGE, PAGE_WITH_ETAG = Page(), Page({"ETag": '"portal-1"'})
NOT_FOUND = ErrorAnswer(404, "NoSuchKey")
BROKEN = ErrorAnswer(500, "InternalError")
SLOW_DOWN = ErrorAnswer(503, "SlowDown", {"Retry-After": "3"})
EXPIRED_TOKEN = ErrorAnswer(400, "ExpiredToken")
WRONG_SECRET = ErrorAnswer(403, "SignatureDoesNotMatch")
