"""How ``--storage-option`` is read."""

from __future__ import annotations

import json

import pytest

from assetstore.cli.options import storage_options
from assetstore.errors import SettingsError


def test_storage_options_are_json_where_they_can_be() -> None:
    given = ["anon=true", "key=abc", "client_kwargs=" + json.dumps({"region": "x"}), "token=a=b"]
    assert storage_options(given) == {"anon": True, "key": "abc", "client_kwargs": {"region": "x"}, "token": "a=b"}
    with pytest.raises(SettingsError, match="KEY=VALUE"):
        storage_options(["=x"])
