from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pierhead.cli import endpoint
from pierhead.cli.endpoint import make_client, parse_host
from pierhead.cli.errors import CliError
from pierhead.cli.flags import parse
from pierhead.cli.main import GLOBAL_FLAGS, Cli


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def client(line: str = "", **environment: str) -> Any:
        environment = {"HOME": str(tmp_path), **environment}
        monkeypatch.setattr(endpoint, "getenv", lambda name: environment.get(name, ""))
        monkeypatch.setattr("pierhead.cli.main.getenv", lambda name: environment.get(name, ""))
        options, _ = parse(GLOBAL_FLAGS, line.split())
        return make_client(Cli(options, "pier x"))

    return client


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("unix:///a.sock", "unix:///a.sock"),
        ("unix://", "unix:///run/pierhead.sock"),
        ("tcp://h:1", "tcp://h:1"),
        ("tcp://", "tcp://127.0.0.1:2375"),
        ("h:1", "tcp://h:1"),
        ("http://h", "http://h"),
    ],
)
def test_hosts(given: str, host: str) -> None:
    assert parse_host(given) == host


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ssh://me@host", "ssh:// is not implemented yet.*ssh -L"),
        ("foo://x", "unable to parse docker host"),
        ("/a.sock", "write unix:///a.sock"),
    ],
)
def test_no_hosts(given: str, message: str) -> None:
    with pytest.raises(CliError, match=message):
        parse_host(given)


def test_where_the_host_comes_from(make: Any) -> None:
    both = {"DOCKER_HOST": "tcp://d:1", "PIER_HOST": "tcp://p:1"}
    assert make("-H unix:///x", **both).host == "unix:///x"
    assert make("", **both).host == "tcp://p:1"
    assert make("", DOCKER_HOST="tcp://d:1").host == "tcp://d:1"


def test_contexts(make: Any, tmp_path: Path) -> None:
    assert make("-c default", DOCKER_HOST="tcp://d:1").host.startswith("unix://")
    with pytest.raises(CliError, match="not implemented yet"):
        make("-c other")
    with pytest.raises(CliError, match="not implemented yet"):
        make("", DOCKER_CONTEXT="other")
    with pytest.raises(CliError, match="cannot specify both --host and --context"):
        make("-c default -H tcp://x")
    with pytest.raises(CliError, match="Specify only one -H"):
        make("-H tcp://x -H tcp://y")
    (tmp_path / "config.json").write_text('{"currentContext": "remote"}')
    with pytest.raises(CliError, match='context "remote"'):
        make(f"--config {tmp_path}")


def test_the_default_socket(make: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours, docker = tmp_path / "pierhead.sock", tmp_path / "docker.sock"
    monkeypatch.setattr(endpoint, "DEFAULT_HOST", f"unix://{ours}")
    monkeypatch.setattr(endpoint, "DOCKER_SOCKET", str(docker))
    assert make().host == f"unix://{ours}"
    docker.touch()
    assert make().host == f"unix://{docker}"
    ours.touch()
    assert make().host == f"unix://{ours}"


def test_versions_and_headers(make: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"HttpHeaders": {"X-Team": "a"}}')
    client = make(f"--config {tmp_path}", DOCKER_API_VERSION="1.40")
    assert (client.version, client.settled) == ("1.40", True)
    assert "X-Team: a\r\n" in client._common


def test_tls_settings(make: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr("pierhead.client.tls.tls_wrapper", lambda **kw: seen.append(kw) or "tls")
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    files = {part: f"{tmp_path}/{part}.pem" for part in ("ca", "cert", "key")}
    assert make("-H tcp://h:1").tls is None
    assert make("--tlsverify -H unix:///x").tls is None
    assert make("--tlsverify -H tcp://h:1", DOCKER_CERT_PATH=str(tmp_path)).tls == "tls"
    make("-H tcp://h:1", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(tmp_path))
    make("--tls -H tcp://h:1 --tlscacert /other", DOCKER_CERT_PATH=str(tmp_path))
    assert seen == [
        {**files, "verify": True},
        {**files, "verify": True},
        {**files, "ca": None, "verify": False},
    ]


def test_a_broken_config_is_a_warning(
    make: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{")
    make(f"--config {tmp_path}")
    assert capfd.readouterr().err.startswith("WARNING: Error loading config file")
