"""The S3 servers of the tests are what the tests take them for."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from servers.s3 import S3Bucket, S3Server


def test_every_server_keeps_what_it_is_given(s3_bucket: S3Bucket) -> None:
    s3_bucket.put({"css/app.css": b"one"}, ContentType="text/css")
    answer = s3_bucket.client.get_object(Bucket=s3_bucket.name, Key="css/app.css")
    assert (answer["Body"].read(), answer["ContentType"]) == (b"one", "text/css")


def test_swift_keeps_what_it_is_given(swift_bucket: S3Bucket) -> None:
    swift_bucket.put({"css/ü b.css": b"one"}, ContentType="text/css")
    answer = swift_bucket.client.get_object(Bucket=swift_bucket.name, Key="css/ü b.css")
    assert (answer["Body"].read(), answer["ContentType"]) == (b"one", "text/css")


@pytest.mark.localstack
def test_localstack_listens_on_the_loopback_alone(localstack_server: S3Server) -> None:
    port = int(localstack_server.endpoint_url.rpartition(":")[2])
    everyone = [each for each in psutil.net_connections("inet") if each.laddr and each.laddr.port == port]
    pids = {each.pid for each in everyone if each.status == psutil.CONN_LISTEN}
    listening = {each.laddr.ip for pid in pids for each in psutil.Process(pid).net_connections() if _listens(each)}
    assert listening == {"127.0.0.1"}


def _listens(connection: Any) -> bool:
    return connection.status == psutil.CONN_LISTEN or (not connection.raddr and connection.status == psutil.CONN_NONE)


def refusal(server: S3Server, bucket: str) -> str:
    client = server.client()
    try:
        with pytest.raises(ClientError) as error:
            client.get_object(Bucket=bucket, Key="a.css")
    finally:
        client.close()
    code: str = error.value.response["Error"]["Code"]
    return code


def test_swift_refuses_a_wrong_secret(swift_bucket: S3Bucket) -> None:
    assert refusal(replace(swift_bucket.server, secret_key="wrong"), swift_bucket.name) == "SignatureDoesNotMatch"


def test_swift_refuses_a_session_that_has_ended(swift_bucket: S3Bucket) -> None:
    ended = replace(swift_bucket.server, session_token=f"until-{time.time() - 1:.0f}")
    assert refusal(ended, swift_bucket.name) == "ExpiredToken"


def test_swift_takes_a_session_that_lasts(swift_bucket: S3Bucket) -> None:
    swift_bucket.put({"a.css": b"a"})
    client = replace(swift_bucket.server, session_token=f"until-{time.time() + 60:.0f}").client()
    assert client.get_object(Bucket=swift_bucket.name, Key="a.css")["Body"].read() == b"a"
    client.close()


def test_swift_refuses_a_clock_that_is_off_by_an_hour(swift_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    server = swift_bucket.server
    late = datetime.now(UTC) - timedelta(hours=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: late.replace(tzinfo=None))
    request = AWSRequest(
        "GET", f"{server.endpoint_url}/{swift_bucket.name}/a.css", headers={"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}
    )
    SigV4Auth(Credentials(server.access_key, server.secret_key), "s3", server.region).add_auth(request)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers)))
    with error.value as answer:
        assert b"RequestTimeTooSkewed" in answer.read()
