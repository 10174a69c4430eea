from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.container.exec import EXEC, build
from pierhead.cli.flags import parse
from support.wire_daemon import UPGRADED, WireDaemon, WireRequest, failure, frame, respond


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("c cmd -x", {"Cmd": ["cmd", "-x"], "AttachStdout": True, "AttachStderr": True}),
        ("-d c cmd", {"Cmd": ["cmd"]}),
        (
            "-i -u 1 -w /w --privileged -e A=1 -e B=2 c cmd",
            {
                "Cmd": ["cmd"],
                "User": "1",
                "WorkingDir": "/w",
                "Privileged": True,
                "Env": ["A=1", "B=2"],
                "AttachStdin": True,
                "AttachStdout": True,
                "AttachStderr": True,
            },
        ),
    ],
)
def test_bodies(line: str, fields: dict[str, Any]) -> None:
    options, args = parse(EXEC.flags, line.split(), interspersed=False)
    assert build(options, args[1:]) == fields


def _start(request: WireRequest) -> bytes | None:
    if request.json()["Detach"]:
        return respond(b"")
    request.sock.sendall(UPGRADED + frame(1, b"out") + frame(2, b"err"))
    request.sock.close()
    return None


@pytest.fixture
def daemon(tmp_path: Path) -> WireDaemon:
    return WireDaemon(
        tmp_path,
        {
            "POST /containers/c/exec": respond({"Id": "e1"}, "201 Created"),
            "POST /exec/e1/start": _start,
            "GET /exec/e1/json": respond({"ExitCode": 5}),
        },
    )


def test_attached(daemon: WireDaemon) -> None:
    done = daemon.pier("exec", "c", "cmd")
    assert (done.returncode, done.stdout, done.stderr) == (5, b"out", b"err")
    assert len(daemon.requests) == 3
    daemon.close()


def test_detached(daemon: WireDaemon) -> None:
    done = daemon.pier("exec", "-d", "c", "cmd")
    assert (done.returncode, done.stdout) == (0, b"")
    assert daemon.seen() == ["POST /containers/c/exec", "POST /exec/e1/start"]
    daemon.close()


def test_failures(daemon: WireDaemon) -> None:
    assert daemon.pier("exec", "-it", "c", "sh").stderr == b"the input device is not a TTY\n"
    assert daemon.pier("exec", "--env-file", "/nonexistent", "c", "sh").stderr == (
        b"open /nonexistent: no such file or directory\n"
    )
    daemon.answers["POST /containers/c/exec"] = failure("409 Conflict", "not running")
    done = daemon.pier("exec", "c", "cmd")
    assert (done.returncode, done.stderr) == (1, b"Error response from daemon: not running\n")
    daemon.close()
