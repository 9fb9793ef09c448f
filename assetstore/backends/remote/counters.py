"""Counters of one mount's remote reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from assetstore.backends.base import Outcome
from assetstore.util.background import Contact


@dataclass(frozen=True, slots=True)
class Counts:
    """A snapshot of the counters."""

    #: Answered from a cache.
    hits: int = 0
    #: Answered by a request to the storage.
    misses: int = 0
    #: Answered by a request that another client had begun.
    coalesced: int = 0
    #: Answered with a stale version, since the storage failed.
    stale: int = 0
    #: Requests to the storage, every attempt counted.
    requests: int = 0
    #: Seconds spent on those requests until their first bytes.
    seconds: float = 0.0
    #: Errors of the storage by class name; a missing file is none.
    errors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Counters:
    """The counters of one mount, shared by its readers."""

    def __init__(self) -> None:
        self._outcomes: dict[str, int] = {}
        #: Outcome of the last request that says whether the storage works; ``None`` before the first.
        self.contact: Contact | None = None
        self.requests = 0
        self.seconds = 0.0
        self._errors: dict[str, int] = {}

    def count(self, outcome: Outcome) -> None:
        """Count an answer."""
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1

    def error(self, error: BaseException) -> None:
        """Count an error under the name of its class."""
        name = type(error).__name__
        self._errors[name] = self._errors.get(name, 0) + 1

    def counts(self) -> Counts:
        """A snapshot."""
        return Counts(
            hits=self._outcomes.get("hit", 0),
            misses=self._outcomes.get("miss", 0),
            coalesced=self._outcomes.get("collapsed", 0),
            stale=self._outcomes.get("stale", 0),
            requests=self.requests,
            seconds=self.seconds,
            errors=MappingProxyType(dict(self._errors)),
        )
