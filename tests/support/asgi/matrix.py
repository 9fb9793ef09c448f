"""What RFC 9110 requires of conditions and ranges, as requests for ``data.bin`` of the tree.

Each row is a request's headers, the status that they earn, and the body (``None`` for some words).
Validators stand as ``{etag}``, ``{at}``, ``{before}`` and ``{after}``, since each backend has its own.
"""

from __future__ import annotations

from email.utils import formatdate, parsedate_to_datetime

import pytest

from asgi.client import Reply
from asgi.tree import DATA

MATRIX = [
    pytest.param({"If-None-Match": "{etag}"}, 304, b"", id="the same tag"),
    pytest.param({"If-None-Match": "W/{etag}"}, 304, b"", id="a tag that a proxy weakened"),
    pytest.param({"If-None-Match": '"a", {etag}'}, 304, b"", id="a list of tags"),
    pytest.param({"If-None-Match": "*"}, 304, b"", id="any tag"),
    pytest.param({"If-None-Match": '"y"', "If-Modified-Since": "{at}"}, 200, DATA, id="etag outranks date"),
    pytest.param({"If-Modified-Since": "{at}"}, 304, b"", id="not modified since"),
    pytest.param({"If-Modified-Since": "{before}"}, 200, DATA, id="modified since"),
    pytest.param({"If-Match": '"y"'}, 412, None, id="if-match misses"),
    pytest.param({"If-Match": "W/{etag}"}, 412, None, id="if-match is strong"),
    pytest.param({"If-Match": "{etag}"}, 200, DATA, id="if-match hits"),
    pytest.param({"If-Unmodified-Since": "{before}"}, 412, None, id="modified since"),
    pytest.param({"If-Unmodified-Since": "{at}"}, 200, DATA, id="unmodified since"),
    pytest.param({"Range": "bytes=0-0"}, 206, DATA[:1], id="a single byte is a range"),
    pytest.param({"Range": "bytes=-1"}, 206, DATA[-1:], id="the last byte"),
    pytest.param({"Range": "bytes=-99999"}, 206, DATA, id="a suffix longer than the file"),
    pytest.param({"Range": "bytes=0-99999"}, 206, DATA, id="an end past the file"),
    pytest.param({"Range": "bytes=10000-"}, 206, DATA[10000:], id="an open end"),
    pytest.param({"Range": "bytes=0-1,90000-"}, 206, DATA[:2], id="the satisfiable one of two"),
    pytest.param({"Range": "bytes={size}-"}, 416, None, id="a start at the end"),
    pytest.param({"Range": "bytes=-0"}, 416, None, id="the last zero bytes"),
    pytest.param({"Range": "items=0-1"}, 200, DATA, id="an unknown unit"),
    pytest.param({"Range": "bytes=5-2"}, 200, DATA, id="an end before the start"),
    pytest.param({"Range": "bytes=" + ",".join(["0-"] * 500)}, 200, DATA, id="five hundred ranges"),
    pytest.param({"Range": "bytes=0-1", "If-Range": "{etag}"}, 206, DATA[:2], id="if-range with the tag"),
    pytest.param({"Range": "bytes=0-1", "If-Range": "W/{etag}"}, 200, DATA, id="if-range with a weak tag"),
    pytest.param({"Range": "bytes=0-1", "If-Range": '"y"'}, 200, DATA, id="if-range with another tag"),
    pytest.param({"Range": "bytes=0-1", "If-Range": "{at}"}, 206, DATA[:2], id="if-range with the exact date"),
    pytest.param({"Range": "bytes=0-1", "If-Range": "{after}"}, 200, DATA, id="if-range with a newer date"),
    pytest.param({"If-Range": '"y"'}, 200, DATA, id="if-range without a range"),
    pytest.param({"Range": "bytes=0-1", "If-None-Match": "{etag}"}, 304, b"", id="304 comes before 206"),
    pytest.param({"Range": "bytes=90000-", "If-None-Match": '"y"'}, 416, None, id="a range after a condition"),
    pytest.param({"Range": "bytes=90000-", "If-Range": '"y"'}, 200, DATA, id="if-range fails, so the range is nothing"),
    pytest.param({"Range": "bytes=0-1", "If-None-Match": '"y"'}, 206, DATA[:2], id="a range behind a passed condition"),
    pytest.param({"Range": "bytes=0-1", "Accept-Encoding": "gzip, br"}, 206, DATA[:2], id="a range and codings"),
]


def fill(headers: dict[str, str], whole: Reply) -> dict[str, str]:
    """The headers of a row, with the validators that the *whole* file was sent with."""
    modified = int(parsedate_to_datetime(whole.headers["last-modified"]).timestamp())
    words = {
        "etag": whole.headers["etag"],
        "size": str(len(whole.body)),
        "at": formatdate(modified, usegmt=True),
        "before": formatdate(modified - 1, usegmt=True),
        "after": formatdate(modified + 1, usegmt=True),
    }
    return {name: value.format(**words) for name, value in headers.items()}
