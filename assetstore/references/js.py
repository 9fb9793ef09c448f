"""What a JavaScript file imports: a linear lexer, ECMA-262 section 12.

There is no syntax tree. Only what decides whether a word is code is read: comments, strings,
templates, regular expressions, and what each bracket stands behind. Imports are then recognised
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
    found = islice(_references(data), MAX_REFERENCES)
    return [Reference(kind, url, positions.at(start)) for kind, url, start in found]


def _references(data: bytes) -> Iterator[tuple[str, str, int]]:
    """Kind, value and offset of each reference."""
    brackets = bytearray()
    pos = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    if _FIRST_COMMENT.match(data, pos):
        pos = run(_LINE, data, pos)
    #: What stands in the gap before comments.
    carried = b""
    # Without anything in the gap: whether a "/" begins a regular expression, and what a "{" is.
    regex, brace = True, _BLOCK
    #: The kind of the import whose clause "{…}" is the last token.
    clause: str | None = None
    # How much is read of regular expressions that do not end: without a limit that were quadratic.
    budget = 8 * len(data)
    end = pos
    turns = tokens_in_turn()
    for turn in count():
        if end >= len(data):
            return
        if turns and turn % turns == 0:
            sleep(0)
        token = _TOKEN.match(data, end)
        assert token is not None  # it matches anything
        start, stop = token.span(1)
        if start < 0:
            end = token.end()
            continue
        end, first = stop, data[start]
        if first == 0x29:  # )
            regex, brace, clause = False, _BLOCK, None
            if brackets and brackets[-1] < _BLOCK:
                regex = brackets.pop() == _PAREN_OF_CONDITION
        elif first == 0x7D:  # }
            closed = _BLOCK
            while brackets and (closed := brackets.pop()) < _BLOCK:
                closed = _BLOCK
            regex, brace, clause = closed == _BLOCK, _BLOCK, _CLAUSES.get(closed)
            if closed == _TEMPLATE:
                end, regex = _template(data, end, brackets)
                brace = _OBJECT if regex else _BLOCK
        else:
            gap = (carried + data[pos:start]).rstrip()
            if first == 0x28:  # (
                if gap.endswith((b"import", b"URL", b"resolve", b"source", b"defer")):
                    yield from _called(data, gap, end)
                brackets.append(_PAREN_OF_CONDITION if _CONDITION.search(gap[-_TAIL:]) else _PAREN)
                regex, brace = True, _OBJECT
            elif first == 0x7B:  # {
                opened = _opened(gap) if gap else brace
                brackets.append(opened)
                regex, brace = True, _BLOCK if opened == _BLOCK else _OBJECT
            elif first == 0x22 or first == 0x27:  # " '
                kind = _static(gap, clause)
                clause = None
                closed_ = end - start > 1
                if end - start == 1:
                    end, closed_ = _inside(data, end, first)
                if kind == "export-as":
                    clause = "export-from"
                elif kind and closed_:
                    yield kind, _value(data[start + 1 : end - 1]), start
                pos, carried, regex, brace = end, b"", False, _BLOCK
                continue
            elif first == 0x60:  # `
                regex, brace = False, _BLOCK
                if end - start == 1:
                    end, regex = _template(data, end, brackets)
                    brace = _OBJECT if regex else _BLOCK
            elif first == 0x2F and end - start == 1:  # /
                divides = not (_begins_expression(gap) if gap else regex)
                if not divides:
                    stop, closed_ = _regex(data, end) if budget > 0 else (end, False)
                    if closed_:
                        end = stop
                    else:
                        budget -= stop - end
                        divides = True
                regex, brace = divides, _OBJECT if divides else _BLOCK
            elif first == 0x5C:  # an escape in a name
                pos, carried, clause = end, b"$", None
                continue
            else:  # a comment
                if data[start:end] == b"/*":
                    stop = data.find(b"*/", end)
                    end = len(data) if stop < 0 else stop + 2
                else:
                    end = run(_LINE, data, end)
                    end += 3 if data.startswith(b"\xe2", end) else 0
                if match := _SOURCE_MAP.match(data, start, end):
                    yield "source-map", match[1].decode(errors="replace"), start
                pos, carried = end, gap[-_LOOKED_AT:] + b" " if gap else b""
                continue
            clause = None
        pos, carried = end, b""


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


def _called(data: bytes, gap: bytes, pos: int) -> Iterator[tuple[str, str, int]]:
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


def _template(data: bytes, pos: int, brackets: bytearray) -> tuple[int, bool]:
    """Where the characters of a template at *pos* end, and whether it is with ``${``, which joins *brackets*."""
    end, closed = _inside(data, pos, 0x60)
    if closed or not data.startswith(b"${", end):
        return end, False
    brackets.append(_TEMPLATE)
    return end + 2, True


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
