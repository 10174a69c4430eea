"""login, logout, push and pull with htpasswd and with a token server, by every command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.archives import docker_archive, layer
from support.command import Command
from support.http import Api
from support.registries import DockerRegistry, TokenServer, registry

pytestmark = pytest.mark.root

USER, PASSWORD = "alice", "pa:ss w0rd"


@pytest.fixture(scope="module", params=["htpasswd", "token"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DockerRegistry]:
    folder = tmp_path_factory.mktemp(request.param)
    users = {USER: PASSWORD}
    if request.param == "htpasswd":
        with registry(folder, htpasswd=users) as started:
            yield started
        return
    with TokenServer(folder / "tokens", users) as tokens, registry(folder, token=tokens) as started:
        yield started


@pytest.fixture
def image(
    alone: Command, guarded: DockerRegistry, unique: Callable[[str], str], api: Api
) -> Iterator[str]:
    """An image with a name in the registry, not there yet."""
    name = f"{guarded.host}/e2e/{unique('login')}:1"
    alone("load", input=docker_archive(name, [layer({"name": name.encode()})]))
    yield name
    api.delete(f"/images/{name}?force=1")


def log_in(cli: Command, host: str, password: str = PASSWORD) -> None:
    done = cli("login", "-u", USER, "--password-stdin", host, input=password)
    assert "Login Succeeded" in done.stdout, done


def test_login_push_pull_logout(alone: Command, guarded: DockerRegistry, image: str) -> None:
    refused = alone("push", image, check=False)
    assert refused.returncode == 1
    log_in(alone, guarded.host)
    config = json.loads((Path(alone.env["DOCKER_CONFIG"]) / "config.json").read_text())
    assert guarded.host in config["auths"]
    pushed = alone("push", image)
    assert pushed.lines[-1].startswith("1: digest: sha256:")
    alone("rmi", "-f", image)
    alone("pull", image)
    alone("logout", guarded.host)
    config = json.loads((Path(alone.env["DOCKER_CONFIG"]) / "config.json").read_text())
    assert guarded.host not in config.get("auths", {})
    alone("rmi", "-f", image)
    assert alone("pull", image, check=False).returncode == 1
    alone("load", input=docker_archive(image, [layer({"name": image.encode()})]))
    assert alone("push", image, check=False).returncode == 1


def test_a_wrong_password_is_not_kept(alone: Command, guarded: DockerRegistry) -> None:
    done = alone("login", "-u", USER, "--password-stdin", guarded.host, input="wrong", check=False)
    assert done.returncode == 1 and "Login Succeeded" not in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    config = Path(alone.env["DOCKER_CONFIG"]) / "config.json"
    assert not config.exists() or guarded.host not in config.read_text()


def test_what_is_said_without_credentials(
    docker: Command, guarded: DockerRegistry, unique: Callable[[str], str], api: Api
) -> None:
    name = f"{guarded.host}/e2e/{unique('words')}:1"
    docker("load", input=docker_archive(name, [layer({"name": name.encode()})]))
    try:
        said = docker("push", name, check=False).stderr
    finally:
        api.delete(f"/images/{name}?force=1")
    assert any(
        words in said
        for words in (
            "no basic auth credentials",  # htpasswd
            "denied: requested access to the resource is denied",  # a token that allows nothing
            "unauthorized: authentication required",
        )
    ), said
