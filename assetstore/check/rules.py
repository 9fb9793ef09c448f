"""This module owns what is right and wrong about an answer (guide section 12.3); pure functions of values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from assetstore.assets import media_types
from assetstore.assets.cache_policy import YEAR_SECONDS
from assetstore.assets.compression import CODINGS, decompress
from assetstore.check.client import Answer
from assetstore.names.manifest import Entry


class Item(Enum):
    """What is looked at; the value is how people are told of it."""

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
class Finding:
    """One thing that was looked at."""

    item: Item
    url: str
    #: What was seen, where it is a fault; empty where all is well.
    saw: str = ""
    #: What to change, one sentence; empty where all is well.
    change: str = ""

    @property
    def fault(self) -> bool:
        """Whether something has to be changed."""
        return bool(self.saw)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one check found."""

    base: str
    release: str
    files: int
    requests: int
    findings: Sequence[Finding]

    @property
    def faults(self) -> list[Finding]:
        """What has to be changed."""
        return [each for each in self.findings if each.fault]

    def counts(self, item: Item) -> tuple[int, int]:
        """How often *item* was looked at, and how often it was a fault."""
        looked = [each for each in self.findings if each.item is item]
        return len(looked), sum(each.fault for each in looked)


#: Text from this size on should come compressed.
TEXT_BYTES = 2048

#: The coding in which text has to come, as every client reads it.
EXPECTED_CODING = "gzip"

#: The origin that asks, so that CORS has to be answered.
ORIGIN = "https://assetstore-check.invalid"

#: The headers by which caches tell what they did (RFC 9211, and what came before it).
_STATUS_HEADERS = ("cache-status", "x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache", "cdn-cache")
_HIT = re.compile(r"(?i)(?<![a-z])hit(?![a-z-])")
_FONTS = ("font/", "application/vnd.ms-fontobject")


def status(answer: Answer, wanted: int = 200) -> Finding:
    """Whether it answers with the status that is *wanted*."""
    if answer.status == wanted:
        return Finding(Item.STATUS, answer.url)
    if answer.status == 0:
        return _fault(
            Item.STATUS, answer, f"no answer: {answer.error}", "make the host reachable, its name and certificate right"
        )
    changes = {
        403: "let the CDN read the bucket (s3:GetObject on every object, s3:ListBucket so that a missing one is a 404)",
        404: "publish this release to where the CDN looks, or correct the path that the CDN asks the origin for",
    }
    if answer.status in {301, 302, 307, 308}:
        change = f"answer here instead of redirecting to {answer.header('location')!r}, or set ASSETS_URL to that place"
    else:
        change = changes.get(answer.status, "look into the CDN's log for why its origin gave no file")
    return _fault(Item.STATUS, answer, f"status {answer.status} instead of {wanted}", change)


def content(answer: Answer, entry: Entry) -> Finding:
    """Whether the bytes are the published ones, for a client that asked for no coding."""
    coding = answer.header("content-encoding").lower()
    wanted = {each.coding: each.sha256 for each in entry.stored if each.coding is not None}
    stored_so = coding and wanted.get(coding) and all(each.coding for each in entry.stored)
    if coding and not stored_so:
        return _fault(
            Item.BYTES,
            answer,
            f"{coding} for a client that did not ask for it",
            "make Accept-Encoding part of the CDN's cache key, and let it keep the Vary header",
        )
    if answer.sha256 == (wanted[coding] if stored_so else entry.sha256):
        return Finding(Item.BYTES, answer.url)
    saw = f"other bytes: {answer.size} of them, {entry.size} published"
    return _fault(Item.BYTES, answer, saw, "switch off what rewrites files (minify, polish), and purge this URL once")


def immutable(answer: Answer) -> Finding:
    """Whether Cache-Control of a fingerprinted URL came through."""
    said = answer.header("cache-control") or "no Cache-Control"
    directives = answer.directives
    if "immutable" in directives and _seconds(directives.get("max-age")) >= YEAR_SECONDS:
        return Finding(Item.IMMUTABLE, answer.url)
    change = f"pass the origin's Cache-Control through unchanged: it must reach browsers as max-age={YEAR_SECONDS}, immutable"
    return _fault(Item.IMMUTABLE, answer, f"{said}", change)


