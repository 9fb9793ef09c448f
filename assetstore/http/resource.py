"""A resource: the representations of one URL's file, the responses made of them, and whether they are still true."""

from __future__ import annotations

import time
from functools import lru_cache

from assetstore.http.conditional import Validators
from assetstore.http.negotiation import preferred
from assetstore.http.representation import Representation
from assetstore.http.request import AssetRequest
from assetstore.http.response import Response, respond
from assetstore.http.revalidation import Revalidation

#: Responses that are kept for one URL; the longest request, and the longest part of a file, that one is kept for,
#: in bytes.
MAX_RESPONSES, MAX_REQUEST_BYTES, MAX_PART_BYTES = 64, 512, 64 * 1024
#: What a resource, a representation and a response take without the bytes of files: measured, then rounded up.
RESOURCE_BYTES, REPRESENTATION_BYTES, RESPONSE_BYTES = 2048, 2304, 640

#: What decides a response: the method, and the request headers that matter.
RequestKey = tuple[str, tuple[tuple[bytes, bytes], ...]]


class Resource:
    """What one URL answers: a file in some of its representations, or that there is none.

    Args:
        revalidation: whether the files that it was made of are still the same.
        codings: those in which the file can be had besides its plain bytes.
        identity: the validators of the plain bytes; ``None`` where there is no file.
        missing: the response to a GET where there is no file.
    """

    __slots__ = (
        "_codings",
        "_identity",
        "_missing",
        "_representations",
        "cost",
        "responses",
        "revalidation",
        "visited",
    )

    def __init__(
        self,
        revalidation: Revalidation,
        *,
        codings: tuple[str, ...] = (),
        identity: Validators | None = None,
        missing: Response | None = None,
    ) -> None:
        self.revalidation = revalidation
        #: Whether it was requested since the cache last looked for room.
        self.visited = False
        #: Bytes of memory that it takes.
        self.cost = RESOURCE_BYTES
        #: Finished responses by request. They save parsing the request's headers and making a response anew, which
        #: take 6 to 12 microseconds, a tenth of what a server takes for a small file.
        self.responses: dict[RequestKey, Response] = {}
        self._codings = codings
        self._identity = identity
        self._missing = missing
        self._representations: dict[str | None, Representation] = {}

    def is_about(self, revalidation: Revalidation, codings: tuple[str, ...], identity: Validators) -> bool:
        """Whether the same files were found, in the same state and codings."""
        return self.revalidation.matches(revalidation) and (self._codings, self._identity) == (codings, identity)

    def add(self, representation: Representation) -> None:
        """Keep *representation*; one without its bytes never replaces one that has them."""
        coding = representation.coding
        if representation.content is None and representation.file is None and coding in self._representations:
            return
        self._representations[coding] = representation
        if self.responses or len(self._representations) > 1:
            self._forget_responses()
        else:
            self.cost += REPRESENTATION_BYTES + (0 if representation.content is None else representation.size)

    def respond(self, key: RequestKey) -> Response | None:
        """The response to another request; ``None`` where what is kept does not suffice for it.

        It is kept, unless time can change it.
        """
        method, headers = key
        if method not in {"GET", "HEAD"}:
            return None
        request = AssetRequest.from_headers(method, headers)
        response = self._make(request, time.time())
        if response is not None and request.timeless:
            self._keep(key, response)
        return response

    def _make(self, request: AssetRequest, now: float) -> Response | None:
        if self._missing is not None:
            return Response(self._missing.status, self._missing.headers) if request.head else self._missing
        if self._identity is None:
            return None
        chosen = self._representations.get(preferred(request, self._codings, self._identity, now))
        if chosen is None:
            return None
        response = respond(request, chosen, now)
        return None if response.needs_file and response.file is None else response

    def _keep(self, key: RequestKey, response: Response) -> None:
        # A 200 shares its bytes with the representation.
        own = sum(len(piece) for piece in response.body if isinstance(piece, bytes)) if response.status != 200 else 0
        if own > MAX_PART_BYTES or sum(len(value) for _, value in key[1]) > MAX_REQUEST_BYTES:
            return
        if len(self.responses) >= MAX_RESPONSES:
            self._forget_responses()
        self.responses[_shared(key)] = response
        self.cost += RESPONSE_BYTES + own

    def _forget_responses(self) -> None:
        self.responses.clear()
        content = sum(sum(map(len, each.content or ())) for each in self._representations.values())
        self.cost = RESOURCE_BYTES + REPRESENTATION_BYTES * len(self._representations) + content


@lru_cache(maxsize=256)
def _shared(key: RequestKey) -> RequestKey:
    """The same, as one object for all URLs: most requests are one of few."""
    return key
