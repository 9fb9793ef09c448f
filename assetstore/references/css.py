"""This module owns how a style sheet is read for references, and how they are replaced in it.

The tokens come from tinycss2, which follows CSS Syntax Level 3; nothing is matched in the raw
text. A token tells its line and column but not its end, so the end is looked for from there, and
accepted only when tinycss2 reads that slice as the very same token. Everything outside the
replaced spans stays as it was, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from assetstore.errors import SettingsError
from assetstore.references.reference import Place, Reference

#: A line break of CSS Syntax section 3.3, before its normalisation.
_LINE_BREAK = re.compile(r"\r\n|[\r\n\f]")
_QUOTED = re.compile(r"""(["'])(?P<url>(?:\\(?:\r\n|.)|(?!\1)[^\\])*)\1?""", re.DOTALL)
_UNQUOTED = re.compile(r"[^(]*\([ \t\r\n\f]*(?P<url>(?:\\.|[^\\)])*?)[ \t\r\n\f]*(?:\)|\Z)", re.DOTALL)
_DATA = re.compile(r"\s*data:", re.IGNORECASE)
_SOURCE_MAP = re.compile(r"[#@][ \t]*sourceMappingURL=[ \t]*(\S+)\s*")
#: What has to be escaped so that a URL may stand in quotes of either kind and without any.
_SPECIAL = re.compile(r"""["'()\\\x00-\x20\x7f]""")
_IMAGE_SETS = frozenset({"image-set", "-webkit-image-set"})
_URL_FUNCTIONS = frozenset({"url", "src"})
_BLOCKS = frozenset({"{} block", "[] block", "() block"})
_BLANK = frozenset({"whitespace", "comment"})
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Found:
    """A reference of a style sheet, and the half-open span of characters that spells its URL."""

    reference: Reference
    start: int
    stop: int


def require() -> None:
    """Find out now, not at the first style sheet, whether the parser is installed.

    Raises:
        SettingsError: it is not; the message says how to install it.
    """
    _tinycss2()


@cache
def _tinycss2() -> ModuleType:
    try:
        import tinycss2
    except ImportError as error:
        raise SettingsError(
            "reading style sheets for references needs tinycss2; install it with: pip install 'assetstore[css]'"
        ) from error
    module: ModuleType = tinycss2
    return module


def decode(data: bytes) -> str:
    """The text of a style sheet, from which :func:`encode` gives back exactly the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes of :func:`decode`'s text."""
    return text.encode("utf-8", "surrogateescape")


def scan(text: str) -> list[Found]:
    """Every reference that a browser would follow from the style sheet *text*, in order.

    These are ``url()``, ``src()`` and the strings of ``image-set()`` in declarations, ``@import``
    in all its forms, and the source map comment. Not followed, so not found: what stands in other
    comments, in the conditions of ``@supports`` and the like, and in ``@namespace``. ``data:``
    URLs carry their bytes themselves and are left out.
    """
    return sorted(_Scanner(text).found(), key=lambda each: each.start)


def rewrite(text: str, found: Iterable[Found], replacement: Callable[[Reference], str | None]) -> str:
    """*text* with the URL of each *found* reference replaced by what *replacement* gives; ``None`` keeps it."""
    parts, end = [], 0
    for each in found:
        if (url := replacement(each.reference)) is None:
            continue
        in_comment = each.reference.kind == "source-map"
        parts += [text[end : each.start], url if in_comment else _SPECIAL.sub(_escaped, url)]
        end = each.stop
    return "".join([*parts, text[end:]])


def _escaped(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):x} "


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._skipped = len(_BOM) if text.startswith(_BOM) else 0
        breaks = _LINE_BREAK.finditer(text, self._skipped)
        self._line_starts = [self._skipped, *(each.end() for each in breaks)]

    def found(self) -> Iterator[Found]:
        pending = [(_tinycss2().parse_component_value_list(self._text[self._skipped :]), True)]
        while pending:
            tokens, top = pending.pop()
            for token, is_import in _followed(tokens, top=top):
                yield from self._references(token, is_import)
                inner = getattr(token, "arguments", None) if token.type == "function" else _block_of(token)
                if inner:
                    pending.append((inner, False))

    def _references(self, token: Any, is_import: bool) -> Iterator[Found]:
        match token.type:
            case "url":
                yield from self._url(token, "import" if is_import else "url")
            case "string" if is_import:
                yield from self._string(token, "import")
            case "comment":
                yield from self._source_map(token)
            case "function" if (name := token.lower_name) in _URL_FUNCTIONS:
                first = next((each for each in token.arguments if each.type not in _BLANK), None)
                if first is not None and first.type == "string":
                    yield from self._string(first, "import" if is_import else name)
            case "function" if token.lower_name in _IMAGE_SETS:
                for each in token.arguments:
                    if each.type == "string":
                        yield from self._string(each, "image-set")

    def _url(self, token: Any, kind: str) -> Iterator[Found]:
        yield from self._spelled(token, kind, _UNQUOTED)

    def _string(self, token: Any, kind: str) -> Iterator[Found]:
        yield from self._spelled(token, kind, _QUOTED)

    def _spelled(self, token: Any, kind: str, spelling: re.Pattern[str]) -> Iterator[Found]:
        if _DATA.match(token.value):
            return
        match = spelling.match(self._text, self._offset(token))
        if match and _reads_as(match[0], token):
            yield self._at(token, kind, token.value, match.span("url"))

    def _source_map(self, token: Any) -> Iterator[Found]:
        if match := _SOURCE_MAP.fullmatch(token.value):
            start = self._offset(token) + len("/*")
            yield self._at(token, "source-map", match[1], (start + match.start(1), start + match.end(1)))

    def _at(self, token: Any, kind: str, url: str, span: tuple[int, int]) -> Found:
        return Found(Reference(kind, url, Place(token.source_line, token.source_column)), *span)

    def _offset(self, token: Any) -> int:
        line_start = self._line_starts[int(token.source_line) - 1]
        return line_start + int(token.source_column) - 1


def _reads_as(text: str, token: Any) -> bool:
    read = [each for each in _tinycss2().parse_component_value_list(text) if each.type != "error"]
    return len(read) == 1 and read[0].type == token.type and read[0].value == token.value


def _followed(tokens: Iterable[Any], *, top: bool) -> Iterator[tuple[Any, bool]]:
    """The tokens that may carry a reference, each with whether ``@import`` stands before it.

    The prelude of an at-rule (CSS Syntax section 9.1) fetches nothing, but for the first value of
    an ``@import``, which counts only outside every block.
    """
    remaining = iter(tokens)
    for token in remaining:
        if token.type != "at-keyword":
            yield token, False
            continue
        awaits_url = top and token.lower_value == "import"
        for each in remaining:
            if each.type == "{} block":
                yield each, False
            elif awaits_url and each.type not in _BLANK:
                awaits_url = False
                yield each, True
            if each.type == "{} block" or (each.type == "literal" and each.value == ";"):
                break


def _block_of(token: Any) -> list[Any] | None:
    return token.content if token.type in _BLOCKS else None
