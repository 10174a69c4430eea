from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.registry import credentials
from support.fake_cli import FakeCli, FakeClient

HELPER = """#!/bin/sh
read -r text
echo "$1 $text" >> {log}
case "$1:$text" in
  get:a.example) echo '{{"ServerURL":"a.example","Username":"ann","Secret":"s3"}}' ;;
  get:t.example) echo '{{"Username":"<token>","Secret":"tok"}}' ;;
  get:*) echo "credentials not found in native keychain"; exit 1 ;;
  erase:bad) echo "locked"; exit 1 ;;
esac
"""


def make(tmp_path: Path, **config: Any) -> Any:
    return FakeCli("login", FakeClient({}, "1.56"), config, str(tmp_path / "conf"))


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    log = tmp_path / "log"
    program = tmp_path / "docker-credential-fake"
    program.write_text(HELPER.format(log=log))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return log


def test_names() -> None:
    assert credentials.hostname("https://a.example:5000/v1/") == "a.example:5000"
    assert credentials.config_key("docker.io") == credentials.INDEX_SERVER
    assert credentials.config_key("a.example") == "a.example"


def test_the_file(tmp_path: Path) -> None:
    cli = make(tmp_path, psFormat="x")
    credentials.store(cli, {"username": "ann", "password": "p:w", "serveraddress": "a.example"})
    path = tmp_path / "conf" / "config.json"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert text.startswith('{\n\t"psFormat": "x",\n\t"auths": {\n\t\t"a.example": {\n\t\t\t"auth"')
    entry = json.loads(text)["auths"]["a.example"]
    assert base64.b64decode(entry["auth"]) == b"ann:p:w"
    assert "stored unencrypted" in cli.complaints[0]
    assert credentials.get(cli, "a.example") == {
        "username": "ann",
        "password": "p:w",
        "serveraddress": "a.example",
    }
    credentials.erase(cli, "a.example")
    assert json.loads(path.read_text()) == {"psFormat": "x", "auths": {}}
    assert credentials.get(cli, "a.example") == {}


def test_a_symlink_stays(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    real = tmp_path / "real.json"
    real.write_text("{}")
    real.chmod(0o640)
    (tmp_path / "conf" / "config.json").symlink_to("../real.json")
    credentials.save_config(make(tmp_path), {"a": 1})
    assert (tmp_path / "conf" / "config.json").is_symlink()
    assert json.loads(real.read_text()) == {"a": 1}
    assert real.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in (tmp_path / "conf").iterdir()] == ["config.json"]


def test_old_keys_are_found(tmp_path: Path) -> None:
    auth = base64.b64encode(b"ann:pw").decode()
    cli = make(tmp_path, auths={"https://a.example/v1/": {"auth": auth}})
    assert credentials.get(cli, "a.example")["username"] == "ann"
    cli = make(tmp_path, auths={credentials.INDEX_SERVER: {"auth": auth}})
    assert credentials.user_name(cli) == "ann"
    assert credentials.user_name(make(tmp_path)) == ""


def test_a_helper(tmp_path: Path, helper: Path) -> None:
    cli = make(tmp_path, credsStore="fake")
    assert credentials.get(cli, "a.example") == {
        "username": "ann",
        "password": "s3",
        "serveraddress": "a.example",
    }
    assert credentials.get(cli, "t.example")["identitytoken"] == "tok"
    assert credentials.get(cli, "b.example") == {}
    credentials.store(cli, {"username": "u", "password": "p", "serveraddress": "a.example"})
    credentials.erase(cli, "a.example")
    with pytest.raises(CliError, match="exit status 1, out: `locked`"):
        credentials.erase(cli, "bad")
    assert helper.read_text().splitlines()[3:5] == [
        'store {"ServerURL":"a.example","Username":"u","Secret":"p"}',
        "erase a.example",
    ]
    assert not (tmp_path / "conf").exists()


def test_a_helper_for_one_registry(tmp_path: Path, helper: Path) -> None:
    cli = make(tmp_path, credHelpers={"a.example": "fake"})
    assert credentials.get(cli, "a.example")["username"] == "ann"
    assert credentials.get(cli, "b.example") == {}
    with pytest.raises(CliError, match="executable file not found"):
        credentials.get(make(tmp_path, credsStore="nowhere"), "a.example")


def test_header(tmp_path: Path) -> None:
    auth = base64.b64encode(b"ann:??>>").decode()
    cli = make(tmp_path, auths={credentials.INDEX_SERVER: {"auth": auth}})
    value = credentials.header(cli, "docker.io")
    assert json.loads(base64.urlsafe_b64decode(value))["password"] == "??>>"
    assert json.loads(base64.urlsafe_b64decode(credentials.header(cli, "a.example"))) == {}
