"""What a JavaScript file imports: a linear lexer, ECMA-262 section 12.

There is no syntax tree. Only what decides whether a word is code is read: comments, strings,
templates, regular expressions, and what is in front of each bracket. Imports are then recognised
by the words in front of a string or of a ``(``, as es-module-lexer does. Any bytes are accepted:
where they are no JavaScript the result is what can be read. Time and memory are linear in the
size, and no single call into ``re`` takes long, so a thread that reads a file does not stop the
event loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count, islice
from time import sleep

from assetstore.assets.paths import extension
from assetstore.references.reference import MAX_REFERENCES, Positions, Reference, run, tokens_in_turn

#: Larger modules are not read. Minified code is read at 5 to 10 MB a second.
MAX_BYTES = 8 * 1024 * 1024
_MODULE_EXTENSIONS = frozenset({".js", ".mjs"})

#: The kinds that the import map resolves; ``url`` and ``source-map`` are resolved without it.
MAPPED = frozenset({"import", "export-from", "dynamic-import", "resolve"})
#: The kinds that a browser fetches before the module runs.
EAGER = frozenset({"import", "export-from"})

# No match reads more than 400 KB, which takes 5 to 10 ms: the interpreter lock is held for as long.
#: The next token that matters. Between two of them, in the gap, stand words and operators. A ``-->`` is a comment at
#: the start of a line (ECMA-262 section B.1.1).
_TOKEN = re.compile(
    rb"""
    (?: [^"'`(){}/<\\\n]{1,4096}+ | <(?!!--) | \n(?![ \t\r\v\f]{0,256}+-->) | \\(?!u\{) ){0,100}+
    ( "[^"\\\r\n]{0,4096}+" | '[^'\\\r\n]{0,4096}+' | `[^`\\$]{0,4096}+`
    | ["'`(){}] | // | /\* | / | <!-- | \n[ \t\r\v\f]{0,256}+--> | \\u\{[0-9A-Fa-f]{0,8}+
    )?""",
    re.VERBOSE,
)
_INSIDE = {
    ord('"'): re.compile(rb"""(?:[^"\\\r\n]{1,4096}+|\\(?:\r\n|[\s\S])){0,100}+"""),
    ord("'"): re.compile(rb"""(?:[^'\\\r\n]{1,4096}+|\\(?:\r\n|[\s\S])){0,100}+"""),
    ord("`"): re.compile(rb"""(?:[^`\\$]{1,4096}+|\\[\s\S]|\$(?!\{)){0,100}+"""),
    ord("/"): re.compile(rb"""(?:[^/\\\[\r\n]{1,4096}+|\\[^\r\n]){0,100}+"""),
    ord("["): re.compile(rb"""(?:[^\]\\\r\n]{1,4096}+|\\[^\r\n]){0,100}+"""),
}
_FLAGS = re.compile(rb"[\w$]{0,64}+")
_LINE = re.compile(rb"(?:[^\r\n\xe2]{1,4096}+|\xe2(?!\x80[\xa8\xa9])){0,100}+")
_FIRST_COMMENT = re.compile(rb"#!|\s{0,4096}+-->")
_BLANKS = re.compile(rb"(?:\s{1,4096}+|\xc2\xa0|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf){0,100}+")
_SOURCE_MAP = re.compile(rb"/[/*][#@][ \t]*+sourceMappingURL=[ \t]*+([^\s*]++)")

_BEFORE = rb"(?:^|[^\w$.#\x80-\xff]|\.\.\.)"
_NAME = rb"[\w$\x80-\xff]++"
_CLAUSE = rb"(?:\s*+\*\s*+as\b\s*+%b|\s++%b(?:\s*+,\s*+\*\s*+as\b\s*+%b)?)" % (_NAME, _NAME, _NAME)
#: The gap in front of the string of an import; of an export; and of a ``{`` that either may have.
_IMPORT = re.compile(rb"%bimport(?:(?:\s++(?:defer|source)\b)?%b\s*+from)?$" % (_BEFORE, _CLAUSE))
_EXPORT = re.compile(rb"%bexport\s*+\*(?:\s*+as\b\s*+%b\s*+from|\s*+from|(\s*+as))$" % (_BEFORE, _NAME))
_BRACE = re.compile(rb"%b(?:import(?:\s++%b\s*+,)?|(export))$" % (_BEFORE, _NAME))
#: The gap in front of a ``(`` whose first argument is a specifier, or a URL.
_CALL = re.compile(rb"%b(?:import(?:\s*+\.\s*+(?:(meta)\s*+\.\s*+resolve|source|defer))?|(new)\s++URL)$" % _BEFORE)
_META_URL = (b",", b"import", b".", b"meta", b".", b"url")

#: What a gap ends with where a ``(…)`` is a condition, and where an expression or a statement begins.
_CONDITION = re.compile(rb"(?:^|[^\w$.#\x80-\xff])(?:if|while|with|for(?:\s++await)?)$")
_EXPRESSION = re.compile(
    rb"%b(?:return|typeof|instanceof|in|new|throw|void|delete|yield|await|case|default|extends)$" % _BEFORE
)
_STATEMENT = re.compile(rb"(?:^|[^\w$.#\x80-\xff])(?:else|do|try|finally)$")
#: No word of these is longer, with the character in front of it.
_TAIL = 16
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$") | frozenset(range(128, 256))
#: How much of the end of a gap is searched for the words of an import, and kept across a comment.
_LOOKED_AT = 1024

#: What an open bracket is; the ones in the first row are a ``(``.
_PAREN, _PAREN_OF_CONDITION = 0, 1
_BLOCK, _OBJECT, _TEMPLATE, _IMPORTS, _EXPORTS = 2, 3, 4, 5, 6
_CLAUSES = {_IMPORTS: "import", _EXPORTS: "export-from"}

#: ECMA-262 section 12.9.4, SingleEscapeCharacter.
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{0*+([0-9A-Fa-f]{1,6})\}|(\r\n|.)|\Z)", re.DOTALL)
_LINE_CONTINUATIONS = frozenset({"\n", "\r", "\r\n", "\u2028", "\u2029"})


def is_module(path: str) -> bool:
    """Whether *path* names a JavaScript file."""
    return extension(path) in _MODULE_EXTENSIONS


def scan(data: bytes) -> list[Reference]:
    """Every literal specifier in the module *data*, in order; computed ones cannot be known.

    Kinds are ``import``, ``export-from``, ``dynamic-import``, ``resolve`` (``import.meta.resolve``),
    ``url`` (``new URL(…, import.meta.url)``) and ``source-map``. Never raises.
    """
    positions = Positions(data)
    found = islice(_Lexer(data).references(), MAX_REFERENCES)
    return [Reference(kind, url, positions.at(start)) for kind, url, start in found]


#: Kind, value and offset of a reference.
_Found = tuple[str, str, int]


class _Lexer:
    """Where a scan of one file is, and what the last token means for the next one."""

    __slots__ = ("_brace", "_brackets", "_budget", "_carried", "_clause", "_data", "_end", "_gap_start", "_regex")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        if _FIRST_COMMENT.match(data, self._end):
            self._end = run(_LINE, data, self._end)
        #: Where the gap begins, and its text before comments.
        self._gap_start, self._carried = self._end, b""
        #: What the open brackets are.
        self._brackets = bytearray()
        # Without anything in the gap: whether a "/" begins a regular expression, and what a "{" is.
        self._regex, self._brace = True, _BLOCK
        #: The kind of the import whose clause "{…}" is the last token.
        self._clause: str | None = None
        # How much is read of regular expressions that do not end: without a limit that were quadratic.
        self._budget = 8 * len(data)

    def references(self) -> Iterator[_Found]:
        """Every reference, in order."""
        data, turns = self._data, tokens_in_turn()
        for turn in count():
            if self._end >= len(data):
                return
            if turns and turn % turns == 0:
                sleep(0)
            token = _TOKEN.match(data, self._end)
            assert token is not None  # it matches anything
            start, self._end = token.span(1)
            if start < 0:
                self._end = token.end()
                continue
            first = data[start]
            if first == 0x29:  # )
                self._close_paren()
            elif first == 0x7D:  # }
                self._close_brace()
            else:
                gap = (self._carried + data[self._gap_start : start]).rstrip()
                if first == 0x28:  # (
                    if gap.endswith((b"import", b"URL", b"resolve", b"source", b"defer")):
                        yield from _called(data, gap, self._end)
                    self._open_paren(gap)
                elif first == 0x7B:  # {
                    self._open_brace(gap)
                elif first == 0x22 or first == 0x27:  # " '
                    if found := self._string(gap, start, first):
                        yield found
                elif first == 0x60:  # `
                    self._template(start)
                elif first == 0x2F and self._end - start == 1:  # /
                    self._slash(gap)
                elif first == 0x5C:  # an escape in a name
                    self._gap_start, self._carried, self._clause = self._end, b"$", None
                    continue
                else:
                    if found := self._comment(start):
                        yield found
                    self._gap_start, self._carried = self._end, gap[-_LOOKED_AT:] + b" " if gap else b""
                    continue
            self._gap_start, self._carried = self._end, b""

    def _close_paren(self) -> None:
        self._regex, self._brace, self._clause = False, _BLOCK, None
        if self._brackets and self._brackets[-1] < _BLOCK:
            self._regex = self._brackets.pop() == _PAREN_OF_CONDITION

    def _close_brace(self) -> None:
        closed = _BLOCK
        while self._brackets and (closed := self._brackets.pop()) < _BLOCK:
            closed = _BLOCK
        self._regex, self._brace, self._clause = closed == _BLOCK, _BLOCK, _CLAUSES.get(closed)
        if closed == _TEMPLATE:
            self._read_template()

    def _open_paren(self, gap: bytes) -> None:
        self._brackets.append(_PAREN_OF_CONDITION if _CONDITION.search(gap[-_TAIL:]) else _PAREN)
        self._regex, self._brace, self._clause = True, _OBJECT, None

    def _open_brace(self, gap: bytes) -> None:
        opened = _opened(gap) if gap else self._brace
        self._brackets.append(opened)
        self._regex, self._brace, self._clause = True, _BLOCK if opened == _BLOCK else _OBJECT, None

    def _string(self, gap: bytes, start: int, quote: int) -> _Found | None:
        """Read a string, and return the reference that it is."""
        kind, self._clause = _static(gap, self._clause), None
        closed = self._end - start > 1
        if not closed:  # a long one, or with escapes
            self._end, closed = _inside(self._data, self._end, quote)
        self._regex, self._brace = False, _BLOCK
        if kind == "export-as":
            self._clause = "export-from"
        elif kind and closed:
            return kind, _value(self._data[start + 1 : self._end - 1]), start
        return None

    def _template(self, start: int) -> None:
        self._regex, self._brace, self._clause = False, _BLOCK, None
        if self._end - start == 1:
            self._read_template()

    def _read_template(self) -> None:
        """Read the characters of a template up to its end, or to ``${``, which is an open bracket."""
        self._end, closed = _inside(self._data, self._end, 0x60)
        self._regex = not closed and self._data.startswith(b"${", self._end)
        self._brace = _OBJECT if self._regex else _BLOCK
        if self._regex:
            self._brackets.append(_TEMPLATE)
            self._end += 2

    def _slash(self, gap: bytes) -> None:
        divides = not (_begins_expression(gap) if gap else self._regex)
        if not divides:
            stop, closed = _regex(self._data, self._end) if self._budget > 0 else (self._end, False)
            if closed:
                self._end = stop
            else:
                self._budget -= stop - self._end
                divides = True
        self._regex, self._brace, self._clause = divides, _OBJECT if divides else _BLOCK, None

    def _comment(self, start: int) -> _Found | None:
        """Read a comment, and return the source map that it names."""
        data = self._data
        if data[start : self._end] == b"/*":
            stop = data.find(b"*/", self._end)
            self._end = len(data) if stop < 0 else stop + 2
        else:
            self._end = run(_LINE, data, self._end)
            self._end += 3 if data.startswith(b"\xe2", self._end) else 0
        match = _SOURCE_MAP.match(data, start, self._end)
        return None if match is None else ("source-map", match[1].decode(errors="replace"), start)


def _static(gap: bytes, clause: str | None) -> str | None:
    """The kind of reference that a string behind *gap* is; ``None`` for a mere string."""
    if gap.endswith(b"from"):
        if clause and gap.lstrip() == b"from":
            return clause
        return (
            "import" if _IMPORT.search(gap, _from(gap)) else "export-from" if _EXPORT.search(gap, _from(gap)) else None
        )
    if gap.endswith(b"import"):
        return "import" if _IMPORT.search(gap, _from(gap)) else None
    return "export-as" if gap.endswith(b"as") and _EXPORT.search(gap, _from(gap)) else None


def _called(data: bytes, gap: bytes, pos: int) -> Iterator[_Found]:
    """The reference that is the first argument at *pos* of a call whose callee ends *gap*."""
    callee = _CALL.search(gap, _from(gap))
    if callee is None:
        return
    start = _skip(data, pos)
    quote = data[start] if start < len(data) else 0
    if quote not in b"\"'`":
        return
    end, closed = _inside(data, start + 1, quote)
    if not closed:
        return
    after = _skip(data, end)
    if callee[2]:
        for word in _META_URL:
            if not data.startswith(word, after):
                return
            after = _skip(data, after + len(word))
        kind, follows = "url", b",)"
    else:
        kind, follows = "resolve" if callee[1] else "dynamic-import", b",)"
    if after < len(data) and data[after] in follows:
        yield kind, _value(data[start + 1 : end - 1]), start


def _from(gap: bytes) -> int:
    return max(0, len(gap) - _LOOKED_AT)


def _skip(data: bytes, pos: int) -> int:
    """Where the blanks and comments at *pos* end."""
    while True:
        begin = pos
        pos = run(_BLANKS, data, pos)
        if data.startswith(b"//", pos):
            pos = run(_LINE, data, pos)
        elif data.startswith(b"/*", pos):
            stop = data.find(b"*/", pos + 2)
            pos = len(data) if stop < 0 else stop + 2
        if pos == begin:
            return pos


def _inside(data: bytes, pos: int, quote: int) -> tuple[int, bool]:
    """Where what was opened by *quote* ends, and whether it was closed (a template's ``${`` does not)."""
    close = 0x5D if quote == 0x5B else quote
    pos = run(_INSIDE[quote], data, pos)
    closed = pos < len(data) and data[pos] == close
    return pos + closed, closed


def _regex(data: bytes, pos: int) -> tuple[int, bool]:
    """Where the regular expression whose body is at *pos* ends, and whether it does on its line."""
    while True:
        pos, closed = _inside(data, pos, 0x2F)
        if closed:
            return _FLAGS.match(data, pos).end(), True  # type: ignore[union-attr]
        if not data.startswith(b"[", pos):
            return pos, False
        pos, closed = _inside(data, pos + 1, 0x5B)
        if not closed:
            return pos, False


def _opened(gap: bytes) -> int:
    """What a ``{`` behind a gap is."""
    last = gap[-1]
    if last in _WORD or last == 0x2C:
        if gap.endswith((b"port", b",")) and (match := _BRACE.search(gap, _from(gap))):
            return _EXPORTS if match[1] else _IMPORTS
        return _OBJECT if last == 0x2C or _EXPRESSION.search(gap[-_TAIL:]) else _BLOCK
    return _BLOCK if last in b";:]" or gap.endswith(b"=>") else _OBJECT


def _begins_expression(gap: bytes) -> bool:
    """Whether an expression begins behind a gap, so that a ``/`` there divides nothing."""
    last, tail = gap[-1], gap[-_TAIL:]
    if last in _WORD:
        return bool(_EXPRESSION.search(tail) or _STATEMENT.search(tail))
    if last == 0x2E:  # the point of "1."
        return not tail[-2:-1].isdigit()
    return last != 0x5D and not tail.endswith((b"++", b"--"))


def _value(raw: bytes) -> str:
    """The value of a string or template between its quotes; what is no Unicode becomes U+FFFD."""
    text = raw.decode(errors="replace")
    if "\\" not in text:
        return text
    # Two escaped halves of a surrogate pair are one character.
    return _ESCAPE.sub(_unescaped, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(match: re.Match[str]) -> str:
    if digits := match[1] or match[2] or match[3]:
        code_point = int(digits, 16)
        return chr(code_point) if code_point <= 0x10FFFF else "\ufffd"
    character = match[4] or ""
    return "" if character in _LINE_CONTINUATIONS else _ESCAPES.get(character, character)
