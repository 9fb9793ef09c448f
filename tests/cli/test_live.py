"""What follows after a release is live: invalidations, a command, and the wait for the CDN."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from assetstore.publish import invalidate
from servers.processes import Process, ProcessStarter


class Api:
    """A stand-in for the APIs of Cloudflare, Fastly and Bunny, which keeps every request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.statuses: list[int] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                api.requests.append((self.path, headers, json.loads(body) if body else None))
                self.send_response(api.statuses.pop(0) if api.statuses else 200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    found = Api()
    for kind, name in invalidate.SECRETS.items():
        monkeypatch.setitem(invalidate.APIS, kind, found.url)
        monkeypatch.setenv(name, f"secret of {kind}")
    yield found
    found.close()


@pytest.fixture
def published(site: str, command: Any, tmp_path: Path) -> str:
    command("publish", "--app", f"{site}:cdn", "--to", "out")
    (tmp_path / "assets/robots.txt").write_text("second")
    (tmp_path / "assets/images/a cat.jpg").write_text("second")
    return site


NAMES = ["https://cdn.example.com/images/a%20cat.jpg", "https://cdn.example.com/robots.txt"]


def test_cloudflare_purges_the_urls_of_the_plain_names_that_changed(published: str, command: Any, api: Api) -> None:
    told = command("publish", "--app", f"{published}:cdn", "--to", "out", "--invalidate", "cloudflare:zone1")
    assert told.code == 0, told.err
    [(path, headers, body)] = api.requests
    assert (path, headers["authorization"]) == ("/zones/zone1/purge_cache", "Bearer secret of cloudflare")
    assert body == {"files": NAMES}


def test_fastly_and_bunny_purge_each_url(published: str, command: Any, api: Api) -> None:
    words = ["--invalidate", "fastly:service1", "--invalidate", "bunny:77"]
    assert command("publish", "--app", f"{published}:cdn", "--to", "out", *words).code == 0
    assert [path for path, _, _ in api.requests] == [
        "/purge/cdn.example.com/images/a%20cat.jpg",
        "/purge/cdn.example.com/robots.txt",
        "/purge?url=https%3A%2F%2Fcdn.example.com%2Fimages%2Fa%2520cat.jpg&async=false",
        "/purge?url=https%3A%2F%2Fcdn.example.com%2Frobots.txt&async=false",
    ]
    assert api.requests[0][1]["fastly-key"] == "secret of fastly"
    assert api.requests[2][1]["accesskey"] == "secret of bunny"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("cloudflare", "/zones/x/purge_cache"),
        ("fastly", "/service/x/purge_all"),
        ("bunny", "/pullzone/x/purgeCache"),
    ],
)
def test_very_many_names_are_invalidated_as_a_whole(api: Api, kind: str, path: str) -> None:
    names = [f"{number}.css" for number in range(invalidate.MAX_NAMES + 1)]
    invalidate.Invalidation(kind, "x").send("https://cdn.example.com/", names)
    assert [found for found, _, _ in api.requests] == [path]


def test_a_throttled_invalidation_is_tried_again(published: str, command: Any, api: Api) -> None:
    api.statuses = [429, 503]
    words = ["publish", "--app", f"{published}:cdn", "--to", "out", "--invalidate", "cloudflare:zone1"]
    assert command(*words).code == 0
    assert len(api.requests) == 3


def test_one_that_is_refused_says_that_the_release_is_live_and_exits_6(published: str, command: Any, api: Api) -> None:
    api.statuses = [403]
    told = command("publish", "--app", f"{published}:cdn", "--to", "out", "--invalidate", "cloudflare:zone1")
    assert told.code == 6
    assert "is live in" in told.err
    assert "cloudflare did not invalidate: status 403" in told.err
    assert "secret of" not in told.err


def test_cloudfront_invalidates_the_paths(published: str, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    with mock_aws():
        client = boto3.client("cloudfront")
        origin = {"Id": "o", "DomainName": "o.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        behaviour = {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all", "MinTTL": 0}
        behaviour["ForwardedValues"] = {"QueryString": False, "Cookies": {"Forward": "none"}}  # type: ignore[assignment]
        config: Any = {
            "CallerReference": "c",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": behaviour,
        }
        distribution = client.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
        words = ["--invalidate", f"cloudfront:{distribution}"]
        assert command("publish", "--app", f"{published}:cdn", "--to", "out", *words).code == 0
        [row] = client.list_invalidations(DistributionId=distribution)["InvalidationList"]["Items"]
        batch = client.get_invalidation(DistributionId=distribution, Id=row["Id"])["Invalidation"]["InvalidationBatch"]
        assert sorted(batch["Paths"]["Items"]) == ["/images/a%20cat.jpg", "/robots.txt"]
        told = command("publish", "--app", f"{published}:cdn", "--to", "out2", "--invalidate", "cloudfront:NONE")
        assert told.code == 6
        client.close()


@pytest.mark.parametrize("spelled", ["akamai:1", "cloudflare:", "cloudflare", "fastly:../x", "bunny:1"])
def test_what_cannot_be_invalidated_is_refused_before_anything_is_written(
    site: str, command: Any, tmp_path: Path, spelled: str
) -> None:
    told = command("publish", "--app", f"{site}:cdn", "--to", "out", "--invalidate", spelled)
    assert told.code == 2
    assert not (tmp_path / "out").exists()


def test_the_command_knows_the_release_and_the_names_and_runs_only_for_a_release(
    published: str, command: Any, tmp_path: Path
) -> None:
    words = ["publish", "--app", f"{published}:cdn", "--to", "out", "--on-live"]
    told = command(*words, 'cat >names; echo "$ASSETSTORE_RELEASE $ASSETSTORE_MOUNT" >release')
    assert told.code == 0
    assert (tmp_path / "names").read_text() == "images/a cat.jpg\nrobots.txt"
    release, mount = (tmp_path / "release").read_text().split()
    assert (f"release {release} is live" in told.out, mount) == (True, "assets")
    assert command(*words, "exit 3").code == 0  # nothing changed, so it did not run
    (tmp_path / "assets/robots.txt").write_text("third")
    told = command(*words, "exit 3")
    assert told.code == 6
    assert "the command of --on-live ended with 3" in told.err


@pytest.fixture
def cdn(tmp_path: Path, start_process: ProcessStarter) -> Process:
    """The target, served by itself."""
    (tmp_path / "out").mkdir()
    (tmp_path / "serve.py").write_text(
        "from starlette.applications import Starlette\nfrom assetstore import AssetStore\n"
        "assets = AssetStore({})\nassets.static('/assets/', root='out', name='assets')\n"
        "app = Starlette(routes=assets.routes)\n"
    )
    return start_process.asgi("serve:app", folder=tmp_path)


def test_it_waits_until_the_cdn_serves_the_release(site: str, command: Any, cdn: Process, tmp_path: Path) -> None:
    words = ["--to", "out", "--wait", f"{cdn.url}/assets/"]
    assert command("publish", "--app", f"{site}:assets", *words).code == 0
    (tmp_path / "assets/robots.txt").write_text("second")
    assert command("publish", "--app", f"{site}:assets", *words).code == 0
    assert command("rollback", "previous", *words).code == 0
    told = command("publish", "--app", f"{site}:assets", "--to", "elsewhere", *words[2:], "--wait-seconds", 0.2)
    assert told.code == 1  # the CDN has the rolled back release
    assert f"not served after 0.2 s: {cdn.url}/assets/robots" in told.err
