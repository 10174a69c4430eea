from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.cli.container.names import container_path
from pierhead.cli.errors import CliError
from support.wire_daemon import WireDaemon, failure, respond


def test_paths() -> None:
    assert container_path(" a/b ", "json") == "/containers/a%2Fb/json"
    assert container_path("a") == "/containers/a"
    with pytest.raises(CliError, match="invalid container name or ID: value is empty"):
        container_path(" ")


def test_many_at_once(tmp_path: Path) -> None:
    daemon = WireDaemon(
        tmp_path,
        {
            "HEAD /_ping": respond(b"", headers={"Api-Version": "1.56"}),
            "POST /containers/a/stop": respond(b"", "204 No Content"),
            "POST /containers/c/stop": respond(b"", "204 No Content"),
        },
    )
    done = daemon.pier("stop", "a", "b", "c", "")
    assert (done.returncode, done.stdout) == (1, b"a\nc\n")
    assert done.stderr == (
        b"Error response from daemon: no such thing\ninvalid container name or ID: value is empty\n"
    )
    daemon.close()


def test_forgiven_errors(tmp_path: Path) -> None:
    answers = {
        "DELETE /containers/a": failure("404 Not Found", "No such container: a"),
        "DELETE /containers/b": failure("409 Conflict", "busy"),
    }
    daemon = WireDaemon(tmp_path, {**answers, "HEAD /_ping": respond(b"")})
    done = daemon.pier("rm", "-f", "a")
    assert (done.returncode, done.stderr) == (
        0,
        b"Error response from daemon: No such container: a\n",
    )
    assert daemon.pier("rm", "a").returncode == 1
    assert daemon.pier("rm", "-f", "a", "b").returncode == 1
    daemon.close()
