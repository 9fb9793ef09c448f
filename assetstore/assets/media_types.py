"""Media types by file name, their charset parameter, and which kinds gain from compression.

The tables are in this package: what an operating system or a Windows registry knows of ``.js`` or
``.woff2`` differs from machine to machine, and a script with a wrong type does not run under
``X-Content-Type-Options: nosniff``. ``media_types.txt`` holds the IANA registry and the common
unregistered types; the table below holds what differs from it, or is missing there.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple

from assetstore.assets.paths import extension
from assetstore.errors import SettingsError

#: The type of a name that no table knows.
DEFAULT = "application/octet-stream"

# One line per media type: the type, "+" if its bytes gain from compression, extensions without their dot.
_TABLE = """
application/geopackage+sqlite3           + gpkg
application/gzip                         - gz tgz
application/java-archive                 - jar
application/json                         + topojson webapp code-workspace
application/jsonl                        + jsonl ndjson
application/opensearchdescription+xml    + osdx
application/pgp-signature                - sig
application/schema+json                  + jsonschema
application/speculationrules+json        + speculationrules
application/vnd.apple.pkpasses           - pkpasses
application/vnd.mapbox-vector-tile       - mvt
application/vnd.pmtiles                  - pmtiles
application/vnd.sqlite3                  + sqlite sqlite3
application/x-apple-aspen-config         + mobileconfig
application/x-protobuf                   + pb pbf
application/xslt+xml                     + xslt
application/yaml                         + openapi
application/zstd                         - zst
audio/flac                               - flac
audio/wav                                - wav
font/collection                          + ttc
image/jpeg                               - jfif
image/svg+xml                            - svgz
image/vnd.microsoft.icon                 + cur
image/vnd.radiance                       - hdr
model/stl                                + stl
text/javascript                          + cjs
text/plain                               + asc
text/vcard                               + vcf
text/x-typescript                        + tsx cts
text/xml                                 + xml xsl
video/mp2t                               - mts m2ts
video/mp4                                - mp4 m4v
"""

# Names whose extension does not tell their type.
_BY_NAME = {
    "apple-app-site-association": "application/json",
    "crossdomain.xml": "text/x-cross-domain-policy",
}

# Text by its format although the type does not begin with text/. RFC 8259 section 11 defines no charset
# parameter for JSON; it is harmless there, and old clients guess without it.
_TEXT = re.compile(
    r"text/.*|application/(json|json5|jsonl|toml|yaml|rtf|xml|xml-dtd)|.*\+(json|xml|yaml)"
    r"|application/vnd\.apple\.mpegurl",
    re.ASCII,
)
# RFC 6838 section 4.2.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}", re.ASCII)
_PARAMETERS = re.compile(r"""(\s*;\s*[\w!#$&^.+-]+=([\w!#$&^.+-]+|"[ !#-\[\]-~]*"))*""", re.ASCII)

#: Bytes at the start of a file in which it may declare its own encoding (HTML standard, "prescan").
DECLARATION_BYTES = 1024
_DECLARATIONS = (
    re.compile(rb'\s*<\?xml\s[^>]*encoding\s*=\s*["\']([\w.:-]+)', re.IGNORECASE),
    re.compile(rb'@charset "([\w.:-]+)";'),
    re.compile(rb'\s*<(?:[^\0]*?<)?meta\s[^>]*charset\s*=\s*["\']?([\w.:-]+)', re.IGNORECASE),
)


@cache
def _by_extension() -> tuple[Mapping[str, str], frozenset[str]]:
    """Media type by extension with its dot, and the types that gain from compression."""
    import pkgutil

    registry = (pkgutil.get_data(__package__, "media_types.txt") or b"").decode("ascii")
    rows = [line.split() for line in f"{registry}\n{_TABLE}".splitlines() if line and not line.startswith("#")]
    types = {f".{name}": media_type for media_type, _, *names in rows for name in names}
    return types, frozenset(row[0] for row in rows if row[1] == "+")


class Kind(NamedTuple):
    """What the name of a file says of it."""

    #: With the parameters that a mount gives it.
    media_type: str
    #: The same with the charset of a text file that is UTF-8.
    content_type: str
    #: Without parameters, in lower case.
    bare: str
    #: Whether the charset depends on the file's content.
    is_text: bool
    #: Whether files of this kind usually become smaller.
    compressible: bool
    #: Whether a sibling in another coding may exist.
    may_have_variants: bool
    #: The content coding that the format itself implies.
    coding: str | None


class MediaTypes:
    """The media types of one mount.

    Args:
        own: media types by extension (``.usdz``, ``.d.ts``) or whole name (``CNAME``), before the tables; a type
            with parameters (``"text/plain; charset=iso-8859-1"``) is sent as it is.

    Raises:
        SettingsError: a key is a path or a pattern, or a value is no media type (RFC 9110 section 8.3.1).
    """

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._own = {_key(key): _value(key, value) for key, value in (own or {}).items()}
        self._make = lru_cache(maxsize=4096)(self._make_kind)

    def kind(self, path: str) -> Kind:
        """What the name of a file says of it."""
        name = path[path.rfind("/") + 1 :].lower()
        if not self._own and name not in _BY_NAME and (dot := name.rfind(".")) > 0 and name[0] != ".":
            name = f"*{name[dot:]}"  # so that there is one for each extension, and not for each file
        return self._make(name)

    def bare(self, path: str) -> str:
        """The media type without parameters, in lower case."""
        return self.kind(path).bare

    def of(self, path: str, *, utf8: bool = True) -> str:
        """The Content-Type of a logical path: ``text/css; charset=utf-8``, ``image/png``.

        Args:
            path: the logical path.
            utf8: false where the bytes of a text file are not UTF-8, or declare another encoding
                (:class:`TextCheck`): then there is no charset, and what the file declares counts.
        """
        kind = self.kind(path)
        return kind.content_type if utf8 else kind.media_type

    def is_text(self, path: str) -> bool:
        """Whether the charset depends on the file's content."""
        return self.kind(path).is_text

    def compressible(self, path: str) -> bool:
        """Whether files of this kind usually become smaller; already compressed formats do not."""
        return self.kind(path).compressible

    def is_asset(self, path: str) -> bool:
        """Whether the name is one of a file that pages refer to: of a known kind, and no page itself."""
        return self.bare(path) not in {DEFAULT, "text/html"}

    def may_have_variants(self, path: str) -> bool:
        """Whether a sibling in another coding may exist: for all but what is known to gain nothing."""
        return self.kind(path).may_have_variants

    def _make_kind(self, name: str) -> Kind:
        found = self._look_up(name)
        bare, coding = found.partition(";")[0].rstrip(), coding_of(name)
        is_text = coding is None and _TEXT.fullmatch(bare) is not None
        compressible = coding is None and (is_text or bare in _by_extension()[1])
        depends = is_text and ";" not in found
        return Kind(
            media_type=found,
            content_type=f"{found}; charset=utf-8" if depends else found,
            bare=bare,
            is_text=depends,
            compressible=compressible,
            may_have_variants=compressible or bare == DEFAULT,
            coding=coding,
        )

    def _look_up(self, name: str) -> str:
        if self._own:
            if name in self._own:
                return self._own[name]
            dot = name.find(".")
            while dot >= 0:  # the longest extension first: .d.ts before .ts
                if name[dot:] in self._own:
                    return self._own[name[dot:]]
                dot = name.find(".", dot + 1)
        return _BY_NAME.get(name) or _by_extension()[0].get(extension(name), DEFAULT)


def coding_of(path: str) -> str | None:
    """The content coding that the format itself implies: ``gzip`` for ``.svgz`` (SVG 2 section 1.2), else ``None``."""
    return "gzip" if extension(path) == ".svgz" else None


class TextCheck:
    """Whether bytes that come in pieces are UTF-8 and declare no other encoding."""

    def __init__(self) -> None:
        self._valid = True
        self._start = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    @property
    def is_utf8(self) -> bool:
        """Whether the pieces so far are."""
        return self._valid and declared_encoding(self._start) in {None, "utf-8", "utf8", "us-ascii", "ascii"}

    def end(self) -> None:
        """Nothing more comes: a character that is cut off is none."""
        self._valid = self._valid and self._decoder.getstate()[0] == b""

    def update(self, piece: bytes) -> None:
        """Take the next *piece*."""
        if len(self._start) < DECLARATION_BYTES:
            self._start += piece[: DECLARATION_BYTES - len(self._start)]
        if self._valid:
            try:
                self._decoder.decode(piece)
            except UnicodeDecodeError:
                self._valid = False


def is_utf8(content: bytes) -> bool:
    """Whether all of *content* is UTF-8, and declares no other encoding."""
    start = content[:DECLARATION_BYTES].lower()
    if content.isascii() and b"charset" not in start and b"encoding" not in start:
        return True  # as nearly every script and style sheet
    check = TextCheck()
    check.update(content)
    check.end()
    return check.is_utf8


def declared_encoding(start: bytes) -> str | None:
    """The encoding that an XML declaration, ``@charset`` or ``<meta charset>`` names, in lower case.

    A UTF-8 byte order mark wins over them, as it does in browsers (HTML standard, "BOM sniff").
    """
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8"
    for declaration in _DECLARATIONS:
        if (match := declaration.match(start)) is not None:
            return match[1].decode("ascii", "replace").lower()
    return None


def _key(key: object) -> str:
    if isinstance(key, str) and key.strip(".") and not set(key) & set("/\\*?") and key.isprintable():
        return key.lower()
    raise SettingsError(f"media_types has the key {key!r}; give an extension such as '.usdz', or a whole file name")


def _value(key: str, value: object) -> str:
    if isinstance(value, str):
        media_type, semicolon, parameters = value.strip().partition(";")
        if _MEDIA_TYPE.fullmatch(media_type.rstrip()) and _PARAMETERS.fullmatch(semicolon + parameters):
            return media_type.rstrip().lower() + semicolon + parameters
    raise SettingsError(f"media_types[{key!r}]={value!r} is no media type; give one such as 'model/vnd.usdz+zip'")


#: The types where no mount has its own.
STANDARD = MediaTypes()
of = STANDARD.of
compressible = STANDARD.compressible
is_asset = STANDARD.is_asset
may_have_variants = STANDARD.may_have_variants
