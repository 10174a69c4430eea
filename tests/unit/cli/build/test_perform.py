from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pierhead.cli.build import perform
from pierhead.cli.build.request import Request
from pierhead.cli.build.sources import Located
from pierhead.cli.errors import CliError
from support.fake_cli import FakeCli, FakeClient


def test_paths_of_this_side_stay_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    request = Request()
    request.outputs = [{"type": "tar", "dest": "x"}, {"type": "image", "name": "n"}]
    request.cache_to = [{"type": "local", "dest": "c"}, {"type": "inline"}]
    request.cache_from = [{"type": "registry", "ref": "r"}]
    sent = perform._sent(request)
    assert sent.outputs == [{"type": "tar"}, {"type": "image", "name": "n"}]
    assert sent.cache_to == [{"type": "local", "dest": f"{tmp_path}/c"}, {"type": "inline"}]
    assert request.outputs[0]["dest"] == "x"


def test_the_shared_key() -> None:
    located = Located()
    assert perform.shared_key(located) == ""
    located.directories["context"] = "/x"
    assert perform.shared_key(located).endswith(":/x")


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big").write_bytes(b"x" * 600_000)
    monkeypatch.chdir(tmp_path)
    assert perform.settled_secret({"id": "nothing-there"}) == {
        "id": "nothing-there",
        "src": "nothing-there",
    }
    assert perform.settled_secret({"id": "PATH"})["env"] == "PATH"
    perform.check_secrets([{"id": "a", "env": "NOT_THERE"}])
    for secret, told in (
        ({"src": "x"}, "secret missing ID"),
        ({"id": "a", "src": "x"}, "failed to stat x: stat x: no such file or directory"),
        ({"id": "a", "src": "big"}, "secret a too big. max size 500KB"),
    ):
        with pytest.raises(CliError) as problem:
            perform.check_secrets([secret])
        assert told in problem.value.message


def test_agents(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        request = Request()
        request.ssh = [{"id": "a", "paths": [path]}]
        assert perform._agents(request).sockets == {"a": path}
        request.ssh = [{"id": "a", "paths": [path, path]}]
        with pytest.raises(CliError, match="only single socket allowed"):
            perform._agents(request)
    request.ssh = [{"id": "a", "paths": [str(tmp_path / "gone")]}]
    with pytest.raises(CliError, match="no such file"):
        perform._agents(request)


def test_preparing(tmp_path: Path) -> None:
    request = Request()
    request.context = str(tmp_path)
    request.outputs = [{"type": "local"}]
    with pytest.raises(CliError, match="failed to build: dest is required"):
        perform.prepare(request)


def test_proxies() -> None:
    cli = FakeCli(
        "build",
        FakeClient({}, "1.56"),
        {"proxies": {"default": {"httpProxy": "http://p", "noProxy": "x"}}},
        "/x",
    )
    build_args = {"http_proxy": "mine"}
    perform.add_proxies(cli, build_args)  # type: ignore[arg-type]
    assert build_args == {"http_proxy": "mine", "NO_PROXY": "x", "no_proxy": "x"}


def test_local_caches() -> None:
    request = Request()
    request.outputs = [{"type": "image"}, {"type": "tar", "dest": "x"}]
    request.cache_to = [{"type": "inline"}, {"type": "local", "dest": "c"}]
    request.cache_from = [{"type": "registry", "ref": "r"}, {"type": "local", "src": "/c"}]
    assert set(perform._cache_targets(request)) == {1001}
    assert perform._cache_sources(request) == {"cache-from:1": "/c"}
