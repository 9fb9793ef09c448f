"""Names of a remote mount that is not listed: each is looked up in the background when it is first used.

For storage that has no listing, as HTTP has none, or too large a one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import SystemRandom

from assetstore.backends.base import Backend
from assetstore.errors import AssetNotFound, BackendError
from assetstore.names.base import Asset, Stored
from assetstore.names.fingerprint import Fingerprint, fingerprint_of
from assetstore.util.background import Contact, DeferredCache

#: How many names are kept.
MAX_NAMES = 20_000
#: How many names may wait to be looked up.
MAX_WAITING = 1_000
#: How long a name counts as missing, in seconds.
MISSING_SECONDS = 5.0
#: The pause after a request that failed, in seconds.
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Found:
    #: ``None`` for a name that is missing.
    asset: Asset | None


class LazyResolver:
    """Looks names up as they are used: until then each has its plain one."""

    def __init__(
        self,
        backend: Backend,
        fingerprint: Fingerprint | None,
        *,
        refresh_seconds: float = 60.0,
        max_names: int = MAX_NAMES,
    ) -> None:
        self._backend = backend
        self._fingerprint = fingerprint
        self._refresh_seconds = refresh_seconds
        self._found: DeferredCache[str, _Found] = DeferredCache(
            self._look_up,
            seconds=self._fresh_seconds,
            retry_seconds=RETRY_SECONDS,
            max_count=max_names,
            max_waiting=MAX_WAITING,
            what=f"look up in {backend.label}",
            name="assetstore-names",
        )

    @property
    def contact(self) -> Contact | None:
        return None

    @property
    def is_empty(self) -> bool:
        return False

    def find(self, path: str) -> Asset | None:
        """What is known of *path*, however old; what is not known, or is old, is looked up soon."""
        found = self._found.soon(path)
        return None if found is None else found.asset

    def all(self) -> Iterator[Asset]:
        yield from (found.asset for found in self._found.values() if found.asset is not None)

    def stored(self, path: str) -> Stored | None:
        return None

    def knows(self, path: str) -> bool:
        """Whether :meth:`find` knows: before that, ``None`` does not mean missing."""
        return self._found.known(path) is not None

    def wait(self, seconds: float, path: str | None = None) -> bool:
        """Look *path* up now, if it is not known; without one there is nothing to wait for. Not for the event loop."""
        if path is None or self.knows(path):
            return True
        with suppress(BackendError):
            self.look_up(path)
        return self.knows(path)

    def start(self) -> None:
        """There is nothing to look up before a name is used."""

    def refresh(self) -> None:
        """Look every known name up again at its next use; the old names stand until then."""
        self._found.expire()

    def look_up(self, path: str) -> Asset | None:
        """Request *path* from the backend now, and keep the outcome. Crosses the network.

        Raises:
            BackendError: storage failed; what was known stays known.
        """
        found = self._found.compute(path)
        return None if found is None else found.asset

    def close(self) -> None:
        """End the threads that look up and hash; known names are looked up again at their next use."""
        self._found.close()
        self._found.expire()
        if self._fingerprint is not None:
            self._fingerprint.close()

    def _look_up(self, path: str) -> _Found:
        try:
            stat = self._backend.stat(path)
            return _Found(Asset(path, fingerprint_of(stat, self._fingerprint, self._backend, soon=False), stat))
        except AssetNotFound:
            return _Found(None)

    def _fresh_seconds(self, found: _Found) -> float:
        seconds = self._refresh_seconds * SystemRandom().uniform(0.9, 1.1)
        return seconds if found.asset is not None else min(MISSING_SECONDS, seconds)