def plain(answer: Answer) -> Finding:
    """Whether browsers are told to revalidate a file whose name never changes."""
    directives = answer.directives
    stale = "immutable" in directives or ("no-cache" not in directives and _seconds(directives.get("max-age"), 1) > 0)
    if not stale:
        return Finding(Item.PLAIN, answer.url)
    said = answer.header("cache-control") or "no Cache-Control"
    change = (
        "switch off the CDN's browser-TTL override: plain names must reach browsers with max-age=0, must-revalidate"
    )
    return _fault(Item.PLAIN, answer, said, change)


def content_type(answer: Answer, entry: Entry) -> Finding:
    """Whether the type came through; the charset's case does not matter."""
    said = answer.header("content-type")
    if said.replace(" ", "").lower() == entry.content_type.replace(" ", "").lower():
        return Finding(Item.TYPE, answer.url)
    change = f"let the origin's Content-Type through ({entry.content_type}), or publish again with --force"
    return _fault(Item.TYPE, answer, said or "no Content-Type", change)


def cors(answer: Answer, entry: Entry) -> Finding:
    """Whether another origin may use the file; browsers refuse fonts and modules without it."""
    said = answer.header("access-control-allow-origin")
    if said in {"*", ORIGIN}:
        return Finding(Item.CORS, answer.url)
    font = entry.content_type.startswith(_FONTS)
    what = "browsers refuse this font" if font else "cross-origin modules and integrity fail"
    change = (
        f"pass Access-Control-Allow-Origin through (or give the bucket a CORS rule for any origin): without it {what}"
    )
    return _fault(Item.CORS, answer, f"Access-Control-Allow-Origin: {said}" if said else "no CORS header", change)


def isolation(answer: Answer) -> Finding:
    """Whether the headers came through by which a browser neither guesses types nor refuses to embed."""
    wanted = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "cross-origin"}
    lost = [f"{name}: {value}" for name, value in wanted.items() if answer.header(name).lower() != value]
    if not lost:
        return Finding(Item.ISOLATION, answer.url)
    change = f"pass {' and '.join(lost)} through, as the origin sends it"
    return _fault(Item.ISOLATION, answer, f"lost {', '.join(lost)}", change)


def etag(answer: Answer, again: Answer | None) -> Finding:
    """Whether there is an ETag, and asking *again* with it gives 304."""
    if not answer.header("etag"):
        return _fault(Item.ETAG, answer, "no ETag", "pass the origin's ETag through")
    if again is not None and again.status == 304:
        return Finding(Item.ETAG, answer.url)
    saw = f"status {again.status if again else 0} to If-None-Match"
    return _fault(Item.ETAG, answer, saw, "let the CDN answer If-None-Match itself, or pass it to the origin")


def mixed(conditional: Answer, then: Answer) -> Finding:
    """Whether a client that asks without conditions gets the file, although one with a condition came first."""
    if then.status == 200 or conditional.status not in {200, 304}:
        return Finding(Item.MIXED, then.url)
    change = (
        "do not pass clients' If-None-Match and If-Modified-Since to the origin from a cached location, nor keep a 304"
    )
    return _fault(Item.MIXED, then, f"status {then.status} after a conditional request of somebody else", change)


def kept(answer: Answer) -> Finding | None:
    """Whether an answer to a repeated request came from the cache; ``None`` where the cache does not say."""
    if came_from_cache(answer):
        return Finding(Item.KEPT, answer.url)
    said = [f"{name}: {answer.header(name)}" for name in (*_STATUS_HEADERS, "age") if answer.header(name)]
    if not said:
        return None
    change = "let the CDN keep fingerprinted files for as long as their Cache-Control says"
    return _fault(Item.KEPT, answer, f"asked twice, and the cache did not have it ({', '.join(said)})", change)


def modified(answer: Answer, again: Answer | None) -> Finding:
    """Whether a plain file has Last-Modified, and asking *again* with it gives 304."""
    if not answer.header("last-modified"):
        return _fault(Item.MODIFIED, answer, "no Last-Modified", "pass the origin's Last-Modified through")
    if again is not None and again.status == 304:
        return Finding(Item.MODIFIED, answer.url)
    saw = f"status {again.status if again else 0} to If-Modified-Since"
    change = (
        "let the CDN answer If-Modified-Since itself, or pass it to the origin; nginx drops it for what it may not "
        "keep: shared_cache='s-maxage=60' on the mount lets it keep plain files for a minute"
    )
    return _fault(Item.MODIFIED, answer, saw, change)


