"""The client of one mount: options by two names, made once, renewed when it must be; the network is nowhere near."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from assetstore.backends.s3 import client as s3_client
from assetstore.backends.s3.client import Client, S3Options
from assetstore.errors import SettingsError

KEYS = {"key": "AKIDEXAMPLE", "secret": "not-so-secret", "region": "eu-west-1"}


@pytest.fixture
def client() -> Client:
    return Client(S3Options.of(KEYS))


class TestOptions:
    def test_the_names_of_s3fs_are_known(self) -> None:
        given = {**KEYS, "token": "t", "profile": "p", "anon": True}
        assert S3Options.of(given) == S3Options(
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="not-so-secret",
            aws_session_token="t",
            region_name="eu-west-1",
            profile_name="p",
            unsigned=True,
        )

    @pytest.mark.parametrize("name", ["max_connections", "connect_timeout_seconds", "read_timeout_seconds", "attempts"])
    @pytest.mark.parametrize("value", [0, -1])
    def test_what_is_counted_is_above_zero(self, name: str, value: int) -> None:
        with pytest.raises(SettingsError, match=name):
            S3Options.of({name: value})

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"colour": "red"}, "know no 'colour'; they are: account, addressing_style, attempts"),
            ({"addressing_style": "odd"}, "give 'auto', 'virtual' or 'path'"),
            ({"reader": "carrier pigeon"}, "give 'auto', 'aiohttp' or 'threads'"),
            ({"key": "half"}, "half a credential"),
            ({"secret": "half"}, "half a credential"),
        ],
    )
    def test_what_is_wrong_is_said_with_what_is_right(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(SettingsError, match=said):
            S3Options.of(options)


class TestClient:
    def test_it_is_made_once_for_all_threads(self, client: Client) -> None:
        made: list[Any] = []
        threads = [threading.Thread(target=lambda: made.append(client.get())) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(made) == 8
        assert len(set(map(id, made))) == 1

    def test_it_keeps_to_the_mount_s_limits(self) -> None:
        options = {"max_connections": 7, "connect_timeout_seconds": 1.5, "read_timeout_seconds": 2.5, "attempts": 2}
        config = Client(S3Options.of({**KEYS, **options})).get().meta.config
        assert (config.max_pool_connections, config.connect_timeout, config.read_timeout) == (7, 1.5, 2.5)  # type: ignore[attr-defined]
        assert config.retries["total_max_attempts"] == 2  # type: ignore[attr-defined]

    def test_a_server_of_one_s_own_needs_no_region(self) -> None:
        client = Client(S3Options.of({"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"}))
        assert client.get().meta.region_name == "us-east-1"

    def test_what_cannot_be_made_is_a_setting_to_mend(self) -> None:
        with pytest.raises(SettingsError, match=r"cannot be made: .*nobody.*; check storage_options"):
            Client(S3Options.of({"profile": "nobody"})).get()

    def test_a_closed_one_can_be_used_again(self, client: Client) -> None:
        before = client.get()
        client.close()
        client.close()
        assert client.get() is not before


class TestCredentials:
    def test_they_are_what_the_options_say_and_have_no_known_end(self, client: Client) -> None:
        found = client.credentials()
        assert found is not None
        assert (found.access_key, found.secret_key) == ("AKIDEXAMPLE", "not-so-secret")
        assert client.credentials_expire_at() is None

    def test_a_public_bucket_has_none(self) -> None:
        assert Client(S3Options.of({"anon": True, **KEYS})).credentials() is None

    def test_where_none_are_found_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = Client(S3Options.of({"region": "eu-west-1"}))
        monkeypatch.setattr(client.session(), "get_credentials", lambda: None)
        assert client.credentials() is None
        assert client.credentials_expire_at() is None

    def test_those_that_end_tell_when(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        end = datetime.now(UTC) + timedelta(hours=1)
        passing = RefreshableCredentials("AKID", "secret", "token", end, dict, "test")
        monkeypatch.setattr(client.session(), "get_credentials", lambda: passing)
        assert client.credentials_expire_at() == end

    def test_a_renewal_makes_a_new_client_and_not_twice_in_a_row(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = client.get()
        assert client.renew()
        after = client.get()
        assert after is not before
        assert not client.renew()
        assert client.get() is after
        monkeypatch.setattr(s3_client, "RENEWAL_PAUSE_SECONDS", 0.0)
        assert client.renew()
