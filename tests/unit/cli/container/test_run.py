"""Whole runs of the real program against a scripted daemon."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.cli.container.run import status_of
from support.wire_daemon import (
    MAIN,
    UPGRADED,
    WireDaemon,
    WireRequest,
    failure,
    frame,
    respond,
)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ("stat /x: no such file or directory", 127),
        ("exec: permission denied", 126),
        ("exec /etc: is a directory", 126),
        ("No such image: x", 125),
    ],
)
def test_exit_codes_of_failed_starts(message: str, code: int) -> None:
    assert status_of(message) == code


class Story:
    """One container ``c1``: its output comes after the start, its end after its output."""

    def __init__(self, folder: Path) -> None:
        self.output = frame(1, b"out\n") + frame(2, b"err\n")
        self.status: dict[str, object] = {"StatusCode": 0}
        self.started = threading.Event()
        self.ended = threading.Event()
        self.kill = threading.Event()
        self.input = b""
        self.daemon = WireDaemon(
            folder,
            {
                "POST /containers/create": respond({"Id": "c1"}, "201 Created"),
                "POST /containers/c1/attach": self.attach,
                "POST /containers/c1/wait": self.wait,
                "POST /containers/c1/start": self.start,
                "POST /containers/c1/kill": self.killed,
            },
        )

    def attach(self, request: WireRequest) -> None:
        request.sock.sendall(UPGRADED)
        self.started.wait(10)
        request.sock.sendall(self.output)
        if "stdin=1" in request.query:
            while data := request.sock.recv(100):
                self.input += data
            request.sock.sendall(frame(1, self.input.upper()))
        request.sock.close()
        self.ended.set()

    def wait(self, request: WireRequest) -> bytes:
        body = respond(self.status)
        head, _, rest = body.partition(b"\r\n\r\n")
        request.sock.sendall(head + b"\r\n\r\n")  # registered
        self.ended.wait(10)
        return rest

    def start(self, request: WireRequest) -> bytes:
        # Attached and waiting before, or output and exit could be missed.
        before = set(self.daemon.seen())
        if self.daemon.requests[0].json()["AttachStdout"]:
            assert {"POST /containers/c1/attach", "POST /containers/c1/wait"} <= before
        self.started.set()
        return respond(b"", "204 No Content")

    def killed(self, request: WireRequest) -> bytes:
        self.kill.set()
        return respond(b"", "204 No Content")

    def query(self, verb: str) -> str:
        return next(one.query for one in self.daemon.requests if one.path.endswith(verb))


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    told = Story(tmp_path)
    yield told
    told.daemon.close()


def test_output_and_exit_code(story: Story) -> None:
    story.status = {"StatusCode": 3}
    done = story.daemon.pier("run", "i")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert story.query("attach") == "stream=1&stdout=1&stderr=1"
    assert story.query("wait") == "condition=next-exit"


def test_rm_waits_for_the_removal(story: Story) -> None:
    assert story.daemon.pier("run", "--rm", "i").returncode == 0
    assert story.query("wait") == "condition=removed"


def test_input(story: Story) -> None:
    done = story.daemon.pier("run", "-i", "i", stdin=b"typed")
    assert done.stdout == b"out\nTYPED"


def test_detached(story: Story) -> None:
    done = story.daemon.pier("run", "-d", "i")
    assert (done.returncode, done.stdout) == (0, b"c1\n")
    assert story.daemon.seen() == ["POST /containers/create", "POST /containers/c1/start"]
    assert story.daemon.requests[0].json()["AttachStdout"] is False


def test_only_stderr(story: Story) -> None:
    done = story.daemon.pier("run", "-a", "stderr", "i")
    assert (done.stdout, done.stderr) == (b"", b"err\n")


def test_a_wait_that_fails(story: Story) -> None:
    story.status = {"StatusCode": 0, "Error": {"Message": "it broke"}}
    done = story.daemon.pier("run", "i")
    assert (done.returncode, done.stderr) == (125, b"err\nError waiting for container: it broke\n")


@pytest.mark.parametrize(("message", "code"), [("executable file not found", 127), ("busy", 125)])
@pytest.mark.parametrize("detach", [(), ("-d",)])
def test_a_start_that_fails(story: Story, message: str, code: int, detach: tuple[str, ...]) -> None:
    story.daemon.answers["POST /containers/c1/start"] = failure("400 Bad Request", message)
    story.started.set()
    done = story.daemon.pier("run", *detach, "i")
    assert done.returncode == code
    assert (
        done.stderr
        == (
            f"pier: Error response from daemon: {message}\n\n"
            "Run 'pier run --help' for more information\n"
        ).encode()
    )


def test_refusals(story: Story, tmp_path: Path) -> None:
    def refused(*line: str) -> tuple[int, str]:
        done = story.daemon.pier("run", *line)
        return done.returncode, done.stderr.decode().partition("\n")[0]

    assert refused("-it", "i") == (1, "the input device is not a TTY")
    assert refused("-d", "-a", "stdout", "i") == (
        1,
        "conflicting options: cannot specify both --attach and --detach",
    )
    (tmp_path / "cid").touch()
    code, message = refused("--cidfile", str(tmp_path / "cid"), "i")
    assert (code, message[:38]) == (125, "pier: container ID file found, make su")
    assert refused("--detach-keys", "foo", "i")[0] == 1
    story.daemon.answers["POST /containers/create"] = failure(
        "400 Bad Request", "invalid reference format"
    )
    assert refused("a:b:c") == (125, "pier: invalid reference format")


def test_signals_are_passed_on(story: Story) -> None:
    story.output = frame(1, b"ready\n")

    def attach(request: WireRequest) -> None:
        request.sock.sendall(UPGRADED)
        story.started.wait(10)
        request.sock.sendall(story.output)
        story.kill.wait(10)
        request.sock.close()
        story.ended.set()

    story.daemon.answers["POST /containers/c1/attach"] = attach
    story.status = {"StatusCode": 143}
    process = subprocess.Popen(
        [sys.executable, "-IS", str(MAIN), "-H", story.daemon.host, "run", "i"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143
    process.stdout.close()
    assert story.query("kill") == "signal=SIGTERM"
