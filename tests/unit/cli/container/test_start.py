from __future__ import annotations

import threading
from pathlib import Path

import pytest

from support.fake_cli import run
from support.wire_daemon import UPGRADED, WireDaemon, WireRequest, frame, respond


def test_several() -> None:
    answers = {"POST /containers/a/start": b"", "POST /containers/c/start": b""}
    result = run("start a b c", answers)
    assert (result.code, result.out) == (1, "a\nc\n")
    assert result.err.endswith("\nError: failed to start containers: b\n")


def test_refusals() -> None:
    assert run("start -a a b").err == "you cannot start and attach multiple containers at once\n"
    assert "not implemented yet" in run("start --checkpoint x a").err


@pytest.mark.parametrize(("removed", "condition"), [(True, "removed"), (False, "next-exit")])
def test_attached(tmp_path: Path, removed: bool, condition: str) -> None:
    started = threading.Event()

    def attach(request: WireRequest) -> None:
        request.sock.sendall(UPGRADED)
        started.wait(10)
        request.sock.sendall(frame(1, b"out"))
        request.sock.close()

    def start(request: WireRequest) -> bytes:
        started.set()
        return respond(b"", "204 No Content")

    found = {"Id": "c1", "Config": {}, "HostConfig": {"AutoRemove": removed}}
    daemon = WireDaemon(
        tmp_path,
        {
            "GET /containers/c/json": respond(found),
            "POST /containers/c1/attach": attach,
            "POST /containers/c1/wait": respond({"StatusCode": 7}),
            "POST /containers/c1/start": start,
        },
    )
    done = daemon.pier("start", "-a", "c")
    assert (done.returncode, done.stdout) == (7, b"out")
    assert f"condition={condition}" in [one.query for one in daemon.requests]
    daemon.close()
