"""Settings: keywords, a mapping, the environment; each checked when it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from assetstore.errors import SettingsError
from assetstore.settings import Settings


def load(
    mapping: dict[str, object] | None = None, environ: dict[str, str] | None = None, **keywords: object
) -> Settings:
    return Settings.load(mapping, keywords, environ or {})


def test_the_defaults_serve_from_the_origin() -> None:
    settings = load()
    assert settings.ASSETS_URL == "/assets/"
    assert settings.STATIC_X_SENDFILE_HEADER == ""
    assert settings.IMPORT_MAP == {}
    assert settings.ASSETS_STRICT is False


def test_a_keyword_wins_over_the_mapping_which_wins_over_the_environment() -> None:
    environ = {"ASSETS_URL": "/environ/"}
    assert load(environ=environ).ASSETS_URL == "/environ/"
    assert load({"ASSETS_URL": "/mapping/"}, environ).ASSETS_URL == "/mapping/"
    assert load({"ASSETS_URL": "/mapping/"}, environ, ASSETS_URL="/keyword/").ASSETS_URL == "/keyword/"


def test_the_other_keys_of_an_applications_configuration_are_left_alone() -> None:
    assert load({"DEBUG": True, "DATABASE_URL": "sqlite://"}).ASSETS_URL == "/assets/"


def test_a_misspelt_key_is_an_error_that_names_the_right_one() -> None:
    with pytest.raises(SettingsError, match="unknown setting 'ASSET_URL'; did you mean 'ASSETS_URL'"):
        load({"ASSET_URL": "/x/"})


def test_an_unknown_keyword_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="unknown setting 'COLOUR'; the settings are ASSETS_URL"):
        load(COLOUR="red")


def test_a_full_url_without_its_slash_is_repaired() -> None:
    assert load(ASSETS_URL="https://cdn.example.com").ASSETS_URL == "https://cdn.example.com/"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSETS_URL", "htps://cdn.example.com/"),
        ("ASSETS_URL", None),
        ("STATIC_X_SENDFILE_HEADER", "X-Send-File"),
        ("STATIC_X_SENDFILE_HEADER", 1),
        ("STATIC_X_SENDFILE_SERVER", "iis"),
        ("STATIC_X_SENDFILE_SERVER", 1),
        ("STATIC_X_SENDFILE_MAP", "/srv=/_accel/"),
        ("STATIC_X_SENDFILE_MAP", {"/srv": 1}),
        ("IMPORT_MAP", "{not json"),
        ("IMPORT_MAP", "missing.json"),
        ("IMPORT_MAP", ["a"]),
        ("ASSETS_STRICT", "perhaps"),
    ],
)
def test_a_malformed_value_is_an_error_that_names_the_setting(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        load(**{name: value})


def test_the_sendfile_header_is_known_in_any_case() -> None:
    assert load(STATIC_X_SENDFILE_HEADER="x-accel-redirect").STATIC_X_SENDFILE_HEADER == "X-Accel-Redirect"


def test_the_environment_gives_the_import_map_as_json_or_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "importmap.json"
    file.write_text('{"a": "js/a.js"}')
    assert load(environ={"IMPORT_MAP": '{"a": "js/a.js"}'}).IMPORT_MAP == {"a": "js/a.js"}
    assert load(environ={"IMPORT_MAP": str(file)}).IMPORT_MAP == {"a": "js/a.js"}


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("0", False), ("", False), ("off", False)])
def test_the_environment_says_strict_in_words(text: str, value: bool) -> None:
    assert load(environ={"ASSETS_STRICT": text}).ASSETS_STRICT is value


def test_the_offload_settings_are_read_from_the_environment() -> None:
    environ = {"STATIC_X_SENDFILE_SERVER": "Nginx", "STATIC_X_SENDFILE_MAP": '{"/srv/site": "/_accel/"}'}
    settings = load(environ=environ)
    assert settings.STATIC_X_SENDFILE_SERVER == "nginx"
    assert settings.STATIC_X_SENDFILE_MAP == {"/srv/site": "/_accel/"}
