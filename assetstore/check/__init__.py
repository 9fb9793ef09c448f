"""Check that a release arrives through a CDN as it was published, and wait until it does."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import assetstore.check.probes as probes
from assetstore.assets import paths
from assetstore.backends.base import WritableBackend
from assetstore.check.client import CdnClient
from assetstore.check.probes import Expect
from assetstore.check.rules import CheckResult, Report
from assetstore.errors import BackendUnavailable, PublishError, SettingsError
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Entry, Manifest
from assetstore.publish.layout import Layout
from assetstore.publish.pool import WorkerPool
from assetstore.publish.scan import scan

#: Seconds between two requests for one name, at first and at most.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0
#: More files than this are not compared: their names are in the manifest's order, so any of them may be among them.
MAX_FILES = 200
#: Files that are requested at once.
WORKERS = 4
#: The default of *expect*: a public bucket behind the CDN.
A_BUCKET = Expect()


def check(
    base: str,
    entries: Mapping[str, Entry],
    *,
    release: str = "",
    expect: Expect = A_BUCKET,
    sample: int | None = None,
    place: WritableBackend | None = None,
    workers: int = WORKERS,
) -> Report:
    """Request the files of a release through the CDN, and judge every response.

    Args:
        base: the URL below which the files are.
        entries: the files, by logical path.
        release: its id, for the report.
        expect: what depends on the origin.
        sample: how many files are requested; all for ``None``.
        place: where a file is written and deleted again, to find out whether a missing name is stored in a cache that
            does not report it.
        workers: files that are requested at once.

    Raises:
        SettingsError: *base* is no full URL.
        PublishError: there is nothing to check.
        BackendUnavailable: the host does not answer at all.
    """
    if urlsplit(base).scheme not in {"http", "https"} or not urlsplit(base).netloc:
        raise SettingsError(f"{base!r} is no URL that can be requested; a good one is 'https://cdn.example.com/'")
    chosen = choose(list(entries.values()), sample)
    if not chosen:
        raise PublishError("the release has no files; there is nothing to check")
    client = CdnClient(base)
    try:
        first = client.get(paths.to_url(chosen[0].path))
        if first.status == 0:
            raise BackendUnavailable(f"{client.base} does not answer: {first.error}")
        findings = list(_findings(client, chosen, expect, place, workers))
    finally:
        client.close()
    return Report(client.base, release, len(chosen), client.requests, findings)


def _findings(
    client: CdnClient, chosen: Sequence[Entry], expect: Expect, place: WritableBackend | None, workers: int
) -> Sequence[CheckResult]:
    findings: list[CheckResult] = []
    for _, found in WorkerPool(workers).run(chosen, lambda entry: probes.file(client, entry, expect)):
        findings += found
    findings += probes.configuration(client, chosen[0])
    if place is not None:
        findings.append(probes.appearing(client, chosen[0], place))
    return findings


def choose(entries: Sequence[Entry], sample: int | None) -> list[Entry]:
    """*sample* of *entries*: one of each extension first, as many as fit, then any."""
    if sample is None or sample >= len(entries):
        return list(entries)
    shuffled = random.sample(list(entries), len(entries))
    of_each = {paths.extension(each.path): each for each in shuffled}
    rest = [each for each in shuffled if each is not of_each[paths.extension(each.path)]]
    return [*of_each.values(), *rest][: max(0, sample)]


def live_entries(mount: Mount) -> Mapping[str, Entry]:
    """What *mount* serves right now, where nothing was published.

    Raises:
        PublishError: it has no files.
        BackendError: its storage failed.
    """
    return {entry.path: entry for entry in scan(mount, Layout.of(mount), None, WorkerPool())}


def wait_until_live(base: str, manifest: Manifest, names: Sequence[str], seconds: float) -> list[str]:
    """Request *names* of *manifest* below the URL *base* until each has the release's bytes.

    Args:
        base: the CDN's URL prefix.
        names: plain names to wait for; where there are none, every file of the release is one.
        seconds: how long to wait.

    Returns:
        The URLs that had other bytes, or none, when the time was over; empty when the release is what is served.
    """
    entries = [manifest.entries[name] for name in names if name in manifest.entries]
    entries = entries[:MAX_FILES] or list(manifest.entries.values())[:MAX_FILES]
    until = time.monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    client = CdnClient(base)
    try:
        pending = [(entry, path) for entry in entries for path in {entry.fingerprinted_path, entry.path}]
        while True:
            pending = [(entry, path) for entry, path in pending if not _has_bytes(client, path, entry)]
            if not pending or time.monotonic() >= until:
                return sorted(client.base + paths.to_url(path) for _, path in pending)
            time.sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    finally:
        client.close()


def _has_bytes(client: CdnClient, path: str, entry: Entry) -> bool:
    response = client.get(paths.to_url(path), Accept_Encoding="identity")
    if response.status != 200:
        return False
    stored: Mapping[str | None, str] = {each.coding: each.sha256 for each in entry.stored}
    return response.sha256 in {entry.sha256, stored.get(response.header("content-encoding").lower() or None)}
