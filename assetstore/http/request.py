"""A request for an asset: its method and the few headers that matter; Accept-Encoding (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from assetstore.http.conditional import Preconditions, Validators
from assetstore.http.ranges import RangeSet

# No real client lists as many codings; what follows is not read.
_MAX_CODINGS = 32
# Only short headers are cached, so that the cache stays small.
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


#: Headers as an ASGI server gives and takes them: lower-case name, value.
RawHeaders = Iterable[tuple[bytes, bytes]]

#: The request headers that can change the response, by their raw names.
READ = {
    name.encode(): name
    for name in (
        "accept-encoding",
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
    )
}
_PRECONDITIONS = {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
_UNCONDITIONAL = Preconditions()


@dataclass(frozen=True, slots=True)
class AssetRequest:
    """A GET or HEAD for one asset."""

    head: bool = False
    preconditions: Preconditions = _UNCONDITIONAL
    #: The wanted ranges; ``None`` for the whole, and always for HEAD (RFC 9110 section 14.2).
    ranges: RangeSet | None = None
    accepted: AcceptEncoding = AcceptEncoding()
    #: Whether it bears a Range header at all, even one that is to be ignored.
    has_range: bool = False
    #: Whether there is a precondition, so that the response may turn out to need no bytes of the file.
    conditional: bool = False

    @classmethod
    def from_headers(cls, method: str, headers: RawHeaders) -> AssetRequest:
        """Read the headers of a GET or HEAD.

        A header that comes twice is joined (section 5.3), which makes one that is no list unreadable,
        and so ignored.
        """
        found: dict[str, str] = {}
        for raw, value in headers:
            name = READ.get(raw)
            if name is not None:
                text = value.decode("latin-1")
                found[name] = f"{found[name]}, {text}" if name in found else text
        head = method == "HEAD"
        if not found:
            return _PLAIN_HEAD if head else _PLAIN_GET
        ranges = None if head or "range" not in found else RangeSet.from_header(found["range"])
        accepted = AcceptEncoding.from_header(found.get("accept-encoding"))
        conditional = not _PRECONDITIONS.isdisjoint(found)
        preconditions = Preconditions.from_headers(found)
        return cls(head, preconditions, ranges, accepted, "range" in found, conditional)

    @property
    def timeless(self) -> bool:
        """Whether the same request gets the same response at any other time, while the file stays the same.

        A date that lies ahead is ignored until it is past (section 13.1.3), unless something outranks it.
        """
        given = self.preconditions
        outranked = given.if_modified_since is None or given.if_none_match is not None
        return outranked and given.if_unmodified_since is None and given.if_range is None

    def wants_part(self, identity: Validators, now: float) -> bool:
        """Whether a part of the uncoded bytes is wanted, and If-Range allows it."""
        return self.ranges is not None and self.preconditions.allow_range(identity, now)


_PLAIN_GET = AssetRequest()
_PLAIN_HEAD = AssetRequest(head=True)
