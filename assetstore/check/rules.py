"""The rules of a check: pure functions that judge one response."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from assetstore.assets import media_types
from assetstore.assets.cache_policy import YEAR_SECONDS
from assetstore.assets.compression import CODINGS, decompress
from assetstore.check.client import CdnResponse
from assetstore.names.manifest import Entry


class Item(Enum):
    """What a check examines; the value is its printed name."""

    STATUS = "answers"
    BYTES = "right bytes"
    IMMUTABLE = "immutable intact"
    PLAIN = "plain files revalidated"
    TYPE = "content type"
    CORS = "CORS intact"
    ISOLATION = "nosniff and resource policy intact"
    ETAG = "ETag and If-None-Match"
    MODIFIED = "Last-Modified and If-Modified-Since"
    COMPRESSION = "compression of text"
    RANGES = "ranges"
    KEPT = "kept by the cache"
    MIXED = "304 kept apart from 200"
    MISSING = "missing names not cached"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one examination."""

    item: Item
    url: str
    #: The fault that was seen; empty for none.
    saw: str = ""
    #: What to change, one sentence; empty without a fault.
    change: str = ""

    @property
    def fault(self) -> bool:
        """Whether something has to be changed."""
        return bool(self.saw)


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one check."""

    base: str
    release: str
    files: int
    requests: int
    findings: Sequence[CheckResult]

    @property
    def faults(self) -> list[CheckResult]:
        """The results that are faults."""
        return [each for each in self.findings if each.fault]

    def counts(self, item: Item) -> tuple[int, int]:
        """How many results *item* has, and how many of them are faults."""
        results = [each for each in self.findings if each.item is item]
        return len(results), sum(each.fault for each in results)


#: Text of at least this size should be sent compressed.
TEXT_BYTES = 2048

#: The coding that every client accepts, so that text has to be sent in it.
EXPECTED_CODING = "gzip"

#: The Origin of requests, so that responses have CORS headers.
ORIGIN = "https://assetstore-check.invalid"

#: Response headers in which caches report a hit or miss: Cache-Status (RFC 9211) and its predecessors.
_STATUS_HEADERS = ("cache-status", "x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache", "cdn-cache")
_HIT = re.compile(r"(?i)(?<![a-z])hit(?![a-z-])")
_FONTS = ("font/", "application/vnd.ms-fontobject")


def status(response: CdnResponse, wanted: int = 200) -> CheckResult:
    """Whether the status is the *wanted* one."""
    if response.status == wanted:
        return CheckResult(Item.STATUS, response.url)
    if response.status == 0:
        return _fault(
            Item.STATUS,
            response,
            f"no answer: {response.error}",
            "make the host reachable, its name and certificate right",
        )
    changes = {
        403: "let the CDN read the bucket (s3:GetObject on every object, s3:ListBucket so that a missing one is a 404)",
        404: "publish this release to where the CDN looks, or correct the path that the CDN asks the origin for",
    }
    if response.status in {301, 302, 307, 308}:
        change = (
            f"answer here instead of redirecting to {response.header('location')!r}, or set ASSETS_URL to that place"
        )
    else:
        change = changes.get(response.status, "look into the CDN's log for why its origin gave no file")
    return _fault(Item.STATUS, response, f"status {response.status} instead of {wanted}", change)


def content(response: CdnResponse, entry: Entry) -> CheckResult:
    """Whether the bytes are the published ones, for a client that accepts identity only."""
    coding = response.header("content-encoding").lower()
    wanted = {each.coding: each.sha256 for each in entry.stored if each.coding is not None}
    stored_so = coding and wanted.get(coding) and all(each.coding for each in entry.stored)
    if coding and not stored_so:
        return _fault(
            Item.BYTES,
            response,
            f"{coding} for a client that did not ask for it",
            "make Accept-Encoding part of the CDN's cache key, and let it keep the Vary header",
        )
    if response.sha256 == (wanted[coding] if stored_so else entry.sha256):
        return CheckResult(Item.BYTES, response.url)
    saw = f"other bytes: {response.size} of them, {entry.size} published"
    return _fault(Item.BYTES, response, saw, "switch off what rewrites files (minify, polish), and purge this URL once")


def immutable(response: CdnResponse) -> CheckResult:
    """Whether Cache-Control of a fingerprinted URL reaches the client."""
    said = response.header("cache-control") or "no Cache-Control"
    directives = response.directives
    if "immutable" in directives and _seconds(directives.get("max-age")) >= YEAR_SECONDS:
        return CheckResult(Item.IMMUTABLE, response.url)
    change = f"pass the origin's Cache-Control through unchanged: it must reach browsers as max-age={YEAR_SECONDS}, immutable"
    return _fault(Item.IMMUTABLE, response, f"{said}", change)


def plain(response: CdnResponse) -> CheckResult:
    """Whether a file under its plain name has to be revalidated by browsers."""
    directives = response.directives
    stale = "immutable" in directives or ("no-cache" not in directives and _seconds(directives.get("max-age"), 1) > 0)
    if not stale:
        return CheckResult(Item.PLAIN, response.url)
    said = response.header("cache-control") or "no Cache-Control"
    change = (
        "switch off the CDN's browser-TTL override: plain names must reach browsers with max-age=0, must-revalidate"
    )
    return _fault(Item.PLAIN, response, said, change)


def content_type(response: CdnResponse, entry: Entry) -> CheckResult:
    """Whether Content-Type reaches the client; the charset's case does not matter."""
    said = response.header("content-type")
    if said.replace(" ", "").lower() == entry.content_type.replace(" ", "").lower():
        return CheckResult(Item.TYPE, response.url)
    change = f"let the origin's Content-Type through ({entry.content_type}), or publish again with --force"
    return _fault(Item.TYPE, response, said or "no Content-Type", change)


