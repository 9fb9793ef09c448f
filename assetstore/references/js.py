"""This module owns how a JavaScript module is read for what it imports.

The tree comes from tree-sitter's JavaScript grammar, so strings, templates, comments and
regular expressions that merely look like imports are none, and a file with a syntax error is
still read as far as it makes sense. The bytes are never changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from assetstore.assets.paths import extension
from assetstore.backends.base import FileStat
from assetstore.errors import SettingsError
from assetstore.references.reference import Place, Reference

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query

#: One pattern for each syntax; its capture's name is the reference's kind.
_PATTERNS = """
(import_statement source: (string) @import)
(export_statement source: (string) @export-from)
(call_expression function: (import) arguments: (arguments . [(string) (template_string)] @dynamic-import))
(call_expression
  function: (member_expression object: (meta_property) @_meta property: (property_identifier) @_resolve)
  arguments: (arguments . [(string) (template_string)] @resolve)
  (#eq? @_meta "import.meta") (#eq? @_resolve "resolve"))
(new_expression
  constructor: (identifier) @_URL
  arguments: (arguments . [(string) (template_string)] @url
              . (member_expression object: (meta_property) @_meta property: (property_identifier) @_property) .)
  (#eq? @_URL "URL") (#eq? @_meta "import.meta") (#eq? @_property "url"))
((comment) @source-map (#match? @source-map "^//[#@][ \\t]*sourceMappingURL="))
"""

#: ECMA-262 section 12.9.4, SingleEscapeCharacter.
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_CODE_POINT = re.compile(r"(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\})")
_LINE_CONTINUATIONS = frozenset({"\n", "\r", "\r\n", "\u2028", "\u2029"})

#: The kinds that the import map answers for; ``url`` and ``source-map`` are resolved without it.
MAPPED = frozenset({"import", "export-from", "dynamic-import", "resolve"})
#: The kinds that a browser fetches before the module runs.
EAGER = frozenset({"import", "export-from"})


@cache
def available() -> bool:
    """Whether the lexer is installed; without it an import map still has its pins."""
    return find_spec("tree_sitter") is not None and find_spec("tree_sitter_javascript") is not None


def require() -> None:
    """Find out now, not at the first page, whether the lexer is installed.

    Raises:
        SettingsError: it is not; the message says how to install it.
    """
    _grammar()


@cache
def _grammar() -> tuple[Language, Query]:
    try:
        import tree_sitter_javascript
        from tree_sitter import Language, Query
    except ImportError as error:
        raise SettingsError(
            "reading scripts for imports needs tree-sitter; install it with: pip install 'assetstore[js]'"
        ) from error
    language = Language(tree_sitter_javascript.language())
    return language, Query(language, _PATTERNS)


def scan(data: bytes) -> list[Reference]:
    """Every literal specifier in the module *data*, in order; computed ones cannot be known.

    Kinds are ``import``, ``export-from``, ``dynamic-import``, ``resolve`` (``import.meta.resolve``),
    ``url`` (``new URL(…, import.meta.url)``) and ``source-map``.
    """
    language, query = _grammar()
    from tree_sitter import Parser, QueryCursor

    # A parser may not be shared between threads; it is cheap to make, the language and the query are not.
    captures = QueryCursor(query).captures(Parser(language).parse(data).root_node)
    nodes = [(node, kind) for kind, found in captures.items() if not kind.startswith("_") for node in found]
    return list(_references(sorted(nodes, key=lambda each: each[0].start_byte), data))


def _references(nodes: list[tuple[Node, str]], data: bytes) -> Iterator[Reference]:
    for node, kind in nodes:
        text = (node.text or b"").decode(errors="replace")
        url = text.partition("=")[2].strip() if kind == "source-map" else _literal(node)
        if url is not None:
            yield Reference(kind, url, _place(node, data))


def _literal(node: Node) -> str | None:
    """The value of a string, or of a template without substitutions."""
    parts = []
    for child in node.named_children:
        text = (child.text or b"").decode(errors="replace")
        if child.type == "escape_sequence":
            parts.append(_unescaped(text[1:]))
        elif child.type == "string_fragment":
            parts.append(text)
        else:
            return None
    return "".join(parts)


def _unescaped(escape: str) -> str:
    if escape in _LINE_CONTINUATIONS:
        return ""
    if match := _CODE_POINT.fullmatch(escape):
        code_point = int(next(filter(None, match.groups())), 16)
        return chr(code_point) if code_point <= 0x10FFFF else "\ufffd"
    return _ESCAPES.get(escape, escape)


def _place(node: Node, data: bytes) -> Place:
    before = data[node.start_byte - node.start_point.column : node.start_byte]
    return Place(node.start_point.row + 1, len(before.decode(errors="replace")) + 1)


#: How many bytes of a module are read.
MAX_BYTES = 2 * 1024 * 1024
_MODULE_EXTENSIONS = frozenset({".js", ".mjs"})


def is_module(path: str) -> bool:
    """Whether *path* names a JavaScript file."""
    return extension(path) in _MODULE_EXTENSIONS


def is_read(stat: FileStat) -> bool:
    """Whether that file is read for imports: a module of a sane size, where the lexer is installed."""
    return is_module(stat.path) and stat.size <= MAX_BYTES and available()
