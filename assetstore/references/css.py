"""References in a style sheet: a linear tokenizer of CSS Syntax Level 3.

It reads the tokens that matter (strings, ``url()``, functions, at-rules, brackets) and skips the
rest. Any bytes are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count, islice
from time import sleep
from typing import TypeAlias

from assetstore.references.reference import MAX_REFERENCES, Located, Positions, Reference, run, tokens_in_turn

#: Larger style sheets are not read, but served as they are.
MAX_BYTES = 8 * 1024 * 1024

_ESCAPE = rb"\\(?:[0-9A-Fa-f]{1,6}(?:\r\n|[ \t\r\n\f])?|[^\r\n\f0-9A-Fa-f])"
# No match reads more than 400 KB, which takes 5 to 10 ms: the interpreter lock is held for as long.
#: The next token that matters; names that call no function and other punctuation are skipped.
_TOKENS = rb"""
    (?: [^-\w\x80-\xff"'()\[\]{}/@\\%b<\#]{1,4096}+ | \#?[-\w\x80-\xff]{1,4096}+(?![-\w\x80-\xff\\(]) ){0,100}+
    (?: (?P<name>[@\#]?(?:[-\w\x80-\xff]{1,4096}+|%b){1,100}+)(?P<call>\(?)
      | (?P<comment>/\*)
      | (?P<mark>["'()\[\]{};])
      | <!-- | [\s\S]
    )?
"""
_TOKEN = re.compile(_TOKENS % (b"", _ESCAPE), re.VERBOSE)
#: The same in the prelude of an at-rule, which may end with ``;``.
_TOKEN_OF_PRELUDE = re.compile(_TOKENS % (b";", _ESCAPE), re.VERBOSE)
_FUNCTION = re.compile(rb"((?:[-\w\x80-\xff]{1,4096}+|%b){1,100}+)\(" % _ESCAPE)
_IN_STRING = {
    ord('"'): re.compile(rb"""(?:[^"\\\r\n\f]{1,4096}+|\\(?:\r\n|[\s\S])){0,100}+"""),
    ord("'"): re.compile(rb"""(?:[^'\\\r\n\f]{1,4096}+|\\(?:\r\n|[\s\S])){0,100}+"""),
}
_IN_URL = re.compile(rb"(?:[^\"'()\\ \t\r\n\f\x00-\x08\x0b\x0e-\x1f\x7f]{1,4096}+|%b){0,100}+" % _ESCAPE)
_IN_BAD_URL = re.compile(rb"(?:[^)\\]{1,4096}+|\\[\s\S]?){0,100}+")
_BLANKS = re.compile(rb"[ \t\r\n\f]{0,4096}+")
_UNESCAPE = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})(?:\r\n|[ \t\r\n\f])?|(\r\n|[\s\S])|\Z)|\0")
_SOURCE_MAP = re.compile(rb"[#@][ \t]*+sourceMappingURL=[ \t]*+(\S++)\s*+")
_DATA = re.compile(r"\s*data:", re.IGNORECASE)
_SPECIAL = re.compile(r"""["'()<\\\x00-\x20\x7f]""")

_URL_FUNCTIONS = frozenset({"url", "src"})
_IMAGE_SETS = frozenset({"image-set", "-webkit-image-set"})
_CLOSES = {0x28: 0x29, 0x5B: 0x5D, 0x7B: 0x7D}
#: An open bracket is what closes it, with this bit where nothing in it is followed, or is an image-set().
_IGNORED, _IMAGES = 0x80, 0x01


def scan(data: bytes) -> list[Located]:
    """Every reference that a browser would follow from the style sheet *data*, in order. Never raises.

    These are ``url()``, ``src()`` and the strings of ``image-set()`` in declarations, ``@import``
    in all its forms, and the source map comment. Not followed, so not found: URLs in other
    comments, in the conditions of ``@supports`` and the like, and in ``@namespace``. ``data:``
    URLs carry their bytes themselves and are left out.
    """
    positions = Positions(data, breaks=b"\r\n\f")
    found = (each for each in _references(data) if not _DATA.match(each[1]))
    return [
        Located(Reference(kind, url, positions.at(at)), start, stop, str if kind == "source-map" else spell)
        for kind, url, at, start, stop in islice(found, MAX_REFERENCES)
    ]


def spell(url: str) -> str:
    """*url* as it may stand in quotes of either kind, and without any."""
    return _SPECIAL.sub(lambda match: f"\\{ord(match[0]):x} ", url)


_Found: TypeAlias = tuple[str, str, int, int, int]


def _references(data: bytes) -> Iterator[_Found]:
    """Kind, URL, offset of the token, and span of the URL, of each reference."""
    brackets = bytearray()
    # The prelude of an at-rule (CSS Syntax section 9.1) fetches nothing, but for the first value of an @import.
    prelude = False
    pos, size = 3 if data.startswith(b"\xef\xbb\xbf") else 0, len(data)
    turns = tokens_in_turn()
    for turn in count():
        if pos >= size:
            return
        if turns and turn % turns == 0:
            sleep(0)
        token = (_TOKEN_OF_PRELUDE if prelude else _TOKEN).match(data, pos)
        assert token is not None  # it matches anything
        pos = token.end()
        ignored = bool(brackets) and brackets[-1] >= _IGNORED
        followed = not (prelude or ignored)
        if mark := token["mark"]:
            first, at = mark[0], pos - 1
            if first in _IN_STRING:
                stop, pos, whole = _string(data, pos)
                if whole and followed and brackets and brackets[-1] == _IMAGES:
                    yield "image-set", _value(data[at + 1 : stop]), at, at + 1, stop
            elif first in _CLOSES:
                if first == 0x7B and not ignored:
                    prelude, followed = False, True
                brackets.append(_CLOSES[first] | (0 if followed else _IGNORED))
            elif first == 0x3B:
                prelude = prelude and ignored
            elif brackets and first == (0x29 if brackets[-1] == _IMAGES else brackets[-1] & ~_IGNORED):
                prelude = brackets.pop() >= _IGNORED and prelude
        elif token["comment"]:
            stop = data.find(b"*/", pos)
            stop = size if stop < 0 else stop
            if followed and (match := _SOURCE_MAP.fullmatch(data, pos, stop)):
                yield "source-map", match[1].decode(errors="replace"), pos - 2, *match.span(1)
            pos = min(size, stop + 2)
        elif written := token["name"]:
            name, called = _value(written).lower(), bool(token["call"])
            if followed and name.startswith("@"):
                prelude, followed = True, False
                if name == "@import" and not (brackets or called) and (found := _imported(data, pos)):
                    yield found
            if called:
                found, end = _url(data, name, token.start("name"), pos)
                if found and followed:
                    yield found
                if end is None:
                    images = followed and name in _IMAGE_SETS
                    brackets.append(_IMAGES if images else 0x29 if followed else 0x29 | _IGNORED)
                else:
                    pos = end


def _imported(data: bytes, pos: int) -> _Found | None:
    """The reference of an ``@import`` whose prelude begins at *pos*."""
    pos = _skip(data, pos)
    if data[pos : pos + 1] in (b'"', b"'"):
        stop, _, whole = _string(data, pos + 1)
        return ("import", _value(data[pos + 1 : stop]), pos, pos + 1, stop) if whole else None
    if (function := _FUNCTION.match(data, pos)) is None:
        return None
    found, _ = _url(data, _value(function[1]).lower(), pos, function.end())
    return ("import", *found[1:]) if found else None


def _url(data: bytes, name: str, at: int, pos: int) -> tuple[_Found | None, int | None]:
    """The URL that the function *name* has as its argument at *pos*; and the end of a url token, which is no function."""
    if name not in _URL_FUNCTIONS:
        return None, None
    begin = run(_BLANKS, data, pos) if name == "url" else _skip(data, pos)
    if data[begin : begin + 1] in (b'"', b"'"):
        stop, _, whole = _string(data, begin + 1)
        return (name, _value(data[begin + 1 : stop]), begin, begin + 1, stop) if whole else None, None
    if name != "url":
        return None, None
    stop = run(_IN_URL, data, begin)
    end = run(_BLANKS, data, stop)
    if end == len(data) or data[end] == 0x29:
        return ("url", _value(data[begin:stop]), at, begin, stop), end + 1
    return None, run(_IN_BAD_URL, data, end) + 1


def _string(data: bytes, pos: int) -> tuple[int, int, bool]:
    """Where the string whose first character is at *pos* stops, where its token ends, and whether it is no bad one."""
    quote = data[pos - 1]
    stop = run(_IN_STRING[quote], data, pos)
    if stop >= len(data) - 1 and data[stop : stop + 1] in (b"", b"\\"):
        return stop, len(data), True
    closed = data[stop] == quote
    return stop, stop + closed, closed


def _skip(data: bytes, pos: int) -> int:
    """Where the blanks and comments at *pos* end."""
    while data.startswith(b"/*", pos := run(_BLANKS, data, pos)):
        stop = data.find(b"*/", pos + 2)
        pos = len(data) if stop < 0 else stop + 2
    return pos


def _value(raw: bytes) -> str:
    """The text of a name, string or URL, its escapes undone (CSS Syntax section 4.3.7)."""
    text = raw.decode(errors="replace")
    return _UNESCAPE.sub(_unescaped, text) if "\\" in text or "\0" in text else text


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        code_point = int(match[1], 16)
        return "\ufffd" if not 0 < code_point < 0x110000 or 0xD800 <= code_point < 0xE000 else chr(code_point)
    if match[0] == "\0":
        return "\ufffd"
    return "" if match[2] in {None, "\n", "\r", "\r\n", "\f"} else match[2]
