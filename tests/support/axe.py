"""Faults of accessibility in a page, as axe-core finds them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from servers.programs import need_program


def serious_faults(page: Any, without: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Rule and first element of each serious or critical fault by WCAG 2 A and AA in a page of Playwright.

    What matches a selector of *without* is left out.
    """
    page.evaluate(_axe())
    where = {"exclude": [[each] for each in without]} if without else {}
    options = {"runOnly": ["wcag2a", "wcag2aa"]}
    found = page.evaluate("([where, options]) => axe.run(where, options)", [where or {"include": [["html"]]}, options])
    found = found["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in {"serious", "critical"}]


@functools.cache
def _axe() -> str:
    return (need_program("mkdocs").parent / "axe.min.js").read_text("utf-8")
