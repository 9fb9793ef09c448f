"""Cache policy is what is documented, letter by letter; a mount's own headers are checked at wiring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets.cache_policy import HeaderRules, MaxAge, cache_control, cors_origins, shared_policy
from assetstore.errors import SettingsError


@pytest.mark.parametrize(
    ("immutable", "public", "shared", "expected"),
    [
        pytest.param(True, True, "", "max-age=31536000, public, immutable", id="a verified fingerprint"),
        pytest.param(False, True, "", "max-age=0, public, must-revalidate", id="a plain file"),
        pytest.param(True, False, "", "max-age=31536000, private, immutable", id="private and verified"),
        pytest.param(False, False, "", "max-age=0, private, must-revalidate", id="private and plain"),
        pytest.param(True, True, "s-maxage=9", "max-age=31536000, public, immutable", id="a year needs no s-maxage"),
        pytest.param(
            False, True, "s-maxage=60", "max-age=0, public, s-maxage=60, must-revalidate", id="a minute in the CDN"
        ),
        pytest.param(
            False,
            True,
            "s-maxage=60, stale-while-revalidate=30",
            "max-age=0, public, s-maxage=60, stale-while-revalidate=30",
            id="must-revalidate would forbid the stale answer",
        ),
    ],
)
def test_cache_control(immutable: bool, public: bool, shared: str, expected: str) -> None:
    assert cache_control(immutable=immutable, public=public, shared=shared) == expected


def test_a_shared_policy_is_written_one_way() -> None:
    assert shared_policy(" s-maxage=60 ,stale-while-revalidate=30,") == "s-maxage=60, stale-while-revalidate=30"
    assert shared_policy("") == ""
    assert shared_policy("", public=False) == ""


@pytest.mark.parametrize("value", ["immutable", "max-age=9", "s-maxage", "s-maxage=x", "s-maxage=1\r\nX: y", "a;b"])
def test_a_shared_policy_takes_nothing_else(value: str) -> None:
    with pytest.raises(SettingsError, match="s-maxage=60"):
        shared_policy(value)


def test_a_private_mount_has_no_shared_policy() -> None:
    with pytest.raises(SettingsError, match="public=False"):
        shared_policy("s-maxage=60", public=False)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        pytest.param("*.svg", "logo.svg", True, id="a name at the root"),
        pytest.param("*.svg", "img/deep/logo.svg", True, id="a bare pattern is about names in any folder"),
        pytest.param("*.svg", "logo.svgz", False, id="the whole name must match"),
        pytest.param("img/*.svg", "img/logo.svg", True, id="a pattern with a folder"),
        pytest.param("img/*.svg", "img/deep/logo.svg", False, id="one star stays in its segment"),
        pytest.param("img/**", "img/deep/logo.svg", True, id="two stars cross folders"),
        pytest.param("img/**", "images/logo.svg", False, id="and begin where they stand"),
        pytest.param("**", "any/thing", True, id="everything"),
        pytest.param("s?.js", "sw.js", True, id="one character"),
        pytest.param("a.js", "aXjs", False, id="a dot is a dot"),
        pytest.param("[ab].js", "a.js", False, id="brackets are plain"),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert bool(HeaderRules({pattern: {"X-Test": "1"}}).of(path)) is matches


def test_a_later_pattern_wins_whatever_the_spelling() -> None:
    rules = HeaderRules({"**": {"X-A": "1", "X-B": "1"}, "*.js": {"x-a": "2"}})
    assert rules.of("a.js") == {"x-a": "2", "X-B": "1"}
    assert rules.of("a.css") == {"X-A": "1", "X-B": "1"}


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\n", "é", "Content-Length", "etag", "Cache-Control", "Set-Cookie"])
def test_a_header_that_cannot_be_given_is_refused_at_wiring(name: str) -> None:
    with pytest.raises(SettingsError, match=r"\*\*"):
        HeaderRules({"**": {name: "1"}})


@pytest.mark.parametrize("value", ["", " a", "a ", "a\r\nb", "a\x00", "é", "a\x7f"])
def test_a_value_that_cannot_be_sent_is_refused_at_wiring(value: str) -> None:
    with pytest.raises(SettingsError, match="X-Test"):
        HeaderRules({"**": {"X-Test": value}})


@pytest.mark.parametrize("pattern", ["", "/css/*"])
def test_a_pattern_that_could_never_match_is_refused(pattern: str) -> None:
    with pytest.raises(SettingsError, match="relative"):
        HeaderRules({pattern: {"X-Test": "1"}})


def test_no_rules_are_falsy_and_match_nothing() -> None:
    assert not HeaderRules()
    assert HeaderRules().of("a.css") == {}


@given(st.text(min_size=1), st.text())
def test_any_pattern_compiles_or_is_refused(pattern: str, path: str) -> None:
    try:
        rules = HeaderRules({pattern: {"X-Test": "1"}})
    except SettingsError:
        return
    rules.of(path)


def test_a_plain_file_may_be_kept_for_a_while() -> None:
    assert cache_control(immutable=False, public=True, max_age_seconds=60) == "max-age=60, public, must-revalidate"
    assert cache_control(immutable=True, public=True, max_age_seconds=60) == "max-age=31536000, public, immutable"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(0, (0, 0), id="nothing"),
        pytest.param(3600, (3600, 3600), id="everything"),
        pytest.param({"*.png": 9}, (9, 0), id="one kind"),
        pytest.param({"**": 5, "*.js": 0}, (5, 0), id="a later pattern wins"),
        pytest.param({"*.js": 0, "**": 5}, (5, 5), id="whatever it matches"),
    ],
)
def test_max_age_by_pattern(given: int | dict[str, int], expected: tuple[int, int]) -> None:
    rules = MaxAge(given)
    assert (rules.of("img/a.png"), rules.of("js/a.js")) == expected


@pytest.mark.parametrize("given", [-1, 31_536_001, 1.5, True, "60", None, {"*": -1}, {"/a": 1}, {"": 1}, {3: 1}])
def test_a_max_age_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(SettingsError, match="max_age"):
        MaxAge(given)  # type: ignore[arg-type]


def test_cors_origins() -> None:
    assert cors_origins("*") is None
    assert cors_origins(None) == frozenset()
    assert cors_origins([]) == frozenset()
    assert cors_origins(["https://app.example.com", "http://[::1]:8000"]) == {
        "https://app.example.com",
        "http://[::1]:8000",
    }


@pytest.mark.parametrize(
    "given",
    [["https://app.example.com/"], ["app.example.com"], ["*"], [None, "*"], [""], True, 3,
     ["https://APP.example.com"], ["https://a.b\r\nX: y"], ["https://a b"], b"*"],
)  # fmt: skip
def test_a_cors_value_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(SettingsError, match="https://app.example.com"):
        cors_origins(given)
