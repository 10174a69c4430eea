from __future__ import annotations

import pytest

from support.fake_cli import run


def test_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert run("context ls").out == (
        "NAME        DESCRIPTION                               DOCKER ENDPOINT         ERROR\n"
        "default *   Current DOCKER_HOST based configuration   unix:///run/test.sock   \n"
    )
    assert run("context ls -q").out == "default\n"
    assert run("context ls --format json").out == (
        '{"Current":true,"Description":"Current DOCKER_HOST based configuration",'
        '"DockerEndpoint":"unix:///run/test.sock","Error":"","Name":"default"}\n'
    )
