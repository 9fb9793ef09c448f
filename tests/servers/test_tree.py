"""This module proves that a tree arrives in a worker as it was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from assetstore.errors import SettingsError
from assetstore.servers.tree import VARIABLE, Tree, application, from_environment


def test_a_tree_travels_through_the_environment(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    tree = Tree(str(world), url="/x/", allowed_ext=(".txt", ""), fingerprint="content", public=False)
    tree.to_environment()
    with TestClient(from_environment()) as client, TestClient(application(tree.store())) as other:
        for path in ("/x/robots.txt", "/x/LICENSE", "/x/css/app.css", "/y"):
            assert client.get(path).status_code == other.get(path).status_code
            assert client.get(path).content == other.get(path).content


@pytest.mark.parametrize("value", [None, "", "nonsense"])
def test_no_tree_is_an_error_that_says_so(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(SettingsError, match="assetstore serve"):
        from_environment()
