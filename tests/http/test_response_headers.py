"""What stands on every answer of a mount is decided when it is wired."""

from __future__ import annotations

from assetstore.assets.cache_policy import HeaderRules
from assetstore.http.response_headers import MountHeaders, raw


def test_raw_headers_are_lower_case_bytes() -> None:
    assert raw({"X-Test": "a", "ETag": '"é"'}) == ((b"x-test", b"a"), (b"etag", b'"\xe9"'))


def test_a_rule_replaces_a_header_whatever_its_spelling() -> None:
    rules = HeaderRules({"*.js": {"Cross-Origin-Resource-Policy": "same-origin"}})
    policy = MountHeaders(rules=rules)
    assert dict(policy.of("a.js"))[b"cross-origin-resource-policy"] == b"same-origin"
    assert policy.of("a.css") == policy.common


def test_timings_are_shown_only_for_public_files_on_another_origin() -> None:
    assert b"timing-allow-origin" in dict(MountHeaders(cross_origin=True).common)
    assert b"timing-allow-origin" not in dict(MountHeaders(cross_origin=True, public=False).common)
    assert b"timing-allow-origin" not in dict(MountHeaders().common)


def test_only_a_url_of_the_current_version_is_for_shared_caches() -> None:
    policy = MountHeaders(shared_cache="s-maxage=60")
    assert "s-maxage" in policy.cache_control("a.css", immutable=False, current=True)
    assert "s-maxage" not in policy.cache_control("a.css", immutable=False, current=False)


def test_a_refusal_is_not_kept() -> None:
    assert (b"cache-control", b"no-store") in MountHeaders().refusal({"allow": "GET"})
    assert (b"allow", b"GET") in MountHeaders().refusal({"allow": "GET"})


def test_a_preflight_of_a_private_mount_allows_nothing_to_others() -> None:
    names = {name for name, _ in MountHeaders(public=False).preflight()}
    assert names == {b"x-content-type-options", b"allow"}
