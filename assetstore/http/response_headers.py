"""Headers of a mount on every response, whatever its status.

The headers are finished when the mount is wired, as the tuples that go to the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from assetstore.assets.cache_policy import HeaderRules, cache_control
from assetstore.backends.base import CacheFacts
from assetstore.mounts.mount import Mount

#: Finished headers: lower-case name, value.
Headers = tuple[tuple[bytes, bytes], ...]

#: The methods an asset has.
ALLOW = "GET, HEAD, OPTIONS"

_DAY_SECONDS = 86_400
_NOTHING: Mapping[str, str] = {}
#: The header of a response that no cache may keep.
NO_STORE = (b"cache-control", b"no-store")

# What a script of another origin may send and read beyond the few that are always allowed
# (Fetch standard, "CORS-safelisted" request and response headers).
_PREFLIGHT = {
    "access-control-allow-methods": ALLOW,
    "access-control-allow-headers": (
        "Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range, Cache-Control, Content-Type"
    ),
    "access-control-max-age": str(_DAY_SECONDS),
}
_PUBLIC = {
    "access-control-expose-headers": (
        "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Last-Modified"
    ),
    "cross-origin-resource-policy": "cross-origin",
}


@lru_cache(maxsize=1024)
def header(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """One header, as one object for all responses that have it: it then stays in the processor's cache."""
    return name, value


def with_vary(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[tuple[bytes, bytes]]:
    """*headers*, whose ``Vary`` also names the request header *name* (RFC 9110 section 12.5.5)."""
    found = [*headers]
    vary = [value for each, value in found if each == b"vary"]
    return [*(pair for pair in found if pair[0] != b"vary"), (b"vary", b", ".join([*vary, name]))]


def raw(headers: Mapping[str, str]) -> Headers:
    """*headers* as a server takes them."""
    return tuple(header(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items())


def _no_seconds(path: str) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class MountHeaders:
    """What a mount says to browsers and caches."""

    public: bool = True
    #: Whether URLs of the mount point at a CDN: then pages of another origin may see its timings.
    cross_origin: bool = False
    #: Further headers by pattern; they may replace the ones below.
    rules: HeaderRules = HeaderRules()
    #: What shared caches may do with plain files.
    shared_cache: str = ""
    #: Whether every origin may read responses of a public mount.
    any_origin: bool = True
    #: How many seconds a plain file may be used without revalidation, by logical path.
    max_age: Callable[[str], int] = _no_seconds
    #: Headers of every response.
    common: Headers = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "common", raw(self._common()))

    def _common(self) -> dict[str, str]:
        return {
            "x-content-type-options": "nosniff",
            **(_PUBLIC if self.public else {}),
            **({"access-control-allow-origin": "*"} if self.public and self.any_origin else {}),
            **({"timing-allow-origin": "*"} if self.public and self.cross_origin else {}),
        }

    def of(self, path: str) -> Headers:
        """Headers of every response about one file: with those that the rules give it."""
        if not self.rules:
            return self.common
        return raw(self._common() | {name.lower(): value for name, value in self.rules.of(path).items()})

    @classmethod
    def of_mount(cls, mount: Mount) -> MountHeaders:
        """The policy of *mount*: pages of a site are always revalidated, whatever its ``max_age``."""
        return cls(
            public=mount.public,
            cross_origin=mount.cross_origin,
            rules=mount.headers,
            shared_cache=mount.shared_cache,
            any_origin=mount.cors is None,
            max_age=mount.max_age_of,
        )

    def cache_control(self, path: str, *, immutable: bool, current: bool) -> str:
        """The cache policy of the file at logical *path*; only a URL that is *current* may be kept unseen."""
        return cache_control(
            immutable=immutable,
            public=self.public,
            shared=self.shared_cache if current and not immutable else "",
            max_age_seconds=self.max_age(path) if current else 0,
        )

    def refusal(self, further: Mapping[str, str] = _NOTHING) -> Headers:
        """The headers of a response that carries no file and must not be kept."""
        return (*self.common, NO_STORE, *raw(further))

    def preflight(self) -> Headers:
        """The headers of a 204 to OPTIONS; a private mount allows other origins nothing."""
        return (*self.common, *raw({"allow": ALLOW, **(_PREFLIGHT if self.public else {})}))


#: How we are named in the list of caches that a response has passed.
NAME = "assetstore"

# "miss" is what a cache says that does not tell why it had to ask (RFC 9211 section 2.2).
_FIXED = {
    "hit": raw({"cache-status": f"{NAME}; hit"}),
    "miss": raw({"cache-status": f"{NAME}; fwd=miss"}),
    "collapsed": raw({"cache-status": f"{NAME}; fwd=miss; collapsed"}),
}


def cache_headers(cache: CacheFacts | None) -> Headers:
    """The headers that say where *cache* has a response from; none where there is no cache.

    A stale response says how old it is (RFC 9111 section 5.1) and why it is given (RFC 9211 section
    2.8). Others carry no Age: towards clients this server is
    the origin, and what it holds is as good as the storage's own.
    """
    if cache is None:
        return ()
    if cache.outcome != "stale":
        return _FIXED[cache.outcome]
    age = max(0, int(cache.age_seconds))
    return raw({"cache-status": f"{NAME}; hit; detail=stale-if-error", "age": str(age)})
