"""``index=``: which resolver a remote mount has, how fresh its names are, and how long wiring waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assetstore.backends.base import Backend
from assetstore.errors import SettingsError
from assetstore.names.fingerprint import Fingerprint
from assetstore.names.lazy import LazyResolver
from assetstore.names.listing import IndexResolver


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Where the names of a remote mount come from; for ``assets.static(..., index=Index(...))``."""

    #: ``listing`` lists the whole mount; ``lazy`` looks names up as they are used, for mounts
    #: too large to list. Storage without a listing (HTTP) is always ``lazy``.
    kind: Literal["listing", "lazy"] = "listing"
    #: Within how many seconds a name that another process published is known here.
    refresh_seconds: float = 60.0
    #: How long wiring may wait for the first listing, so that the first page has every name.
    wait_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in {"listing", "lazy"}:
            raise SettingsError(f"index kind {self.kind!r} is not known; give 'listing' or 'lazy'")
        if not self.refresh_seconds > 0 or not self.wait_seconds >= 0:
            raise SettingsError(f"{self!r}: refresh_seconds must be above zero, and wait_seconds zero or more")

    @classmethod
    def parse(cls, choice: object) -> Index:
        """What ``index=`` names: ``"listing"``, ``"lazy"``, or an :class:`Index`.

        Raises:
            SettingsError: it is none of these.
        """
        if isinstance(choice, Index):
            return choice
        if choice == "listing" or choice == "lazy":
            return cls(kind=choice)
        raise SettingsError(f"index={choice!r} is not known; give 'listing', 'lazy' or Index(refresh_seconds=60)")

    def resolver(self, backend: Backend, fingerprint: Fingerprint | None) -> IndexResolver | LazyResolver:
        """The resolver for *backend*, which is remote."""
        stored = getattr(backend, "inner", backend)
        if self.kind == "lazy" or not getattr(stored, "listable", True):
            return LazyResolver(backend, fingerprint, refresh_seconds=self.refresh_seconds)
        return IndexResolver(backend, fingerprint, refresh_seconds=self.refresh_seconds, wait_seconds=self.wait_seconds)
