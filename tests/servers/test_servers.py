"""Which interface is taken."""

from __future__ import annotations

import pytest

from assetstore.errors import SettingsError
from assetstore.servers import SERVERS, open_server


@pytest.mark.parametrize("name", SERVERS)
def test_each_door_opens_by_its_name(name: str) -> None:
    assert callable(open_server(name).run)


def test_the_first_installed_door_is_taken() -> None:
    assert open_server(interfaces=("no_such_server", "uvicorn")).run is open_server("uvicorn").run


def test_none_installed_says_what_to_install() -> None:
    with pytest.raises(SettingsError, match="serving needs no_such_server or nor_this_one, which is not installed"):
        open_server(interfaces=("no_such_server", "nor_this_one"))
