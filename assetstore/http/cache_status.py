"""This module owns what clients are told of the cache before the storage: Cache-Status (RFC 9211) and Age."""

from __future__ import annotations

from assetstore.backends.base import CacheFacts
from assetstore.http.policy import Headers, raw

#: How we are named in the list of caches that a response has passed.
NAME = "assetstore"

# "miss" is what a cache says that does not tell why it had to ask (RFC 9211 section 2.2).
_FIXED = {
    "hit": raw({"cache-status": f"{NAME}; hit"}),
    "miss": raw({"cache-status": f"{NAME}; fwd=miss"}),
    "collapsed": raw({"cache-status": f"{NAME}; fwd=miss; collapsed"}),
}


def told(cache: CacheFacts | None) -> Headers:
    """The headers that say how *cache* came by an answer; none where there is no cache.

    A stale answer says how old it is (RFC 9111 section 5.1) and why it is given (RFC 9211 section
    2.8). Others carry no Age: towards clients this server is
    the origin, and what it holds is as good as the storage's own.
    """
    if cache is None:
        return ()
    if cache.outcome != "stale":
        return _FIXED[cache.outcome]
    age = max(0, int(cache.age_seconds))
    return raw({"cache-status": f"{NAME}; hit; detail=stale-if-error", "age": str(age)})
