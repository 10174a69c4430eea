from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pierhead.cli.registry import ask, login
from support.fake_cli import run

GOOD = {"POST /auth": {"Status": "Login Succeeded", "IdentityToken": ""}}
STORED = {"auths": {"a.example": {"auth": base64.b64encode(b"ann:pw").decode()}}}


def test_with_a_password(tmp_path: Path) -> None:
    result = run("login -u ann -p pw https://a.example/v1", GOOD, config_dir=str(tmp_path))
    assert (result.code, result.out) == (0, "Login Succeeded\n")
    assert result.err.startswith(
        "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n"
        "\nWARNING! Your credentials are stored unencrypted in "
    )
    assert result.request.body == {
        "username": "ann",
        "password": "pw",
        "serveraddress": "a.example",
    }
    stored = json.loads((tmp_path / "config.json").read_text())
    assert base64.b64decode(stored["auths"]["a.example"]["auth"]) == b"ann:pw"


def test_tokens_replace_passwords(tmp_path: Path) -> None:
    answers = {"POST /auth": {"Status": "ok", "IdentityToken": "tok"}}
    assert run("login -u ann -p pw a.example", answers, config_dir=str(tmp_path)).code == 0
    entry = json.loads((tmp_path / "config.json").read_text())["auths"]["a.example"]
    assert entry["identitytoken"] == "tok"
    assert base64.b64decode(entry["auth"]) == b"ann:"


def test_with_what_is_stored(tmp_path: Path) -> None:
    result = run("login a.example", GOOD, config=dict(STORED), config_dir=str(tmp_path))
    assert result.out == "Login Succeeded\n"
    assert result.err == (
        "Authenticating with existing credentials... [Username: ann]\n\n"
        " Info -> To login with a different account, run 'pier logout' followed by 'pier login'\n"
        "\n\n"
    )
    answers = {"POST /auth": (401, "unauthorized: wrong")}
    result = run("login a.example", answers, config=dict(STORED), config_dir=str(tmp_path))
    assert result.code == 1
    assert "Stored credentials invalid or expired\n" in result.err


def test_password_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [b"pw", b"\r\n"]
    monkeypatch.setattr(login.posix, "read", lambda fd, size: parts.pop(0) if parts else b"")
    result = run("login -u ann --password-stdin a.example", GOOD, config_dir=str(tmp_path))
    assert result.request.body["password"] == "pw"


def test_nothing_is_kept_of_a_refusal(tmp_path: Path) -> None:
    answers = {"POST /auth": (401, "unauthorized")}
    result = run("login -u ann -p pw a.example", answers, config_dir=str(tmp_path))
    assert result.code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("login --password-stdin", "the --password-stdin option requires --username to be set"),
        ("login -u a -p b --password-stdin", "cannot specify both --password and --password-stdin"),
        ("login -u ''", "username is empty"),
        ("login -u a -p ''", "password is empty"),
    ],
)
def test_refused(line: str, message: str) -> None:
    result = run(line, {})
    assert result.code == 1
    assert message in result.err


def test_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login.posix, "isatty", lambda fd: False)
    result = run("login -u ann", GOOD, config_dir=str(tmp_path))
    assert result.err == "Error: Cannot perform an interactive login from a non TTY device\n"
    monkeypatch.setattr(login.posix, "isatty", lambda fd: True)
    monkeypatch.setattr(ask, "read_line", lambda: " ann ")
    monkeypatch.setattr(ask, "hidden_line", lambda cli, message: "pw")
    result = run("login", GOOD, config_dir=str(tmp_path))
    assert result.out.endswith("\nUsername: Login Succeeded\n")
    assert result.request.body == {
        "username": "ann",
        "password": "pw",
        "serveraddress": "https://index.docker.io/v1/",
    }
