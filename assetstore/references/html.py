"""References in HTML, SVG and web application manifests: a linear tokenizer after the HTML standard, section 13.2.5.

Found are ``src``, ``href``, ``srcset``, ``imagesrcset``, ``poster`` and ``data`` of the elements that
fetch with them, style sheets in ``style`` attributes and elements, and import maps. Links to other
pages are none. Any bytes are accepted.

Of a manifest (W3C) the images are found, by a linear scan of its strings.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from itertools import islice

from assetstore.references import css
from assetstore.references.reference import MAX_REFERENCES, Located, Position, Positions, Reference, is_relative, run

_TEXT = re.compile(rb"(?:[^<]{1,4096}+|<(?=[^A-Za-z/!?])){0,100}+")
_TAG_NAME = re.compile(rb"<[A-Za-z][^\s/>]{0,64}+")
_BETWEEN = re.compile(rb"(?:[\s/]{1,4096}+){0,100}+")
_NAME = re.compile(rb"=?[^\s/>=]{0,256}+")
_EQUALS = re.compile(rb"\s{0,4096}+=\s{0,4096}+")
_UNQUOTED = re.compile(rb"(?:[^\s>]{1,4096}+){0,100}+")
_CANDIDATE = re.compile(rb"[\s,]{0,256}+([^\s]{1,65536}+)")
_DESCRIPTORS = re.compile(rb"(?:[^(),]{1,256}+|\([^()]{0,256}+\)){0,16}+")

#: Which elements fetch the URL of an attribute.
_URLS = {
    b"src": {b"img", b"script", b"source", b"video", b"audio", b"track", b"embed", b"input"},
    b"href": {b"link", b"image", b"use", b"feimage", b"script"},
    b"xlink:href": {b"image", b"use", b"feimage", b"script"},
    b"poster": {b"video"},
    b"data": {b"object"},
    b"srcset": {b"img", b"source"},
    b"imagesrcset": {b"link"},
}
#: The link types that fetch a file for the page; others lead to pages.
_LINK_TYPES = frozenset(
    b"stylesheet icon apple-touch-icon apple-touch-icon-precomposed apple-touch-startup-image mask-icon "
    b"preload modulepreload manifest".split()
)
#: Elements whose content is text up to their end tag.
_RAW_TEXT = frozenset({b"script", b"style", b"textarea", b"title", b"xmp", b"iframe", b"noembed", b"noframes"})
_NOWHERE = Position(0, 0)
#: What a URL holds that a template engine has yet to make.
_TEMPLATE_MARKS = ("{{", "{%", "<%", "${")


def scan(data: bytes, *, xml: bool = False) -> list[Located]:
    """Every reference of the page *data*, or of an SVG with *xml*, in order. Never raises."""
    positions = Positions(data)
    found, _ = Scanner(xml=xml).scan(data, final=True)
    return [
        Located(
            Reference(each.reference.kind, each.reference.url, positions.at(each.start)),
            each.start,
            each.stop,
            each.spell,
        )
        for each in found
    ]


def scan_svg(data: bytes) -> list[Located]:
    """Every reference of the SVG *data*, in order. Never raises."""
    return scan(data, xml=True)


class Scanner:
    """Reads a page, in pieces if need be."""

    def __init__(self, *, xml: bool = False) -> None:
        self._xml = xml
        #: Whether a ``<base href>`` has moved what relative URLs mean.
        self._moved = False

    def scan(self, data: bytes, *, final: bool) -> tuple[list[Located], int]:
        """The references in *data*, without positions, and how much of it was read.

        The rest, which is no whole tag or element, has to come again with what follows it, unless
        this is the *final* piece.
        """
        found: list[Located] = []
        pos = 0
        while pos < len(data):
            pos = run(_TEXT, data, pos)
            end = self._markup(data, pos, found) if pos < len(data) else pos
            if end < 0:
                return found[:MAX_REFERENCES], len(data) if final else pos
            pos = end
        return list(islice(found, MAX_REFERENCES)), pos

    def _markup(self, data: bytes, pos: int, found: list[Located]) -> int:
        """Where the tag or comment at *pos* ends, with its raw text; -1 if it does not."""
        if data.startswith(b"<!--", pos):
            return _after(data, b"-->", pos + 2)  # <!--> is a whole comment
        if self._xml and data.startswith(b"<![CDATA[", pos):
            return _after(data, b"]]>", pos)
        tag = _TAG_NAME.match(data, pos)
        if tag is None:
            return _after(data, b">", pos)
        name = tag[0][1:].lower()
        attributes: dict[bytes, tuple[int, int]] = {}
        end = _attributes(data, tag.end(), attributes)
        if end < 0:
            return -1
        content: tuple[int, int] | None = None
        if name in _RAW_TEXT and not (self._xml and data.startswith(b"/>", end - 2)):
            stop = _raw_text_end(data, end, name)
            if stop < 0:
                return -1
            content, end = (end, stop), stop
        self._collect(data, name, attributes, found)
        if content is not None:
            self._collect_content(data, name, attributes, content, found)
        return end

    def _collect(
        self, data: bytes, name: bytes, attributes: dict[bytes, tuple[int, int]], found: list[Located]
    ) -> None:
        if name == b"base" and b"href" in attributes and data[slice(*attributes[b"href"])].strip():
            self._moved = True
        for attribute, (start, stop) in attributes.items():
            if attribute == b"style":
                if b"&" not in data[start:stop]:  # with character references, no place in it would be known
                    self._styles(data, start, stop, found, in_attribute=True)
            elif name not in _URLS.get(attribute, ()) or (name == b"link" and not _fetches(data, attributes)):
                continue
            elif attribute in {b"srcset", b"imagesrcset"}:
                for begin, end in _candidates(data, start, stop):
                    self._add(attribute, data, begin, end, found)
            else:
                self._add(b"use" if name == b"use" else attribute, data, start, stop, found)

    def _add(self, kind: bytes, data: bytes, start: int, stop: int, found: list[Located]) -> None:
        url = html.unescape(data[start:stop].decode(errors="replace"))
        self._append(Located(Reference(kind.decode(), url, _NOWHERE), start, stop, _spell), found)

    def _append(self, located: Located, found: list[Located]) -> None:
        url = located.reference.url
        if not (self._moved and is_relative(url)) and not any(mark in url for mark in _TEMPLATE_MARKS):
            found.append(located)

    def _collect_content(
        self,
        data: bytes,
        name: bytes,
        attributes: dict[bytes, tuple[int, int]],
        content: tuple[int, int],
        found: list[Located],
    ) -> None:
        if name == b"style":
            self._styles(data, *content, found)
        elif name == b"script" and data[slice(*attributes.get(b"type", (0, 0)))].strip().lower() == b"importmap":
            for url, start, stop in import_map(data, *content):
                self._append(Located(Reference("importmap", url, _NOWHERE), start, stop, _spell_in_json), found)

    def _styles(self, data: bytes, start: int, stop: int, found: list[Located], *, in_attribute: bool = False) -> None:
        content = data[start:stop]
        if (opening := content.find(b"<![CDATA[")) >= 0 and not content[:opening].strip():
            start += opening + 9
            content = data[start:stop]
        for each in css.scan(content):
            spell = _spell_in_style if in_attribute else each.spell
            reference = Reference(each.reference.kind, each.reference.url, _NOWHERE)
            self._append(Located(reference, each.start + start, each.stop + start, spell), found)


def _attributes(data: bytes, pos: int, attributes: dict[bytes, tuple[int, int]]) -> int:
    """Where the tag whose attributes begin at *pos* ends; -1 if it does not. The first of a name counts."""
    while True:
        pos = run(_BETWEEN, data, pos)
        if pos >= len(data):
            return -1
        if data[pos] == 0x3E:  # >
            return pos + 1
        name = _NAME.match(data, pos)
        assert name is not None  # it matches anything
        pos = max(name.end(), pos + 1)
        start = stop = pos
        if equals := _EQUALS.match(data, pos):
            pos = start = equals.end()
            quote = data[pos : pos + 1]
            if quote in (b'"', b"'"):
                start, stop = pos + 1, data.find(quote, pos + 1)
                if stop < 0:
                    return -1
                pos = stop + 1
            else:
                pos = stop = run(_UNQUOTED, data, pos)
        if len(attributes) < 256:
            attributes.setdefault(name[0].lower(), (start, stop))


def _after(data: bytes, mark: bytes, pos: int) -> int:
    found = data.find(mark, pos)
    return found if found < 0 else found + len(mark)


def _raw_text_end(data: bytes, pos: int, name: bytes) -> int:
    """Where the end tag of the element *name* begins; -1 if there is none."""
    while (pos := data.find(b"</", pos)) >= 0:
        end = pos + 2 + len(name)
        if data[pos + 2 : end].lower() == name and data[end : end + 1] in (
            b" ",
            b"\t",
            b"\n",
            b"\r",
            b"\f",
            b"/",
            b">",
        ):
            return pos
        pos += 2
    return -1


def _fetches(data: bytes, attributes: dict[bytes, tuple[int, int]]) -> bool:
    """Whether a ``<link>`` is of a type that fetches a file."""
    return not _LINK_TYPES.isdisjoint(data[slice(*attributes.get(b"rel", (0, 0)))].lower().split())


def _candidates(data: bytes, pos: int, stop: int) -> Iterator[tuple[int, int]]:
    """The spans of the URLs of a ``srcset`` (HTML standard, section 4.8.4.2.1)."""
    while candidate := _CANDIDATE.match(data, pos, stop):
        start, end = candidate.span(1)
        pos = end
        url = data[start:end].rstrip(b",")
        if url:
            yield start, start + len(url)
        if len(url) == end - start:
            after = _DESCRIPTORS.match(data, pos, stop)
            pos = after.end() if after else pos
            if pos < stop and data[pos] != 0x2C:
                return


def _spell(url: str) -> str:
    """*url* as an attribute's value, with or without quotes."""
    return html.escape(url).replace(" ", "%20")


