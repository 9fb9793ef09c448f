"""An S3 store in front of moto that misbehaves as real ones do, switched on and off by the test."""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit

import pytest

from servers.s3 import S3Server

#: Everything that it can do wrong.
FAULTS = (
    "ignores conditions",
    "has no conditions",
    "refuses checksums",
    "loses responses",
    "conflicts",
    "throttles",
    "breaks",
    "forgets in listings",
    "halves listings",
    "repeats listings",
    "is slow",
    "encrypts",
)

_DROPPED = {"connection", "transfer-encoding", "server", "date", "content-length"}


def error(status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    """A response of S3 that says what is wrong."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, {"Content-Type": "application/xml"}, body.encode()


class MisbehavingS3:
    """A proxy in front of *upstream*; :attr:`faults` says what it does wrong now."""

    def __init__(self, upstream: S3Server) -> None:
        self.faults: set[str] = set()
        self.random = random.Random(7)
        #: May answer a request at once: status, headers, body.
        self.before: Callable[[str, str, dict[str, str]], tuple[int, dict[str, str], bytes] | None] | None = None
        self._lose: str | None = None
        #: The ETag that a store with SSE-KMS gives an object, by path, and what it stands for: another one for each
        #: write, and no MD5 of the bytes.
        self._etags: dict[str, tuple[str, str]] = {}
        #: Method, path and headers of every request.
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self._port = urlsplit(upstream.endpoint_url).port or 0
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *arguments: object) -> None:
                pass

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                headers.pop("expect", None)
                status, given, data, lost = proxy._exchange(self.command, self.path, headers, body)
                if lost:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(status)
                for name, value in given.items():
                    if name.lower() not in _DROPPED:
                        self.send_header(name, value)
                length = {name.lower(): value for name, value in given.items()}.get("content-length")
                self.send_header("Content-Length", str(len(data)) if self.command != "HEAD" else length or "0")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def lose_next(self, name: str) -> None:
        """Carry out the next PUT of *name*, and lose its response."""
        self._lose = name

    def _sometimes(self, fault: str, share: float) -> bool:
        with self._lock:
            return fault in self.faults and self.random.random() < share

    def _exchange(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes, bool]:
        """Status, headers and body of the response, and whether it is lost on its way."""
        self.requests.append((method, path, dict(headers)))
        if self.before is not None and (answer := self.before(method, path, headers)) is not None:
            return (*answer, False)
        conditional = [name for name in ("if-match", "if-none-match") if method == "PUT" and name in headers]
        checksums = [name for name in headers if name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum"))]
        if "refuses checksums" in self.faults and method in {"PUT", "POST"} and checksums:
            return (*error(400, "InvalidArgument", f"Unsupported header '{checksums[0]}' received"), False)
        if "has no conditions" in self.faults and conditional:
            return (*error(501, "NotImplemented", "A header you provided implies functionality"), False)
        if self._sometimes("is slow", 0.2):
            time.sleep(0.05)
        if self._sometimes("throttles", 0.1):
            return (*error(503, "SlowDown", "Please reduce your request rate."), False)
        if self._sometimes("breaks", 0.05):
            return (*error(500, "InternalError", "We encountered an internal error."), False)
        if conditional and self._sometimes("conflicts", 0.5):
            return (*error(409, "ConditionalRequestConflict", "A conflicting operation is running."), False)
        if "slow switch" in self.faults and method == "PUT" and path.split("?")[0].endswith("current.json"):
            time.sleep(0.8)
        if "ignores conditions" in self.faults:
            for name in conditional:
                del headers[name]
        if "encrypts" in self.faults:
            self._decrypt_condition(path, headers)
        path = path.replace("&continuation-token=again", "").replace("continuation-token=again&", "")
        upstream = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            upstream.request(method, path, body, headers)
            response = upstream.getresponse()
            data = response.read()
            status, given = response.status, dict(response.getheaders())
        finally:
            upstream.close()
        if "encrypts" in self.faults:
            data = self._encrypt(method, path, status, given, data)
        lost = method == "PUT" and self._sometimes("loses responses", 0.2)
        if self._lose is not None and method == "PUT" and self._lose in path:
            self._lose, lost = None, True
        if "forgets in listings" in self.faults and method == "GET" and "list-type=2" in path:
            first = data.find(b"<Contents>")
            last = data.find(b"</Contents>", first) + len(b"</Contents>")
            if first >= 0 and self._sometimes("forgets in listings", 0.7):
                data = data[:first] + data[last:]
        if method == "GET" and "list-type=2" in path:
            if self._sometimes("halves listings", 0.5):
                rows = _ROW.findall(data)
                data = _ROW.sub(b"", data).replace(b"</ListBucketResult>", b"".join(rows[::2]) + b"</ListBucketResult>")
            if self._sometimes("repeats listings", 0.3):
                token = b"<NextContinuationToken>again</NextContinuationToken></ListBucketResult>"
                data = data.replace(b"<IsTruncated>false<", b"<IsTruncated>true<").replace(
                    b"</ListBucketResult>", token
                )
        return status, given, data, lost

    def _decrypt_condition(self, path: str, headers: dict[str, str]) -> None:
        """Name the ETags of conditions as *upstream* knows them."""
        shown, real = self._etags.get(path.partition("?")[0], ("", ""))
        for name in ("if-match", "if-none-match"):
            if headers.get(name, "").strip('"') == shown and shown:
                headers[name] = f'"{real}"'

    def _encrypt(self, method: str, path: str, status: int, given: dict[str, str], data: bytes) -> bytes:
        """Put ETags as of SSE-KMS into a response; of multipart uploads only the finished object has one."""
        key, _, query = path.partition("?")
        [name] = [each for each in given if each.lower() == "etag"] or [""]
        if method == "PUT" and status == 200 and name and not query:
            with self._lock:
                self._etags[key] = (f"{self.random.getrandbits(128):032x}", given[name].strip('"'))
        if key in self._etags and name and not query:
            given[name] = f'"{self._etags[key][0]}"'
            given["x-amz-server-side-encryption"] = "aws:kms"
        for row in _ROW.findall(data) if method == "GET" and "list-type=2" in query else []:
            listed = row[row.index(b"<Key>") + 5 : row.index(b"</Key>")].decode()
            full = quote(f"{key.rstrip('/')}/{unquote_plus(listed)}", safe="/~")
            if full in self._etags:
                shown, real = self._etags[full]
                data = data.replace(row, row.replace(real.encode(), shown.encode()))
        return data


_ROW = re.compile(rb"<Contents>.*?</Contents>", re.S)


@pytest.fixture(scope="session")
def misbehaving_s3(moto_server: S3Server) -> Iterator[MisbehavingS3]:
    """A store that does everything right until a test adds to its ``faults``."""
    store = MisbehavingS3(moto_server)
    yield store
    store.close()
