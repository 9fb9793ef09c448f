"""Which server is taken."""

from __future__ import annotations

import pytest

from assetstore.errors import SettingsError
from assetstore.servers import SERVERS, open_server


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_is_found_by_its_name(name: str) -> None:
    assert open_server(name) is SERVERS[name]


def test_the_first_that_is_installed_is_taken() -> None:
    assert open_server(names=("no_such_server", "uvicorn")) is SERVERS["uvicorn"]


def test_none_installed_says_what_to_install() -> None:
    with pytest.raises(SettingsError, match="serving needs no_such_server or nor_this_one, which is not installed"):
        open_server(names=("no_such_server", "nor_this_one"))
