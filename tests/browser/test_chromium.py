"""What the pages say, Chromium does: one store, two hosts, strict policies, and a cache that holds."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from typing import Any

import pytest

pytestmark = [pytest.mark.program("chromium"), pytest.mark.timeout(60)]

RAN = "app c far near one late"


def edit(site: Any, path: str, text: str) -> None:
    """Save a file, and wait until the store has seen it and knows its integrity."""
    (site.folder / path).write_text(text)
    later = time.time_ns() + 5_000_000_000
    os.utime(site.folder / path, ns=(later, later))
    time.sleep(0.9)
    site.assets.pages.settle()
    time.sleep(0.4)


def ask_for_the_page(site: Any) -> None:
    """What a first page after a save causes: an event loop gives it the map as it was, and makes the next one."""
    request = urllib.request.Request(f"http://127.0.0.1:{site.port}/", headers={"Host": f"app.localhost:{site.port}"})
    urllib.request.urlopen(request).close()
    time.sleep(0.5)


def test_a_map_with_integrity_runs_modules_from_two_hosts(site: Any, browser: Any) -> None:
    browser.visit(site.url)
    browser.screenshot("two-hosts")
    assert browser.said == RAN
    assert browser.console == []
    assert {host.partition(":")[0] for host, path in site.asked if path.endswith(".js")} == {
        "app.localhost",
        "cdn.localhost",
    }
    assert all(re.search(r"-[0-9a-f]{64}\.\w+$", path) for _, path in site.asked if path != "/"), site.asked


def test_every_asset_is_asked_for_once(site: Any, browser: Any) -> None:
    browser.visit(site.url)
    asked = site.assets_asked()
    assert len(asked) == len(set(asked)), asked


@pytest.mark.parametrize("name", ["js/app", "js/deep/c", "js/late", "media/near", "css/app"])
def test_a_tampered_file_is_refused(site: Any, browser: Any, name: str) -> None:
    site.tampered[name] = b"/* minified for you */"
    browser.visit(site.url)
    browser.screenshot(f"tampered-{name.replace('/', '-')}")
    complaints = [line for line in browser.console if "integrity" in line]
    assert complaints, browser.console
    if name.endswith("css/app"):
        assert browser.page.evaluate("getComputedStyle(document.body).backgroundImage") == "none"
    else:
        assert browser.said == "nothing"


def test_a_font_loads_from_the_other_host_through_the_style_sheet(site: Any, browser: Any) -> None:
    browser.visit(site.url)
    browser.screenshot("font")
    assert browser.page.evaluate("[...document.fonts].map(font => font.family + ' ' + font.status)") == ["Box loaded"]
    # Three squares of 0.9 em each at 64 pixels: the fallback font is narrower.
    width = browser.page.evaluate(
        "(() => { const r = document.createRange(); r.selectNodeContents(document.querySelector('h1')); "
        "return r.getBoundingClientRect().width })()"
    )
    assert round(width, 1) == 172.8
    assert "/c/fonts/box.ttf" in site.assets_asked()
    assert browser.console == []


def strict(script: str, site: Any) -> str:
    hosts = f"'self' http://cdn.localhost:{site.port}"
    return f"default-src 'none'; style-src {hosts}; img-src {hosts} data:; font-src {hosts}; script-src {script}"


def test_a_strict_policy_with_a_nonce_passes_without_a_message(site: Any, browser: Any) -> None:
    site.policy = lambda nonce: strict(f"'nonce-{nonce}' 'strict-dynamic'", site)
    browser.visit(site.url)
    browser.screenshot("csp-nonce")
    assert (browser.said, browser.console) == (RAN, [])


def test_a_strict_policy_with_the_maps_hash_passes_without_a_message(site: Any, browser: Any) -> None:
    site.policy = lambda nonce: strict(
        f"'self' http://cdn.localhost:{site.port} {site.assets.importmap_csp_hash()}", site
    )
    site.head = lambda page: re.sub(' nonce=".*?"', "", "".join(_tags(page)))
    browser.visit(site.url)
    browser.screenshot("csp-hash")
    assert (browser.said, browser.console) == (RAN, [])


def test_a_policy_without_either_refuses_the_map(site: Any, browser: Any) -> None:
    site.policy = lambda nonce: strict(f"'self' http://cdn.localhost:{site.port}", site)
    browser.visit(site.url)
    assert browser.said == "nothing"
    assert any("Content Security Policy" in line for line in browser.console)


def test_an_immutable_asset_is_not_asked_for_again_on_reload(site: Any, browser: Any) -> None:
    browser.visit(site.url)
    assert len(site.assets_asked()) >= 10
    browser.visit(site.url)  # Chromium may still be writing what it was just sent to its cache
    site.forget()
    browser.reload()
    assert browser.said == RAN
    assert site.assets_asked() == []
    browser.visit(site.url)
    assert site.assets_asked() == []


def test_a_changed_leaf_changes_one_url_and_the_map_and_nothing_else(site: Any, browser: Any) -> None:
    browser.visit(site.url)
    before = site.assets.pages.importmap().value
    edit(site, "js/deep/c.js", 'export const c = "changed"')
    after = site.assets.pages.importmap().value
    changed = {key for key, url in before["imports"].items() if after["imports"][key] != url}
    assert changed == {f"{site.cdn}js/deep/c.js"}
    ask_for_the_page(site)
    site.forget()
    browser.reload()
    assert browser.said == RAN.replace(" c ", " changed ")
    assert site.assets_asked() == ["/c/js/deep/c.js"]
    assert browser.console == []


def test_a_changed_font_reaches_the_page_through_two_style_sheets(site: Any, browser: Any) -> None:
    browser.visit(site.url)
    font = site.folder / "fonts/box.ttf"
    later = time.time_ns() + 5_000_000_000
    os.utime(font, ns=(later, later))
    time.sleep(0.9)
    site.assets.pages.stylesheet_link("css/app.css")
    site.assets.pages.settle()
    site.forget()
    browser.reload()
    assert site.assets_asked() == ["/c/css/app.css", "/c/css/base.css", "/c/fonts/box.ttf"]
    assert browser.console == []


def test_a_worker_starts_from_the_pages_own_host_only(site: Any, browser: Any) -> None:
    (site.folder / "js/worker.js").write_text("postMessage('worked')")
    browser.visit(site.url)
    run = """url => new Promise(resolve => {
        try {
            const worker = new Worker(url, {type: 'module'})
            worker.onmessage = event => resolve(event.data)
            worker.onerror = () => resolve('refused')
        } catch (error) { resolve('refused') }
    })"""
    assert browser.page.evaluate(run, site.assets.url_for("assets", file="js/worker.js")) == "refused"
    assert browser.page.evaluate(run, site.assets.url_for("assets", file="js/worker.js", same_origin=True)) == "worked"


def _tags(page: Any) -> list[str]:
    return [page.stylesheet_link("css/app.css"), page.render_importmap(), page.script_tag("js/app.js")]
