from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.registry import ask
from pierhead.cli.registry.credentials import INDEX_SERVER
from pierhead.client.errors import ApiError
from support.fake_cli import FakeCli, FakeClient


def make() -> Any:
    return FakeCli("pull", FakeClient({}, "1.56"), {}, "/nonexistent")


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask.posix, "isatty", lambda fd: fd == 0)
    monkeypatch.setattr(ask, "read_line", lambda: "ann")
    monkeypatch.setattr(ask, "hidden_line", lambda cli, message: "pw")


def test_only_what_is_missing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    cli = make()
    assert ask.ask(cli, " ann ", " pw ", "", "a.example") == ("ann", "pw")
    assert cli.written == []
    monkeypatch.setattr(ask, "read_line", lambda: "")
    monkeypatch.setattr(ask, "hidden_line", lambda cli, message: "")
    with pytest.raises(CliError, match="Error: Password Required"):
        ask.ask(cli, "", "", "bob", "a.example")
    assert cli.written == [b"Username (bob): "]
    with pytest.raises(CliError, match="Error: Non-null Username Required"):
        ask.ask(cli, "", "", "", "a.example")


@pytest.mark.usefixtures("person")
def test_docker_hub_gets_its_notes() -> None:
    cli = make()
    assert ask.ask(cli, "", "", "", INDEX_SERVER) == ("ann", "pw")
    assert b"hub.docker.com" in cli.written[0]
    assert cli.complaints[0].startswith("\n Info -> A Personal Access Token")


@pytest.mark.usefixtures("person")
def test_asked_again_once_when_refused() -> None:
    cli, sent = make(), []

    def send(headers: Any) -> Any:
        sent.append(json.loads(base64.urlsafe_b64decode(headers["X-Registry-Auth"])))
        if len(sent) == 1:
            raise ApiError(401, "unauthorized")
        return "answer"

    assert ask.with_credentials(cli, "a.example", "pull", send) == "answer"
    assert sent == [{}, {"username": "ann", "password": "pw", "serveraddress": INDEX_SERVER}]
    assert cli.written[0] == b"\nLogin prior to pull:\n"


@pytest.mark.parametrize(("status", "terminal"), [(401, False), (404, True)])
def test_not_asked(status: int, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask.posix, "isatty", lambda fd: terminal)
    cli = make()

    def send(headers: Any) -> Any:
        raise ApiError(status, "no")

    with pytest.raises(ApiError):
        ask.with_credentials(cli, "a.example", "pull", send)
    assert cli.written == []
