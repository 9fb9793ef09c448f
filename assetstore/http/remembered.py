"""This module owns what is remembered of one URL: its representations, and the answers made of them.

An answer that is remembered was planned like every other; a request that asks in another way is
planned again, from the representation that is remembered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from assetstore.backends.readers import Mark, MarkingReader
from assetstore.http.answer import Answer, ByServer, Part, Piece, Ready, packed, plan, ready
from assetstore.http.body import kind_for_server, pays_by_server
from assetstore.http.conditional import Validators
from assetstore.http.policy import Headers
from assetstore.http.representation import Representation
from assetstore.http.request import AssetRequest
from assetstore.http.selection import preferred
from assetstore.http.witness import Witness

#: Answers that are kept for one URL; and the longest request, and the longest part of a file, that one
#: is kept for, in bytes.
MAX_ANSWERS, MAX_ASKED_BYTES, MAX_PART_BYTES = 64, 512, 64 * 1024
#: What an entry, a representation and an answer take without the bytes of files: measured, then rounded up.
ENTRY_BYTES, KEPT_BYTES, ANSWER_BYTES = 1792, 2304, 512

#: What a request asks: its method, and the headers that can change the answer.
Asked = tuple[str, tuple[tuple[bytes, bytes], ...]]


@dataclass(frozen=True, slots=True)
class Unread:
    """An answer whose bytes are read anew for every request, from the file with that mark."""

    status: int
    headers: Headers
    file: str
    mark: Mark
    start: int
    stop: int
    reader: MarkingReader

    def ready(self, extensions: Container[str]) -> Ready | None:
        """With its bytes; ``None`` if the file is another, or would be waited for."""
        body = self.reader.read_now(self.file, self.mark, self.start, self.stop)
        # Not by its own constructor, which is written in Python.
        return None if body is None else tuple.__new__(Ready, (self.status, self.headers, (body,), None))


@dataclass(frozen=True, slots=True)
class Unsent:
    """An answer whose bytes a server sends by itself, if it can, from the file with that mark."""

    status: int
    headers: Headers
    file: str
    mark: Mark
    part: Part
    reader: MarkingReader

    def ready(self, extensions: Container[str]) -> Ready | None:
        """Left to the server; ``None`` if the file is another, or the server has to be given the bytes."""
        kind = kind_for_server(self.part, self.mark.size, extensions)
        path = None if kind is None else self.reader.path_of(self.file, self.mark)
        if kind is None or path is None:
            return None
        return Ready(self.status, self.headers, (), ByServer(kind, path, self.part.start, self.part.stop))


#: What is known of an answer.
Known = Ready | Unread | Unsent


def made(known: Known | None, extensions: Container[str]) -> Ready | None:
    """What is *known* of an answer, with its bytes; ``None`` where they would be waited for."""
    return known if known is None or isinstance(known, Ready) else known.ready(extensions)


@dataclass(frozen=True, slots=True)
class Kept:
    """A representation; and its bytes in pieces, or else the file that they are in, with its mark."""

    representation: Representation
    pieces: tuple[bytes, ...] | None = None
    file: str | None = None
    mark: Mark | None = None

    def known(self, answer: Answer, reader: MarkingReader | None) -> Known | None:
        """*answer*, which was made of this, as far as its bytes can be had without waiting: here, or from *reader*."""
        if not answer.needs_file:
            return ready(answer)
        if self.pieces is not None:
            return Ready(answer.status, answer.headers, packed(tuple(_bytes_of(answer.body, self.pieces))))
        part, file, mark = answer.body[0], self.file, self.mark
        if len(answer.body) > 1 or not isinstance(part, Part) or file is None or mark is None or reader is None:
            return None
        if pays_by_server(part):
            return Unsent(answer.status, answer.headers, file, mark, part, reader)
        return Unread(answer.status, answer.headers, file, mark, part.start, part.stop, reader)


class Remembered:
    """One URL."""

    __slots__ = (
        "_codings",
        "_identity",
        "_kept",
        "_missing",
        "_reader",
        "answers",
        "charged",
        "cost",
        "forgotten",
        "visited",
        "witness",
    )

    def __init__(
        self,
        witness: Witness,
        reader: MarkingReader | None,
        *,
        codings: tuple[str, ...] = (),
        identity: Validators | None = None,
        missing: Callable[[AssetRequest], Answer] | None = None,
    ) -> None:
        self.witness = witness
        #: Bytes of memory that it takes, and that the memory knows of.
        self.cost, self.charged = ENTRY_BYTES, 0
        #: Whether it was asked for since the memory last went past it.
        self.visited = False
        #: Whether memory has let it go: what a door still has of it counts no more.
        self.forgotten = False
        self._reader = reader
        self._codings = codings
        self._identity = identity
        self._missing = missing
        self._kept: dict[str | None, Kept] = {}
        #: What is known for requests that were made before.
        self.answers: dict[Asked, Known] = {}

    def is_about(self, witness: Witness, codings: tuple[str, ...], identity: Validators) -> bool:
        """Whether the same files were found, in the same state and codings."""
        return self.witness.saw_the_same_as(witness) and (self._codings, self._identity) == (codings, identity)

    def still_holds(self) -> bool:
        """Whether memory has it still and its files are the ones they were, as of a moment ago; somebody asks for it."""
        self.visited = True
        return not self.forgotten and (time.monotonic() < self.witness.until or self.witness.holds())

    def keep(self, kept: Kept) -> None:
        """Remember a representation; one whose bytes are not known never replaces one whose are."""
        coding = kept.representation.coding
        if kept.pieces is None and kept.file is None and coding in self._kept:
            return
        self._kept[coding] = kept
        self._forget_answers()

    def _forget_answers(self) -> None:
        self.answers.clear()
        contents = sum(sum(map(len, each.pieces or ())) for each in self._kept.values())
        self.cost = ENTRY_BYTES + KEPT_BYTES * len(self._kept) + contents

    def plan(self, asked: Asked) -> Known | None:
        """What another request gets; ``None`` where memory does not know. It is remembered, where time cannot change it."""
        method, headers = asked
        if method not in {"GET", "HEAD"}:
            return None
        request = AssetRequest.from_headers(method, headers)
        now = time.time()
        kept = self._choose(request, now)
        if kept is not None:
            known = kept.known(plan(request, kept.representation, now), self._reader)
        else:
            known = None if self._missing is None else ready(self._missing(request))
        if known is not None and request.timeless:
            self._keep_answer(asked, known)
        return known

    def _choose(self, request: AssetRequest, now: float) -> Kept | None:
        if self._identity is None:
            return None
        return self._kept.get(preferred(request, self._codings, self._identity, now))

    def _keep_answer(self, asked: Asked, known: Known) -> None:
        # A 200 shares its bytes with what is kept.
        own = sum(map(len, known.body)) if isinstance(known, Ready) and known.status != 200 else 0
        if own > MAX_PART_BYTES or sum(len(value) for _, value in asked[1]) > MAX_ASKED_BYTES:
            return
        if len(self.answers) >= MAX_ANSWERS:
            self._forget_answers()
        self.answers[shared(asked)] = known
        self.cost += ANSWER_BYTES + own


@lru_cache(maxsize=256)
def shared(asked: Asked) -> Asked:
    """The same, as one object for all URLs: most are asked in few ways."""
    return asked


def _bytes_of(body: Iterable[Piece], pieces: tuple[bytes, ...]) -> Iterator[bytes]:
    """*body* with its parts cut from *pieces*; a piece that is wanted whole is not copied."""
    for each in body:
        if not isinstance(each, Part):
            yield each
            continue
        start = 0
        for piece in pieces:
            stop = start + len(piece)
            if each.start < stop and start < each.stop:
                yield piece[max(0, each.start - start) : each.stop - start]
            start = stop
