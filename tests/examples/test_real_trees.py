"""``assetstore serve`` on trees that nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from examples.real_trees import crawl, find, served


@pytest.mark.parametrize(
    ("name", "answers", "untyped"), [("django", 200, ["LICENSE"]), ("swagger_ui", 40, ["LICENSE"])]
)
def test_every_file_comes_back_byte_for_byte_by_both_of_its_names(
    package: Callable[[str], ModuleType], name: str, answers: int, untyped: list[str]
) -> None:
    package(name)
    tree = find(name)
    assert tree is not None
    with served(tree) as url:
        found = crawl(tree, url)
    assert found.surprises == []
    assert found.answers > answers
    assert found.untyped == untyped
