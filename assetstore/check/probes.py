"""The requests that are made for each file, and in which order."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

from assetstore.assets import paths
from assetstore.assets.compression import CODINGS
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions
from assetstore.check import rules
from assetstore.check.client import CdnClient, CdnResponse
from assetstore.check.rules import CheckResult, Item
from assetstore.names import fingerprint as fingerprints
from assetstore.names.manifest import Entry

#: Age is in whole seconds (RFC 9111 section 5.1), so the second request for a missing name is sent after one.
SECOND_LOOK_SECONDS = 1.2
#: How long a new file may take to be seen by the origin itself.
APPEAR_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Expect:
    """What depends on the origin behind the CDN."""

    #: Whether other origins may use the files.
    public: bool = True
    #: Whether the origin is the application, which sends headers that a bucket cannot.
    application: bool = False


def file(client: CdnClient, entry: Entry, expect: Expect) -> list[CheckResult]:
    """All results for one file, under both its names."""
    found = list(plain(client, entry, expect))
    if entry.fingerprint is not None:
        found += fingerprinted(client, entry, expect)
    return found


def fingerprinted(client: CdnClient, entry: Entry, expect: Expect) -> Iterator[CheckResult]:
    """A file under its fingerprinted name."""
    url_path = paths.to_url(entry.fingerprinted_path)
    if rules.worth_compressing(entry):
        # First, so that a cache that ignores Vary gives these bytes to the identity request below.
        for coding in CODINGS:
            encoded = client.get(url_path, Accept_Encoding=coding, Origin=rules.ORIGIN)
            if encoded.status == 200:
                yield from rules.compression(encoded, entry, coding)
    whole = client.get(url_path, Accept_Encoding="identity", Origin=rules.ORIGIN)
    yield rules.status(whole)
    if whole.status != 200:
        return
    yield from _body(whole, entry)
    yield rules.immutable(whole)
    yield from _cross_origin(whole, entry, expect)
    etag = whole.header("etag")
    yield rules.etag(whole, client.get(url_path, Accept_Encoding="identity", If_None_Match=etag) if etag else None)
    if whole.size > 0:
        start, stop = whole.size // 2, min(whole.size, whole.size // 2 + 100)
        part = client.get(url_path, Accept_Encoding="identity", Range=f"bytes={start}-{stop - 1}")
        yield rules.ranges(part, start, stop, whole)


def plain(client: CdnClient, entry: Entry, expect: Expect) -> Iterator[CheckResult]:
    """A file under its plain name."""
    url_path = paths.to_url(entry.path)
    whole = client.get(url_path, Accept_Encoding="identity", Origin=rules.ORIGIN)
    yield rules.status(whole)
    if whole.status != 200:
        return
    yield from _body(whole, entry)
    yield rules.plain(whole)
    yield from _cross_origin(whole, entry, expect)
    since = whole.header("last-modified")
    again = client.get(url_path, Accept_Encoding="identity", If_Modified_Since=since) if since else None
    yield rules.modified(whole, again)


def _body(whole: CdnResponse, entry: Entry) -> Iterator[CheckResult]:
    yield rules.content(whole, entry)
    yield rules.content_type(whole, entry)


def _cross_origin(whole: CdnResponse, entry: Entry, expect: Expect) -> Iterator[CheckResult]:
    if expect.public:
        yield rules.cors(whole, entry)
    if expect.public and expect.application:
        yield rules.isolation(whole)


def configuration(client: CdnClient, like: Entry) -> Iterator[CheckResult]:
    """Results that are the same for every file, from one of them."""
    yield missing(client, like)
    url_path = paths.to_url(like.fingerprinted_path)
    first = client.get(url_path, Accept_Encoding="identity")
    if first.status != 200:
        return
    again = client.get(url_path, Accept_Encoding="identity")
    if like.fingerprint is not None and (found := rules.kept(again)) is not None:
        yield found
    # A random query makes a URL that no cache has stored.
    unseen = f"{url_path}?assetstore-check={secrets.token_hex(8)}"
    conditional = client.get(unseen, Accept_Encoding="identity", If_None_Match=first.header("etag") or "*")
    yield rules.mixed(conditional, client.get(unseen, Accept_Encoding="identity"))


def missing(client: CdnClient, like: Entry) -> CheckResult:
    """A missing name of the form that fingerprinted names have."""
    digits = len(like.fingerprint or "") or fingerprints.LENGTH
    url_path = paths.to_url(fingerprints.add(_unheard_of(like), secrets.token_hex(32)[:digits]))
    first = client.get(url_path)
    time.sleep(SECOND_LOOK_SECONDS)
    return rules.missing(first, client.get(url_path))


def appearing(client: CdnClient, like: Entry, place: WritableBackend) -> CheckResult:
    """Request a missing name, write it to *place* and request it again: a cache that stored the 404 is found out.

    The file is deleted afterwards. No response header reports such a cache.
    """
    path = _unheard_of(like)
    first = client.get(paths.to_url(path))
    place.write(path, BytesFile.of(path, b"assetstore check\n"), WriteOptions(like.content_type, "no-store"))
    try:
        until = time.monotonic() + APPEAR_SECONDS
        while (then := client.get(paths.to_url(path))).status != 200 and time.monotonic() < until:
            time.sleep(0.25)
    finally:
        place.delete(path)
    return _appeared(first, then)


def _appeared(first: CdnResponse, then: CdnResponse) -> CheckResult:
    if first.status != 404 or then.status == 200:
        return CheckResult(Item.MISSING, first.url)
    return CheckResult(
        Item.MISSING,
        first.url,
        f"still status {then.status} {APPEAR_SECONDS:.0f} s after the file was there",
        "do not cache 404 (no negative TTL, and let the origin's no-store count), and check that the CDN looks here",
    )


def _unheard_of(like: Entry) -> str:
    return f"assetstore-check-{secrets.token_hex(8)}{paths.extension(like.path)}"
