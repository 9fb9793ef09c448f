"""References in JSON: the images of a web application manifest (W3C), and an import map (HTML standard).

The strings are located by a linear scan; what is no JSON gives what can be read of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice

from assetstore.references.reference import MAX_REFERENCES, Located, Positions, Reference

_TOKEN = re.compile(rb"""[^"{}\[\],:]{0,4096}+("|[{}\[\],:])?""")
_IN_STRING = re.compile(rb"""(?:[^"\\]{1,4096}+|\\[\s\S]){0,100}+""")
#: Deeper structure holds no reference.
_MAX_DEPTH = 8
_IMAGES = frozenset({("icons", "[]", "src"), ("screenshots", "[]", "src"), ("shortcuts", "[]", "icons", "[]", "src")})


def scan(data: bytes) -> list[Located]:
    """The images of the web manifest *data*, in order. Never raises."""
    positions = Positions(data)
    found = ((url, start, stop) for path, url, start, stop in strings(data, 0, len(data)) if path in _IMAGES)
    return [
        Located(Reference("src", url, positions.at(start)), start, stop, spell)
        for url, start, stop in islice(found, MAX_REFERENCES)
    ]


def import_map(data: bytes, start: int, stop: int) -> Iterator[tuple[str, int, int]]:
    """The URLs in the import map that is the given part of *data*, each with its span."""
    for path, value, begin, end in strings(data, start, stop):
        section = path[0] if path else ""
        if (section, len(path)) in {("imports", 2), ("scopes", 3)}:
            yield value, begin, end


def spell(url: str) -> str:
    """*url* as it may stand in a string of JSON, also within a script element."""
    return json.dumps(url)[1:-1].replace("<", "\\u003c")


def strings(data: bytes, pos: int, stop: int) -> Iterator[tuple[tuple[str, ...], str, int, int]]:
    """Each string that is a value: the keys that lead to it (``[]`` for an item of an
    array), the value, and the span between its quotes."""
    keys: list[str] = []
    objects = bytearray()  # for each open bracket, whether it is an object's
    is_key = False
    while pos < stop:
        token = _TOKEN.match(data, pos, stop)
        assert token is not None  # it matches anything
        pos = token.end()
        mark = token[1]
        if mark == b'"':
            begin = pos
            while (end := _IN_STRING.match(data, pos, stop).end()) > pos:  # type: ignore[union-attr]
                pos = end
            if len(objects) <= _MAX_DEPTH:
                value = _value(data[begin:pos])
                if is_key:
                    keys[-1] = value
                elif objects:
                    yield tuple(keys), value, begin, pos
            pos += 1
        elif mark == b":":
            is_key = False
        elif mark == b",":
            is_key = bool(objects) and bool(objects[-1])
        elif mark in (b"{", b"["):
            objects.append(mark == b"{")
            keys.append("" if mark == b"{" else "[]")
            is_key = mark == b"{"
        elif mark is not None and objects:
            objects.pop()
            keys.pop()
            is_key = False


def _value(raw: bytes) -> str:
    if b"\\" not in raw:
        return raw.decode(errors="replace")
    try:
        return str(json.loads(b'"' + raw + b'"', strict=False)).encode(errors="replace").decode()
    except ValueError:
        return ""
