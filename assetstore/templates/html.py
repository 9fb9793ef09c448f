"""HTML tags and JSON in them, escaped so that no name and no value can end one early."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup as Markup
from markupsafe import escape

from assetstore.errors import SettingsError

#: Values of attributes: text, ``True`` for a bare attribute, ``None`` and ``False`` for none at all.
Attribute = str | int | bool | None

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:._-]*")
#: What may not stand in JSON within a script element: ``</script>``, ``<!--`` and ``]]>`` need one of these.
_IN_SCRIPT = {ord(each): f"\\u{ord(each):04x}" for each in "<>&"}


def attributes(given: Mapping[str, Attribute]) -> Markup:
    """The attributes of a tag, each after a blank. ``data_turbo_track`` is written ``data-turbo-track``, ``as_`` ``as``.

    Raises:
        SettingsError: a name is no attribute name.
    """
    written = []
    for name, value in given.items():
        name = name.rstrip("_").replace("_", "-")
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{name!r} is no name of an HTML attribute")
        if value is True:
            written.append(Markup(f" {name}"))
        elif value is not None and value is not False:
            written.append(Markup(' {}="{}"').format(Markup(name), escape(value)))
    return Markup("").join(written)


def link(given: Mapping[str, Attribute]) -> Markup:
    """A ``<link>``."""
    return Markup("<link{}>").format(attributes(given))


def script(given: Mapping[str, Attribute], content: Markup | None = None) -> Markup:
    """A ``<script>``; *content* must be free of ``<``, as :func:`json_for_script` makes it."""
    return Markup("<script{}>{}</script>").format(attributes(given), content or "")


def lines(tags: Iterable[Markup]) -> Markup:
    """Tags, one on each line."""
    return Markup("\n").join(tags)


def json_for_script(value: Any) -> Markup:
    """JSON that may stand in a script element: ASCII, and ``<``, ``>`` and ``&`` only as escapes.

    The same value gives the same text on every machine, so that its hash can stand in a policy.
    """
    return Markup(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).translate(_IN_SCRIPT))
