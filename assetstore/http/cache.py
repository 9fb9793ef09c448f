"""The response cache: resources (the representations of one file) by URL, within a budget of bytes; which one goes is chosen as SIEVE does.

What goes first is chosen as the SIEVE algorithm does (Zhang et al., NSDI 2024). Entries stand in
the order in which they came. A hand goes from the oldest towards the newest: what was requested
since it last came past is passed over, anything else goes. New entries come in before the hand,
so that one pass over any number of files only evicts those very files. A hit sets one flag, and
so needs no lock.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

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


#: What may be kept besides the bytes of files, so that a budget of 0 still keeps headers.
PLAN_BYTES = 8 * 1024 * 1024
#: Of a longer key each character is charged with so many bytes: a path is kept as a key and in the names of the files
#: that were looked at, with up to four bytes for each character.
KEY_LENGTH, LONG_KEY_BYTES = 200, 16
#: The part of the budget that one file may take: larger ones are read in pieces, or sent by the server itself.
SHARE = 8


class ResponseCache:
    """Resources, for all mounts of a store.

    Args:
        budget_bytes: for the bytes of files; 0 keeps none of them.
        plan_bytes: for everything else that is kept of a URL; with 0 as well, nothing is.
    """

    def __init__(self, budget_bytes: int, plan_bytes: int = PLAN_BYTES) -> None:
        self._budget = budget_bytes + plan_bytes
        #: The largest body that may be kept, in bytes.
        self.max_body = budget_bytes // SHARE
        #: Whether the Host header decides which mount answers.
        self.by_host = False
        self._resources: dict[str, Resource] = {}
        #: What each entry is charged for, in bytes: before the hand, and behind it.
        self._ahead: OrderedDict[str, int] = OrderedDict()
        self._passed: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._resources)

    @property
    def bytes(self) -> int:
        """What all entries take together."""
        return self._bytes

    def respond(self, key: str, request: RequestKey) -> Response | None:
        """The response of the URL that is kept as *key*; ``None`` if it has to be made from the storage."""
        resource = self._resources.get(key)
        if resource is None:
            return None
        resource.visited = True
        revalidation = resource.revalidation
        if time.monotonic() >= revalidation.until and not revalidation.holds():
            self.drop(key, resource)
            return None
        response = resource.responses.get(request)
        if response is None:
            response = resource.respond(request)
            with self._lock:
                self._charge(key, resource)
        return response

    def key_of(self, scope: Mapping[str, Any]) -> str:
        """What the URL of a request is kept as: its path, where nothing else decides who answers."""
        path: str = scope["path"]
        root_path = scope.get("root_path")
        if not root_path and not self.by_host:
            return path
        host = next((value for name, value in scope["headers"] if name == b"host"), b"") if self.by_host else b""
        return f"{path}\n{root_path}\n{host.decode('latin-1').lower()}"

    def get(self, key: str) -> Resource | None:
        """The resource of a URL, whether or not it is still true."""
        return self._resources.get(key)

    def put(self, key: str, resource: Resource) -> None:
        """Keep *resource*, in the place of what was kept of that URL, or charge for what it takes by now."""
        with self._lock:
            if self._charge(key, resource):
                return
            if key in self._resources:
                self._remove(key)
            cost = _cost(key, resource)
            if cost > self._budget:
                return
            if self._bytes + cost > self._budget:
                self._make_room(cost)
            self._resources[key] = resource
            self._ahead[key] = cost
            self._bytes += cost

    def drop(self, key: str, resource: Resource | None = None) -> None:
        """Forget what is kept as *key*; with *resource*, unless another has taken its place."""
        with self._lock:
            if resource is None or self._resources.get(key) is resource:
                self._remove(key)

    def start_over(self, *, by_host: bool) -> None:
        """Forget everything, since there is another mount; *by_host* says whether the Host header decides who answers."""
        self.by_host = by_host
        with self._lock:
            self._resources.clear()
            self._ahead.clear()
            self._passed.clear()
            self._bytes = 0

    def _charge(self, key: str, resource: Resource) -> bool:
        """Charge for what *resource* takes by now; false if it is not kept."""
        if self._resources.get(key) is not resource:
            return False
        charges = self._ahead if key in self._ahead else self._passed
        cost = _cost(key, resource)
        self._bytes += cost - charges[key]
        charges[key] = cost
        self._make_room(0)
        return True

    def _remove(self, key: str) -> None:
        if self._resources.pop(key, None) is not None:
            self._bytes -= self._ahead.pop(key) if key in self._ahead else self._passed.pop(key)

    def _make_room(self, wanted: int) -> None:
        while self._resources and self._bytes + wanted > self._budget:
            if not self._ahead:  # the hand has come to the newest, and begins again with the oldest
                self._ahead, self._passed = self._passed, self._ahead
            key = next(iter(self._ahead))
            if (resource := self._resources[key]).visited:
                resource.visited = False
                self._passed[key] = self._ahead.pop(key)
            else:
                self._remove(key)


def _cost(key: str, resource: Resource) -> int:
    """Bytes of memory that an entry takes: what a resource takes holds for URLs of up to :data:`KEY_LENGTH`."""
    return resource.cost + LONG_KEY_BYTES * max(0, len(key) - KEY_LENGTH)
