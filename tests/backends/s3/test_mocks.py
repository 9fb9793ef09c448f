"""What a test mocks of AWS inside its process is what serving reads: moto's mock_aws, and botocore's Stubber."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto import mock_aws
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user's own fixture sets, after moto's documentation."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every host that somebody looks up; none may be the cloud."""
    asked: list[str] = []
    real: Callable[..., Any] = socket.getaddrinfo

    def look_up(host: str, *rest: Any, **more: Any) -> Any:
        asked.append(str(host))
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield asked
    assert [host for host in asked if "amazonaws" in host] == []


def fill() -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="my-bucket")
    s3.put_object(Bucket="my-bucket", Key="media/cat.txt", Body=b"meow", ContentType="text/plain")


def build(**options: Any) -> tuple[AssetStore, Starlette]:
    assets = AssetStore()
    assets.static("/media/", root="s3://my-bucket/media", name="media", **options)
    return assets, Starlette(routes=assets.routes, lifespan=assets.lifespan)


MODULE_ASSETS, MODULE_APP = build()


@mock_aws
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("with_lifespan", [True, False])
def test_a_get_sees_the_mock(backend: str, with_lifespan: bool) -> None:
    fill()
    assets, app = build()
    client = TestClient(app, backend=backend)  # type: ignore[arg-type]
    if with_lifespan:
        with client:
            answer = client.get("/media/cat.txt")
    else:
        answer = client.get("/media/cat.txt")
    assert (answer.status_code, answer.text) == (200, "meow")
    assert client.get("/media/dog.txt").status_code == 404
    assets.close()


@pytest.mark.parametrize("turn", [1, 2])
def test_a_store_at_module_level_sees_the_mock_of_each_test(turn: int) -> None:
    with mock_aws():
        fill()
        boto3.client("s3").put_object(Bucket="my-bucket", Key="media/turn.txt", Body=b"%d" % turn)
        with TestClient(MODULE_APP) as client:
            assert client.get("/media/turn.txt").text == str(turn)
            url = MODULE_ASSETS.url_for("media", file="turn.txt")
            assert "turn-" in url
            assert "immutable" in client.get(url).headers["cache-control"]


@mock_aws
def test_a_release_published_under_the_mock_is_served(tmp_path: Any) -> None:
    (tmp_path / "a.css").write_text("b{}")
    boto3.client("s3").create_bucket(Bucket="my-bucket")
    with AssetStore() as dev, AssetStore() as live:
        dev.static("/assets/", root=tmp_path, name="assets")
        dev.publish("s3://my-bucket/shop")
        live.static("/assets/", root="s3://my-bucket/shop", name="assets")
        live.refresh()
        url = live.url_for("assets", file="a.css")
        assert TestClient(Starlette(routes=live.routes)).get(url).text == "b{}"


def test_a_stubber_answers_reads() -> None:
    assets, app = build(index="lazy")
    client = assets.mounts.named("media").backend.client.get()  # type: ignore[attr-defined]
    with Stubber(client) as stub:
        head = {"HTTPStatusCode": 200, "HTTPHeaders": {"content-length": "4", "etag": '"abc"'}}
        stub.add_response(
            "get_object",
            {"Body": StreamingBody(io.BytesIO(b"meow"), 4), "ContentLength": 4, "ResponseMetadata": head},
        )
        assert TestClient(app).get("/media/cat.txt").text == "meow"
    assets.close()
