"""This module owns what is counted of one mount's remote reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from assetstore.backends.base import Outcome
from assetstore.util.background import Contact


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted up to a moment."""

    #: Answered from what was held.
    hits: int = 0
    #: The storage had to be asked.
    misses: int = 0
    #: Waited for another request that was already asking.
    coalesced: int = 0
    #: Answered with an old copy, since the storage failed.
    stale: int = 0
    #: Requests to the storage, each attempt by itself.
    requests: int = 0
    #: Seconds spent on those requests until their first bytes.
    seconds: float = 0.0
    #: Faults of the storage by the name of their error; a missing file is none.
    errors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Counters:
    """Counts up. One mount's readers share one; reading it never blocks them."""

    def __init__(self) -> None:
        self._outcomes: dict[str, int] = {}
        #: ``None`` until the storage was asked for the first time.
        self.contact: Contact | None = None
        self.requests = 0
        self.seconds = 0.0
        self._errors: dict[str, int] = {}

    def count(self, outcome: Outcome) -> None:
        """Count an answer."""
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1

    def error(self, error: BaseException) -> None:
        """Count a fault under the name of its class."""
        name = type(error).__name__
        self._errors[name] = self._errors.get(name, 0) + 1

    def counts(self) -> Counts:
        """What has been counted so far."""
        return Counts(
            hits=self._outcomes.get("hit", 0),
            misses=self._outcomes.get("miss", 0),
            coalesced=self._outcomes.get("collapsed", 0),
            stale=self._outcomes.get("stale", 0),
            requests=self.requests,
            seconds=self.seconds,
            errors=MappingProxyType(dict(self._errors)),
        )
