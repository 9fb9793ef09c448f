"""This module owns the media type of every kind of asset, and which kinds gain from compression.

The table is our own: what the operating system or a Windows registry knows about ``.js`` or
``.woff2`` differs from machine to machine, and a wrong type is a blank page under ``nosniff``.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from assetstore.assets.paths import extension

#: What is sent for a name that the table does not know.
DEFAULT = "application/octet-stream"

# One line per media type: the type, then the extensions (without their dot) that have it.
_TABLE = """
text/css                                 css
text/csv                                 csv
text/html                                html htm shtml
text/javascript                          js mjs cjs
text/calendar                            ics
text/markdown                            md markdown
text/plain                               txt text log conf ini asc
text/tab-separated-values                tsv
text/vcard                               vcf vcard
text/vtt                                 vtt
text/x-component                         htc
text/xml                                 xml xsl xslt
text/yaml                                yaml yml
application/atom+xml                     atom
application/epub+zip                     epub
application/geo+json                     geojson
application/gzip                         gz tgz
application/java-archive                 jar
application/json                         json map topojson webapp
application/jsonl                        jsonl ndjson
application/ld+json                      jsonld
application/manifest+json                webmanifest
application/msword                       doc
application/opensearchdescription+xml    osdx
application/pdf                          pdf
application/pgp-signature                sig
application/postscript                   ps eps ai
application/rdf+xml                      rdf
application/rss+xml                      rss
application/rtf                          rtf
application/schema+json                  jsonschema
application/speculationrules+json        speculationrules
application/toml                         toml
application/vnd.android.package-archive  apk
application/vnd.apple.installer+xml      mpkg
application/vnd.apple.mpegurl            m3u8
application/vnd.google-earth.kml+xml     kml
application/vnd.google-earth.kmz         kmz
application/vnd.ms-excel                 xls
application/vnd.ms-fontobject            eot
application/vnd.ms-powerpoint            ppt
application/vnd.oasis.opendocument.presentation  odp
application/vnd.oasis.opendocument.spreadsheet   ods
application/vnd.oasis.opendocument.text          odt
application/vnd.openxmlformats-officedocument.presentationml.presentation  pptx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet          xlsx
application/vnd.openxmlformats-officedocument.wordprocessingml.document    docx
application/vnd.sqlite3                  sqlite sqlite3
application/wasm                         wasm
application/x-7z-compressed              7z
application/x-bzip2                      bz2
application/x-protobuf                   pb
application/x-tar                        tar
application/x-xz                         xz
application/x-x509-ca-cert               der pem crt
application/xhtml+xml                    xhtml
application/yaml                         openapi
application/zip                          zip
application/zstd                         zst
audio/aac                                aac
audio/flac                               flac
audio/midi                               mid midi
audio/mp4                                m4a
audio/mpeg                               mp3
audio/ogg                                oga ogg opus
audio/wav                                wav
audio/webm                               weba
font/collection                          ttc
font/otf                                 otf
font/ttf                                 ttf
font/woff                                woff
font/woff2                               woff2
image/apng                               apng
image/avif                               avif
image/bmp                                bmp
image/gif                                gif
image/heic                               heic
image/heif                               heif
image/jpeg                               jpg jpeg jpe jfif
image/jxl                                jxl
image/png                                png
image/svg+xml                            svg
image/tiff                               tif tiff
image/vnd.adobe.photoshop                psd
image/vnd.microsoft.icon                 ico cur
image/webp                               webp
model/gltf+json                          gltf
model/gltf-binary                        glb
model/stl                                stl
model/vnd.usdz+zip                       usdz
video/3gpp                               3gp
video/iso.segment                        m4s
video/mp2t                               ts
video/mp4                                mp4 m4v
video/mpeg                               mpeg mpg
video/ogg                                ogv
video/quicktime                          mov
video/webm                               webm
video/x-matroska                         mkv
video/x-msvideo                          avi
"""

# Names without a useful extension whose type a client insists on.
_BY_NAME = {
    "apple-app-site-association": "application/json",
    "crossdomain.xml": "text/x-cross-domain-policy",
}

# Text by nature although the type does not begin with text/ (RFC 8259 section 8.1 gives JSON no
# charset parameter, but naming it is harmless and spares old clients a guess).
_TEXT = re.compile(
    r"text/.*|application/(json|jsonl|toml|yaml|rtf)|.*\+(json|xml)|application/vnd\.apple\.mpegurl", re.ASCII
)

# Binary formats that hold their bytes uncompressed.
_LOOSE_BINARY = frozenset(
    {
        "application/vnd.ms-fontobject",
        "application/vnd.sqlite3",
        "application/postscript",
        "application/wasm",
        "application/x-protobuf",
        "application/x-tar",
        "font/collection",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/vnd.adobe.photoshop",
        "image/vnd.microsoft.icon",
        "model/gltf-binary",
        "model/stl",
    }
)


def _read(table: str) -> dict[str, str]:
    rows = (line.split() for line in table.strip().splitlines())
    return {f".{name}": media_type for media_type, *names in rows for name in names}


_BY_EXTENSION = _read(_TABLE)


@lru_cache(maxsize=4096)  # one request asks several times
def _bare(path: str) -> str:
    """The media type without parameters."""
    name = posixpath.basename(path).lower()
    return _BY_NAME.get(name) or _BY_EXTENSION.get(extension(path), DEFAULT)


def of(path: str) -> str:
    """The full Content-Type of a logical path: ``text/css; charset=utf-8``, ``image/png``."""
    media_type = _bare(path)
    return f"{media_type}; charset=utf-8" if _TEXT.fullmatch(media_type) else media_type


def compressible(path: str) -> bool:
    """Whether files of this kind usually become smaller; already compressed formats do not."""
    media_type = _bare(path)
    return media_type in _LOOSE_BINARY or _TEXT.fullmatch(media_type) is not None


def is_asset(path: str) -> bool:
    """Whether the name is one of a file that pages refer to: of a known kind, and no page itself."""
    return _bare(path) not in {DEFAULT, "text/html"}


def may_have_variants(path: str) -> bool:
    """Whether it is worth looking for a sibling in another coding: for all but what is known to gain nothing."""
    return _bare(path) == DEFAULT or compressible(path)