def _spell_in_style(url: str) -> str:
    return html.escape(css.spell(url))


_TOKEN = re.compile(rb"""[^"{}\[\],:]{0,4096}+("|[{}\[\],:])?""")
_IN_STRING = re.compile(rb"""(?:[^"\\]{1,4096}+|\\[\s\S]){0,100}+""")
#: Deeper structure holds no reference.
_MAX_DEPTH = 8
_IMAGES = frozenset({("icons", "[]", "src"), ("screenshots", "[]", "src"), ("shortcuts", "[]", "icons", "[]", "src")})


def scan_manifest(data: bytes) -> list[Located]:
    """The images of the web manifest *data*, in order. Never raises."""
    positions = Positions(data)
    found = ((url, start, stop) for path, url, start, stop in strings(data, 0, len(data)) if path in _IMAGES)
    return [
        Located(Reference("src", url, positions.at(start)), start, stop, _spell_in_json)
        for url, start, stop in islice(found, MAX_REFERENCES)
    ]


def import_map(data: bytes, start: int, stop: int) -> Iterator[tuple[str, int, int]]:
    """The URLs in the import map that is the given part of *data*, each with its span."""
    for path, value, begin, end in strings(data, start, stop):
        section = path[0] if path else ""
        if (section, len(path)) in {("imports", 2), ("scopes", 3)}:
            yield value, begin, end


def _spell_in_json(url: str) -> str:
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
