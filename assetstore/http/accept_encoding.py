"""Which content coding a client may be sent (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

# No real client lists as many codings; what follows is not read.
_MAX_CODINGS = 32
# Only short headers are remembered, so that what is remembered stays small.
_MAX_REMEMBERED = 256

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ELEMENT = re.compile(rf"({_TOKEN})(?:[ \t]*;[ \t]*[qQ]=(0(?:\.\d{{0,3}})?|1(?:\.0{{0,3}})?))?", re.ASCII)
_ALIASES = {"x-gzip": "gzip"}


@dataclass(frozen=True, slots=True)
class AcceptEncoding:
    """How much a client wants each content coding: 0 is never, 1 is most. Names in lower case."""

    qualities: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_header(cls, value: str | None) -> AcceptEncoding:
        """Read an Accept-Encoding header; an element that cannot be read counts for nothing.

        Without the header anything would be allowed; the plain bytes are what everybody can read.
        """
        if not value:
            return _NOTHING
        return _remembered(value) if len(value) <= _MAX_REMEMBERED else _read(value)

    def to_header(self) -> str:
        """As the header has it."""
        return ", ".join(name if q == 1 else f"{name};q={q:g}" for name, q in self.qualities.items())

    def quality(self, coding: str) -> float:
        """How much *coding* is wanted: by its name, else by ``*``, else not at all."""
        return self.qualities.get(coding, self.qualities.get("*", 0.0))

    def choose(self, available: Sequence[str]) -> str | None:
        """The most wanted of the *available* codings (on a draw the first); ``None`` for identity.

        Identity wins only where the client ranks it higher by name; when all is refused, identity
        is sent as well, as the section advises.
        """
        best = max(available, key=self.quality, default=None)
        if best is None or self.quality(best) <= 0:
            return None
        return None if self.qualities.get("identity", 0.0) > self.quality(best) else best


_NOTHING = AcceptEncoding()


def _read(value: str) -> AcceptEncoding:
    qualities: dict[str, float] = {}
    for element in value.split(",", _MAX_CODINGS)[:_MAX_CODINGS]:
        match = _ELEMENT.fullmatch(element.strip(" \t"))
        if match is not None:
            name = match[1].lower()
            qualities.setdefault(_ALIASES.get(name, name), float(match[2] or 1))
    return AcceptEncoding(qualities)


_remembered = lru_cache(maxsize=256)(_read)
