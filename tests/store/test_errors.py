"""The errors are the tree that their module shows, and what they say helps whoever reads it."""

from __future__ import annotations

import inspect
import re

import pytest

from assetstore import errors
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendThrottled,
    BackendUnavailable,
    MountNotFound,
    RangeNotSatisfiable,
    UnsafePath,
)

ALL = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)]


def promised() -> dict[str, str]:
    """Each error of the tree in the docstring, and the one that it hangs from."""
    assert errors.__doc__ is not None
    above = {-1: "AssetStoreError"}
    tree = {}
    for line in errors.__doc__.splitlines():
        if found := re.match(r"([│ ]*)[├└]─ (\w+)  +\S", line):
            depth = len(found[1]) // 3
            above[depth] = found[2]
            tree[found[2]] = above[depth - 1]
    return tree


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert promised() == {each.__name__: each.__bases__[0].__name__ for each in ALL if each is not AssetStoreError}


@pytest.mark.parametrize("error", ALL, ids=lambda each: each.__name__)
def test_each_says_what_it_is_for(error: type[Exception]) -> None:
    assert inspect.getdoc(error)
    assert issubclass(error, AssetStoreError)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [(AssetNotFound("a.css"), FileNotFoundError), (UnsafePath("x"), ValueError), (MountNotFound("x", []), LookupError)],
)
def test_where_python_has_a_word_for_it_that_catches_it_too(error: Exception, builtin: type[Exception]) -> None:
    assert isinstance(error, builtin)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(AssetNotFound("a.css"), "no asset 'a.css'", id="a missing file"),
        pytest.param(
            AssetNotFound("a.css", "s3://bucket", "did you mean 'b.css'?"),
            "no asset 'a.css' in s3://bucket; did you mean 'b.css'?",
            id="a missing file, where it was looked for and what may be meant",
        ),
        pytest.param(
            MountNotFound("meda", ["assets", "media"]),
            "no mount is named 'meda'; the mounts are: 'assets', 'media'",
            id="a mount that is not there, and the ones that are",
        ),
        pytest.param(
            MountNotFound("assets", []),
            "no mount is named 'assets'; the mounts are: none yet; add one with assets.static(...)",
            id="a mount where there is none",
        ),
        pytest.param(BackendUnavailable("s3://bucket is down", path="a.css"), "s3://bucket is down", id="an outage"),
    ],
)
def test_messages_are_sentences_for_people(error: Exception, said: str) -> None:
    assert str(error) == said


def test_facts_travel_beside_the_message() -> None:
    assert AssetNotFound("a.css").path == "a.css"
    assert MountNotFound("x", ["assets"]).known == ("assets",)
    assert BackendUnavailable("x").path == ""
    assert BackendThrottled("x", path="a.css", retry_after_seconds=7.0).retry_after_seconds == 7.0
    assert RangeNotSatisfiable("x", size=10).size == 10
