"""That a tree arrives in a worker as it was given."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from assetstore.errors import SettingsError
from assetstore.servers import VARIABLE, Tree, application, from_environment, rsgi_from_environment


@pytest.fixture(autouse=True)
def not_for_this_process() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_tree_travels_through_the_environment(asset_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    tree = Tree(str(asset_tree), url="/x/", allowed_ext=(".txt", ""), fingerprint="content", public=False)
    tree.to_environment()
    with TestClient(from_environment()) as client, TestClient(application(tree.store())) as other:
        for path in ("/x/robots.txt", "/x/LICENSE", "/x/css/app.css", "/y"):
            assert client.get(path).status_code == other.get(path).status_code
            assert client.get(path).content == other.get(path).content


@pytest.mark.parametrize("make", [from_environment, rsgi_from_environment])
def test_what_a_worker_makes_at_its_start_is_not_looked_through_for_garbage(
    asset_tree: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], object]
) -> None:
    monkeypatch.setenv(VARIABLE, "")  # as it was, afterwards
    Tree(str(asset_tree)).to_environment()
    assert gc.get_freeze_count() == 0
    made = make()
    assert gc.get_freeze_count() > 1000
    assert all(each is not made for each in gc.get_objects())


@pytest.mark.parametrize("value", [None, "", "nonsense"])
def test_no_tree_is_an_error_that_says_so(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(SettingsError, match="assetstore serve"):
        from_environment()