def compression(answer: Answer, entry: Entry, asked: str) -> Iterator[Finding]:
    """Whether text comes compressed to a client that accepts the coding *asked* for, still the same, marked as varying.

    Gzip is what every client reads, so there it has to come. A CDN need not know another coding; but
    where it sends one, its bytes have to be the file's. Nothing is said where the plain bytes came instead.
    """
    coding = answer.header("content-encoding").lower()
    if not coding:
        if asked == EXPECTED_CODING:
            change = "switch on gzip or brotli for text types at the CDN, or publish with --encoding"
            yield _fault(Item.COMPRESSION, answer, f"{answer.size} bytes uncompressed", change)
        return
    vary = {each.strip().lower() for each in answer.header("vary").split(",")}
    always = all(each.coding for each in entry.stored) and bool(entry.stored)
    if not vary & {"accept-encoding", "*"} and not always:
        change = "send Vary: Accept-Encoding, so that no cache gives these bytes to a client that cannot read them"
        yield _fault(Item.COMPRESSION, answer, f"{coding} without Vary: Accept-Encoding", change)
    elif coding != asked and not always:
        change = "make Accept-Encoding part of the CDN's cache key: these bytes were kept for another client"
        yield _fault(Item.COMPRESSION, answer, f"{coding} for a client that accepts only {asked}", change)
    elif _decodes_to_another(answer, coding, entry):
        change = "purge this URL, and switch off what rewrites files: the compressed bytes are of another version"
        yield _fault(Item.COMPRESSION, answer, f"{coding} bytes of another file", change)
    else:
        yield Finding(Item.COMPRESSION, answer.url)


def ranges(answer: Answer, start: int, stop: int, whole: Answer) -> Finding:
    """Whether ``start`` to ``stop`` (half-open) of *whole* came as asked."""
    wanted = f"bytes {start}-{stop - 1}/{whole.size}"
    change = "let the CDN answer Range requests with 206 (slice or range caching), and the origin too"
    if answer.status != 206:
        return _fault(Item.RANGES, answer, f"status {answer.status} to a Range", change)
    if answer.header("content-range") != wanted:
        return _fault(
            Item.RANGES, answer, f"Content-Range: {answer.header('content-range')} instead of {wanted}", change
        )
    if whole.body is not None and answer.body != whole.body[start:stop]:
        return _fault(Item.RANGES, answer, "other bytes than the whole file has there", change)
    return Finding(Item.RANGES, answer.url)


def missing(first: Answer, second: Answer) -> Finding:
    """Whether a name that does not exist is a 404 that no cache keeps."""
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
    return Finding(Item.MISSING, first.url)


def came_from_cache(answer: Answer) -> str:
    """The header by which a cache says that it had the answer; empty where none does."""
    if _seconds(answer.header("age")) > 0:
        return f"Age: {answer.header('age')}"
    for name in _STATUS_HEADERS:
        said = answer.header(name)
        if _HIT.search(said):
            return f"{name}: {said}"
    # Varnish names two transactions where the second answers from the first.
    varnish = answer.header("x-varnish").split()
    return f"x-varnish: {' '.join(varnish)}" if len(varnish) == 2 else ""


def worth_compressing(entry: Entry) -> bool:
    """Whether a client should get the file compressed."""
    return media_types.compressible(entry.path) and entry.size >= TEXT_BYTES


def _seconds(text: str | None, absent: int = 0) -> int:
    return int(text) if text is not None and text.isdecimal() else absent


def _decodes_to_another(answer: Answer, coding: str, entry: Entry) -> bool:
    """Whether the body is not the published file in *coding*; never so where it cannot be read here."""
    if answer.body is None or coding not in CODINGS:
        return False
    plain_bytes = decompress(answer.body, coding, entry.size)  # no more than published, whatever a bomb says
    return plain_bytes is None or hashlib.sha256(plain_bytes).hexdigest() != entry.sha256


def _fault(item: Item, answer: Answer, saw: str, change: str) -> Finding:
    return Finding(item, answer.url, saw, change)
