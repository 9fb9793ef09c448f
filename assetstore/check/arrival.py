"""Wait until a CDN serves a release."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from assetstore.assets import paths
from assetstore.check.client import CdnClient
from assetstore.names.manifest import Entry, Manifest

#: Seconds between two requests for one name, at first and at most.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0
#: More files than this are not compared: their names are in the manifest's order, so any of them may be among them.
MAX_FILES = 200


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
