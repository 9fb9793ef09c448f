"""Our signature is boto3's, for every key and every form of address."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.s3.client import Credentials
from assetstore.backends.s3.presign import Form

KEYS = Credentials("AKIAEXAMPLE", "secret/with+odd=chars")
CLIENTS: dict[str, dict[str, Any]] = {
    "virtual host": {"region_name": "eu-central-1"},
    "path style": {
        "region_name": "us-east-1",
        "config": Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    },
    "own server": {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:9000"},
    "session": {"region_name": "us-east-1", "aws_session_token": "to/ken+with=signs"},
    "dual stack": {
        "region_name": "eu-west-1",
        "config": Config(signature_version="s3v4", s3={"use_dualstack_endpoint": True}),
    },
}


def client(name: str) -> Any:
    return boto3.client(
        "s3",
        aws_access_key_id=KEYS.access_key,
        aws_secret_access_key=KEYS.secret_key,
        **{"config": Config(signature_version="s3v4"), **CLIENTS[name]},
    )


MADE = {name: client(name) for name in CLIENTS}
segment = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=8)
keys = st.lists(segment.filter(lambda text: text not in {".", ".."}), min_size=1, max_size=4).map("/".join)


@pytest.fixture(scope="module", autouse=True)
def _time_stands_still() -> Any:
    moment = datetime.now(UTC).replace(tzinfo=None)

    class Still(datetime):
        utcnow = classmethod(lambda cls: moment)

    with pytest.MonkeyPatch.context() as patch:
        if hasattr(botocore.auth, "get_current_datetime"):
            patch.setattr(botocore.auth, "get_current_datetime", lambda **_: moment)
        else:  # before botocore 1.40
            patch.setattr(botocore.auth.datetime, "datetime", Still)
        yield


@pytest.mark.parametrize("name", CLIENTS)
@given(key=keys, method=st.sampled_from([("get_object", "GET"), ("head_object", "HEAD")]))
def test_a_url_of_ours_is_boto3_s_own(name: str, key: str, method: tuple[str, str]) -> None:
    def presigned(wanted: str) -> str:
        given = {"Bucket": "a-bucket", "Key": wanted}
        return str(MADE[name].generate_presigned_url(method[0], given, ExpiresIn=3600))

    form = Form.read(presigned("probe key.css"), method[1], "probe key.css", KEYS)
    assert form is not None
    ours, theirs = form.url(key), presigned(key)
    assert ours.partition("?")[0] == theirs.partition("?")[0]
    assert sorted(ours.partition("?")[2].split("&")) == sorted(theirs.partition("?")[2].split("&"))


def test_a_public_bucket_is_not_signed() -> None:
    public = boto3.client("s3", region_name="us-east-1", config=Config(signature_version=UNSIGNED))
    url = public.generate_presigned_url("get_object", {"Bucket": "a-bucket", "Key": "probe"})
    form = Form.read(url, "GET", "probe", None)
    assert form is not None
    assert form.url("a b.css") == public.generate_presigned_url("get_object", {"Bucket": "a-bucket", "Key": "a b.css"})


@pytest.mark.parametrize(
    ("url", "key"),
    [
        pytest.param(
            "https://b.s3.amazonaws.com/probe?Signature=x&AWSAccessKeyId=y&Expires=1", "probe", id="version 2"
        ),
        pytest.param("https://b.s3.amazonaws.com/other?X-Amz-Signature=x", "probe", id="another key"),
        pytest.param(
            "https://b.s3.amazonaws.com/probe?X-Amz-Signature=x&X-Amz-Algorithm=AWS4-X", "probe", id="another algorithm"
        ),
    ],
)
def test_what_is_signed_otherwise_is_left_to_boto3(url: str, key: str) -> None:
    assert Form.read(url, "GET", key, KEYS) is None


def test_a_form_that_gives_another_signature_is_not_used() -> None:
    url = MADE["own server"].generate_presigned_url("get_object", {"Bucket": "a-bucket", "Key": "probe"})
    assert Form.read(url, "GET", "probe", Credentials("AKIAEXAMPLE", "another")) is None


def test_no_representation_tells_a_secret() -> None:
    assert "secret" not in repr(KEYS)