def cors(response: CdnResponse, entry: Entry) -> CheckResult:
    """Whether another origin may use the file; browsers refuse fonts and modules without it."""
    said = response.header("access-control-allow-origin")
    if said in {"*", ORIGIN}:
        return CheckResult(Item.CORS, response.url)
    font = entry.content_type.startswith(_FONTS)
    what = "browsers refuse this font" if font else "cross-origin modules and integrity fail"
    change = (
        f"pass Access-Control-Allow-Origin through (or give the bucket a CORS rule for any origin): without it {what}"
    )
    return _fault(Item.CORS, response, f"Access-Control-Allow-Origin: {said}" if said else "no CORS header", change)


def isolation(response: CdnResponse) -> CheckResult:
    """Whether X-Content-Type-Options and Cross-Origin-Resource-Policy reach the client."""
    wanted = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "cross-origin"}
    lost = [f"{name}: {value}" for name, value in wanted.items() if response.header(name).lower() != value]
    if not lost:
        return CheckResult(Item.ISOLATION, response.url)
    change = f"pass {' and '.join(lost)} through, as the origin sends it"
    return _fault(Item.ISOLATION, response, f"lost {', '.join(lost)}", change)


def etag(response: CdnResponse, again: CdnResponse | None) -> CheckResult:
    """Whether there is an ETag, and *again*, requested with it in If-None-Match, is a 304."""
    if not response.header("etag"):
        return _fault(Item.ETAG, response, "no ETag", "pass the origin's ETag through")
    if again is not None and again.status == 304:
        return CheckResult(Item.ETAG, response.url)
    saw = f"status {again.status if again else 0} to If-None-Match"
    return _fault(Item.ETAG, response, saw, "let the CDN answer If-None-Match itself, or pass it to the origin")


def mixed(conditional: CdnResponse, then: CdnResponse) -> CheckResult:
    """Whether a request without conditions gets the file although one with a condition came first."""
    if then.status == 200 or conditional.status not in {200, 304}:
        return CheckResult(Item.MIXED, then.url)
    change = (
        "do not pass clients' If-None-Match and If-Modified-Since to the origin from a cached location, nor keep a 304"
    )
    return _fault(Item.MIXED, then, f"status {then.status} after a conditional request of somebody else", change)


def kept(response: CdnResponse) -> CheckResult | None:
    """Whether the response to a repeated request came from the cache; ``None`` where no header reports it."""
    if came_from_cache(response):
        return CheckResult(Item.KEPT, response.url)
    said = [f"{name}: {response.header(name)}" for name in (*_STATUS_HEADERS, "age") if response.header(name)]
    if not said:
        return None
    change = "let the CDN keep fingerprinted files for as long as their Cache-Control says"
    return _fault(Item.KEPT, response, f"asked twice, and the cache did not have it ({', '.join(said)})", change)


def modified(response: CdnResponse, again: CdnResponse | None) -> CheckResult:
    """Whether a plain file has Last-Modified, and *again*, requested with it in If-Modified-Since, is a 304."""
    if not response.header("last-modified"):
        return _fault(Item.MODIFIED, response, "no Last-Modified", "pass the origin's Last-Modified through")
    if again is not None and again.status == 304:
        return CheckResult(Item.MODIFIED, response.url)
    saw = f"status {again.status if again else 0} to If-Modified-Since"
    change = (
        "let the CDN answer If-Modified-Since itself, or pass it to the origin; nginx drops it for what it may not "
        "keep: shared_cache='s-maxage=60' on the mount lets it keep plain files for a minute"
    )
    return _fault(Item.MODIFIED, response, saw, change)


