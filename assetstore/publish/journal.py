"""The journals of publishes: which objects each one announced before it wrote them.

A publish writes its own journal first, under a name that no other uses, and deletes it once its release
is live. From the journal of a killed publish the next one reads with which headers an object was written,
and prune reads which objects belong to no release.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from assetstore.backends.base import SpooledFile, WritableBackend
from assetstore.errors import AssetNotFound
from assetstore.names.manifest import StoredObject, instant, split_lines
from assetstore.publish.lock import HIDDEN, JSON

#: Below it lie the journals.
JOURNALS = HIDDEN + "journals/"


@dataclass(frozen=True, slots=True)
class Journal:
    """One journal as it was found."""

    path: str
    #: When its publish began, by that machine's clock.
    at: datetime
    #: Object name to the SHA-256 and the digest of the headers that were to be written.
    intents: Mapping[str, tuple[str, str]]


def new_name() -> str:
    """A name for the journal of one publish."""
    return f"{JOURNALS}{secrets.token_hex(8)}.jsonl"


def announce(target: WritableBackend, path: str, wanted: Iterable[StoredObject], now: datetime) -> None:
    """Write a journal that announces *wanted*: a line with the time, then one line for each object."""

    def lines() -> Iterator[bytes]:
        yield _line(now.isoformat())
        for each in wanted:
            yield _line([each.path, each.sha256, each.headers])

    with SpooledFile(path, lines()) as source:
        target.write(path, source, JSON)


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read(target: WritableBackend, path: str) -> Journal:
    """The journal at *path*; what is damaged or gone announces nothing.

    Raises:
        BackendError: storage failed.
    """
    at, intents = datetime.now(UTC), dict[str, tuple[str, str]]()
    with suppress(AssetNotFound):
        opened = target.open(path)
        try:
            for number, line in enumerate(split_lines(opened.chunks(0, opened.stat.size))):
                with suppress(ValueError, TypeError):
                    if number == 0:
                        at = instant(json.loads(line))
                        continue
                    name, sha256, headers = json.loads(line)
                    intents[str(name)] = (str(sha256), sys.intern(str(headers)))
        finally:
            opened.close()
    return Journal(path, at, intents)
