"""A request for an asset: its method and the few headers that matter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from assetstore.http.accept_encoding import AcceptEncoding
from assetstore.http.conditional import Preconditions, Validators
from assetstore.http.ranges import RangeSet

#: Headers as an ASGI server gives and takes them: lower-case name, value.
RawHeaders = Iterable[tuple[bytes, bytes]]

#: The headers that can change an answer, by their raw names.
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
        return cls(head, Preconditions.from_headers(found), ranges, accepted, "range" in found)

    @property
    def timeless(self) -> bool:
        """Whether the same request is answered alike at any other time, while the file stays the same.

        A date that lies ahead is ignored until it is past (section 13.1.3), unless something outranks it.
        """
        asked = self.preconditions
        outranked = asked.if_modified_since is None or asked.if_none_match is not None
        return outranked and asked.if_unmodified_since is None and asked.if_range is None

    @property
    def conditional(self) -> bool:
        """Whether the answer may turn out to need no bytes of the file."""
        asked = self.preconditions
        return any((asked.if_match, asked.if_none_match, asked.if_modified_since, asked.if_unmodified_since))

    def wants_part(self, identity: Validators, now: float) -> bool:
        """Whether a part of the uncoded bytes is wanted, and If-Range allows it."""
        return self.ranges is not None and self.preconditions.allow_range(identity, now)


_PLAIN_GET = AssetRequest()
_PLAIN_HEAD = AssetRequest(head=True)