def compression(response: CdnResponse, entry: Entry, accepted: str) -> Iterator[CheckResult]:
    """Whether text is sent compressed to a client that accepts the coding *accepted*, decodes to the file, and has Vary.

    Every client accepts gzip, so gzip is required. Another coding is not; where it is sent, its bytes have to
    be the file's. An uncompressed response to another coding gives no result.
    """
    coding = response.header("content-encoding").lower()
    if not coding:
        if accepted == EXPECTED_CODING:
            change = "switch on gzip or brotli for text types at the CDN, or publish with --encoding"
            yield _fault(Item.COMPRESSION, response, f"{response.size} bytes uncompressed", change)
        return
    vary = {each.strip().lower() for each in response.header("vary").split(",")}
    always = all(each.coding for each in entry.stored) and bool(entry.stored)
    if not vary & {"accept-encoding", "*"} and not always:
        change = "send Vary: Accept-Encoding, so that no cache gives these bytes to a client that cannot read them"
        yield _fault(Item.COMPRESSION, response, f"{coding} without Vary: Accept-Encoding", change)
    elif coding != accepted and not always:
        change = "make Accept-Encoding part of the CDN's cache key: these bytes were kept for another client"
        yield _fault(Item.COMPRESSION, response, f"{coding} for a client that accepts only {accepted}", change)
    elif _decodes_to_another(response, coding, entry):
        change = "purge this URL, and switch off what rewrites files: the compressed bytes are of another version"
        yield _fault(Item.COMPRESSION, response, f"{coding} bytes of another file", change)
    else:
        yield CheckResult(Item.COMPRESSION, response.url)


def ranges(response: CdnResponse, start: int, stop: int, whole: CdnResponse) -> CheckResult:
    """Whether a Range request for ``start`` to ``stop`` (half-open) of *whole* got these bytes."""
    wanted = f"bytes {start}-{stop - 1}/{whole.size}"
    change = "let the CDN answer Range requests with 206 (slice or range caching), and the origin too"
    if response.status != 206:
        return _fault(Item.RANGES, response, f"status {response.status} to a Range", change)
    if response.header("content-range") != wanted:
        return _fault(
            Item.RANGES, response, f"Content-Range: {response.header('content-range')} instead of {wanted}", change
        )
    if whole.body is not None and response.body != whole.body[start:stop]:
        return _fault(Item.RANGES, response, "other bytes than the whole file has there", change)
    return CheckResult(Item.RANGES, response.url)


def missing(first: CdnResponse, second: CdnResponse) -> CheckResult:
    """Whether a missing name is a 404 that no cache stores."""
    if first.status == 403:
        change = (
            "grant s3:ListBucket to whoever reads the bucket: without it a missing object is a 403, which CDNs keep"
        )
        return _fault(Item.MISSING, first, "status 403 for a missing name", change)
    if first.status != 404:
        change = "answer 404 for a missing asset: no error page with 200, no redirect"
        return _fault(Item.MISSING, first, f"status {first.status} for a missing name", change)
    change = "do not cache 404 (no negative TTL), or a page that is deployed a moment early stays broken"
    lifetime = max(_seconds(first.directives.get("max-age")), _seconds(first.directives.get("s-maxage")))
    if lifetime > 0:
        return _fault(Item.MISSING, first, f"a 404 with Cache-Control: {first.header('cache-control')}", change)
    if hit := came_from_cache(second):
        return _fault(Item.MISSING, second, f"the second 404 came from a cache ({hit})", change)
    return CheckResult(Item.MISSING, first.url)


def came_from_cache(response: CdnResponse) -> str:
    """The header that reports a cache hit; empty for none."""
    if _seconds(response.header("age")) > 0:
        return f"Age: {response.header('age')}"
    for name in _STATUS_HEADERS:
        said = response.header(name)
        if _HIT.search(said):
            return f"{name}: {said}"
    # Varnish sends the numbers of two transactions for a hit: this one, and the one that stored the response.
    varnish = response.header("x-varnish").split()
    return f"x-varnish: {' '.join(varnish)}" if len(varnish) == 2 else ""


def worth_compressing(entry: Entry) -> bool:
    """Whether the file should be sent compressed."""
    return media_types.compressible(entry.path) and entry.size >= TEXT_BYTES


def _seconds(text: str | None, absent: int = 0) -> int:
    return int(text) if text is not None and text.isdecimal() else absent


def _decodes_to_another(response: CdnResponse, coding: str, entry: Entry) -> bool:
    """Whether the body decodes to other bytes than the published file; false where it cannot be decoded here."""
    if response.body is None or coding not in CODINGS:
        return False
    plain_bytes = decompress(response.body, coding, entry.size)  # bounded, so that a decompression bomb costs nothing
    return plain_bytes is None or hashlib.sha256(plain_bytes).hexdigest() != entry.sha256


def _fault(item: Item, response: CdnResponse, saw: str, change: str) -> CheckResult:
    return CheckResult(item, response.url, saw, change)
