"""Each kind of failure has an exit code of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_usage_is_2(site: str, command: Any) -> None:
    assert command("publish", "--app", "no_such_module:x", "--to", "out").code == 2


def test_a_refusal_is_3(site: str, command: Any, tmp_path: Path) -> None:
    command("publish", "--app", f"{site}:assets", "--to", "out")
    told = command("publish", "--app", f"{site}:two", "--mount", "media", "--to", "out")
    assert told.code == 3
    assert "is of the mount 'assets', not 'media'" in told.err
    assert command("publish", "--app", f"{site}:two", "--mount", "media", "--to", "out", "--replace").code == 0
    assert command("publish", "--app", f"{site}:assets", "--to", "assets").code == 3
    assert command("publish", "--app", f"{site}:assets", "--to", "assets/css").code == 3
    assert not (tmp_path / "assets/.assetstore").exists()


def test_a_damaged_record_is_3(site: str, command: Any, tmp_path: Path) -> None:
    (tmp_path / "out/.assetstore").mkdir(parents=True)
    (tmp_path / "out/.assetstore/current.json").write_text("<html>")
    assert command("publish", "--app", f"{site}:assets", "--to", "out").code == 3
    assert command("releases", "--to", "out").code == 3


@pytest.mark.timeout(60)
def test_storage_that_does_not_answer_is_4(site: str, command: Any) -> None:
    options = {
        "endpoint_url": "http://127.0.0.1:9",
        "attempts": 1,
        "region_name": "us-east-1",
        "key": "k",
        "secret": "s",
    }
    words = [word for name, value in options.items() for word in ("--storage-option", f"{name}={json.dumps(value)}")]
    assert command("publish", "--app", f"{site}:assets", "--to", "s3://bucket/x", *words).code == 4


def test_a_target_that_may_not_be_written_is_no_traceback(site: str, command: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where a folder should be")
    told = command("publish", "--app", f"{site}:assets", "--to", "out")
    assert told.code in {2, 3, 4}
    assert len(told.err.splitlines()) == 1


def test_a_missing_file_has_a_url_and_exits_1(site: str, command: Any) -> None:
    told = command("url", "assets", "css/gone.css", "--app", f"{site}:assets")
    assert (told.code, told.out) == (1, "/assets/css/gone.css\n")
    assert "has no file 'css/gone.css'" in told.err
    assert command("url", "assets", "css/app.css", "--app", f"{site}:assets").code == 0


@pytest.mark.parametrize("name", ["serve", "url", "importmap", "publish", "releases", "rollback", "prune", "check"])
def test_every_command_explains_itself(command: Any, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command(name, "--help")
    assert ended.value.code == 0
    assert f"usage: assetstore {name}" in capsys.readouterr().out


def test_json_has_progress_as_lines_on_stderr(site: str, command: Any) -> None:
    told = command("publish", "--app", f"{site}:assets", "--to", "out", "--json")
    events = [json.loads(line) for line in told.err.splitlines()]
    assert [each["event"] for each in events if each["event"] != "progress"] == ["begin", "end", "begin", "end"]
    assert {each["stage"] for each in events} == {"fingerprinted files", "plain files"}
    assert events[-1]["done"] == events[-1]["files"] == 9
    assert told.json["published"][0]["released"] is True


def test_the_manifest_for_the_code_is_no_asset_of_the_next_release(site: str, command: Any, tmp_path: Path) -> None:
    words = ["publish", "--app", f"{site}:assets", "--to", "out", "--manifest", "assets/manifest.json"]
    first = command(*words, "--json").json["published"][0]
    for _ in range(2):
        again = command(*words, "--json").json["published"][0]
        assert (again["released"], again["release"]) == (False, first["release"])
    assert (tmp_path / "assets/manifest.json").exists()
    assert not list((tmp_path / "out").glob("manifest*"))


def test_neither_user_nor_host_is_in_the_record_and_the_note_is(
    site: str, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, host = "ada-lovelace-42", "analytical-engine-7"
    monkeypatch.setattr("getpass.getuser", lambda: user)
    monkeypatch.setattr("socket.gethostname", lambda: host)
    command("publish", "--app", f"{site}:assets", "--to", "out", "--note", "commit 1a2b3c")
    stored = b"".join(file.read_bytes() for file in (tmp_path / "out/.assetstore").rglob("*.json")).decode()
    assert user not in stored
    assert host not in stored
    [release] = command("releases", "--to", "out", "--json").json["releases"]
    assert release["note"] == "commit 1a2b3c"
