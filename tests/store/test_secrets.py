"""No password, token or query of a URL reaches a label, a repr, an error, a log or a response."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.backends.remote import RemoteLimits
from assetstore.errors import AssetNotFound, BackendError, SettingsError, without_secrets

SECRET = "hUnTeR2sEcReT"
#: Port 9 is "discard": nobody listens there.
URLS = [
    f"s3://KEYID:{SECRET}@bucket/p",
    f"gs://u:{SECRET}@bucket/p",
    f"abfs://c:{SECRET}@account.dfs.core.windows.net/p",
    f"az://c:{SECRET}@account/p",
    f"https://user:{SECRET}@127.0.0.1:9/p",
    f"https://{SECRET}@127.0.0.1:9/p",
    f"https://:{SECRET}@127.0.0.1:9/p",
    f"http://127.0.0.1:9/p?token={SECRET}",
    f"http://127.0.0.1:9/p/?X-Amz-Signature={SECRET}",
    f"webhdfs://u:{SECRET}@127.0.0.1:9/p",
    f"sftp://u:{SECRET}@127.0.0.1:9/p",
    f"ftp://u:{SECRET}@127.0.0.1:9/p",
    f"simplecache::ftp://u:{SECRET}@127.0.0.1:9/p",
    f"zip://a::http://127.0.0.1:9/p.zip?token={SECRET}",
    f"zip://a::https://u:{SECRET}@127.0.0.1:9/p.zip",
    f"nosuch://u:{SECRET}@x/p",
]
LIMITS = RemoteLimits(attempts=1, connect_seconds=0.2, read_seconds=0.2, total_seconds=0.4)


def shown(work: Callable[[], object]) -> str:
    """All that *work* gives or raises, with what is behind it."""
    try:
        return repr(work())
    except Exception as error:
        return f"{error!r} {error} {error.args}"


def used(url: str, tmp_path: Path) -> list[str]:
    """What a store over *url* says, in every way that it has."""
    store = AssetStore()
    said = [shown(lambda: store.static("/m/", root=url, name="m", limits=LIMITS))]
    for mount in store.mounts:
        said += [mount.backend.label, repr(mount.backend), repr(mount.reader), repr(mount), shown(store.refresh)]
        said += [shown(lambda: mount.backend.stat("a.css")), shown(lambda: list(mount.backend.walk()))]  # noqa: B023
        with TestClient(
            Starlette(routes=[*store.routes, *store.status_routes()]), raise_server_exceptions=False
        ) as client:
            for path in ("/m/a.css", "/assets-health", "/assets-metrics"):
                reply = client.get(path)
                said += [reply.text, str(reply.headers)]
    store.close()
    (tmp_path / "a.css").write_text("a{}")
    own = AssetStore()
    own.static("/m/", root=tmp_path, name="m")
    said += [shown(lambda: own.publish(url))]
    said += [shown(lambda: own.static("/n/", root=tmp_path, name="n", manifest=f"{url}/m.json"))]
    said += [shown(lambda: own.static(url, root=tmp_path, name="o"))]
    own.close()
    return said


@pytest.mark.parametrize("url", [pytest.param(url, id=url.replace(SECRET, "…")) for url in URLS])
def test_a_secret_in_a_url_stays_there(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "assetstore"):
        said = used(url, tmp_path)
    assert [each for each in said if SECRET in each] == []
    ours = [record for record in caplog.records if record.name == "assetstore"]
    written = [logging.Formatter().format(record) for record in ours]
    assert [each for each in written if SECRET in each] == []


def test_a_traceback_in_the_log_shows_no_secret_of_a_foreign_error(caplog: pytest.LogCaptureFixture) -> None:
    try:
        try:
            raise OSError(f"cannot reach https://u:{SECRET}@host/x?sig={SECRET}")
        except OSError as error:
            raise BackendError(f"https://u:{SECRET}@host failed") from error
    except BackendError:
        logging.getLogger("assetstore").exception("it failed: %s", "x")
    assert SECRET not in logging.Formatter().format(caplog.records[0])
    assert "cannot reach https://host/x" in logging.Formatter().format(caplog.records[0])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("s3://KEY:SECRET@bucket/x", "s3://KEY@bucket/x"),
        ("abfs://container@account/x", "abfs://container@account/x"),
        ("https://token@host/x", "https://host/x"),
        ("https://user:pass@host/x", "https://host/x"),
        ("see https://h/a?sig=1 and 'https://h/b?sig=2'", "see https://h/a and 'https://h/b'"),
        ("zip://a::https://u:p@h/p.zip?sig=1", "zip://a::https://h/p.zip"),
        ("a?b: no URL, u:p@h", "a?b: no URL, u:p@h"),
        ("is it https://h/?", "is it https://h/?"),
    ],
)
def test_what_is_left_of_a_text(text: str, left: str) -> None:
    assert without_secrets(text) == left
    assert str(SettingsError(text)) == left
    assert left in str(AssetNotFound("a.css", text))
