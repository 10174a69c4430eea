"""What a command imports before and while it runs: start-up is counted in milliseconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.client import build_wire as wire
from support.wire_daemon import UPGRADED, WireDaemon, WireRequest, frame, respond

SRC = Path(__file__).parents[3] / "src"

# What the interpreter has loaded by itself under -IS, and C modules that cost next to nothing.
FREE = frozenset(
    (
        "__future__ __main__ _abc _codecs _frozen_importlib _frozen_importlib_external _imp _io"
        " _json _signal _socket _thread _typing _warnings _weakref abc builtins codecs encodings"
        " encodings.aliases encodings.utf_8 errno fcntl io itertools marshal posix select sys"
        " termios time zipimport _struct binascii math _locale _string _operator unicodedata"
    ).split()
)

# What compiling .dockerignore's patterns takes.
PATTERNS = frozenset("_collections_abc _stat genericpath os os.path posixpath stat".split())

CODE = """
import sys
sys.path.insert(0, {src!r})
before = set(sys.modules)
from pierhead.cli.main import run
code = run({argv!r})
import posix
posix.write(2, ("\\nMODULES " + " ".join(sorted(sys.modules))).encode())
posix._exit(code)
"""


def modules_of(argv: list[str], host: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-IS", "-c", CODE.format(src=str(SRC), argv=argv)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        env={"DOCKER_HOST": host, "PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    output, _, names = done.stderr.rpartition("\nMODULES ")
    assert done.returncode == 0 and not output, done
    return set(names.split())


def _build(request: WireRequest) -> None:
    """Sees a build through: its context is listed, then there is a result."""
    request.sock.sendall(UPGRADED)
    decoder = wire.Decoder()
    asked = False
    while data := request.sock.recv(65536):
        for kind, _, _ in decoder.feed(data):
            if kind == wire.START:
                question = {"op": "local", "name": "context", "follow": ["Dockerfile"]}
                request.sock.sendall(wire.json_frame(wire.ASK, 1, question))
            elif kind == wire.LAST and not asked:
                asked = True
                events = [{"type": "started", "step": "a", "name": "x", "time_ns": 1}]
                request.sock.sendall(wire.json_frame(wire.EVENTS, 0, events))
                request.sock.sendall(wire.json_frame(wire.RESULT, 0, {"ref": "r"}))
    request.sock.close()


def _output(request: WireRequest) -> None:
    request.sock.sendall(UPGRADED + frame(1, b"hi\n"))
    request.sock.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[WireDaemon]:
    version = {"Version": "1", "ApiVersion": "1.56", "MinAPIVersion": "1.24", "Os": "linux"}
    server = WireDaemon(
        tmp_path,
        {
            "POST /containers/create": respond({"Id": "c1"}, "201 Created"),
            "POST /containers/c1/attach": _output,
            "POST /containers/c1/wait": respond({"StatusCode": 0}),
            "POST /containers/c1/start": respond(b"", "204 No Content"),
            "POST /pierhead/build": _build,
            "POST /containers/c1/exec": respond({"Id": "e1"}, "201 Created"),
            "POST /exec/e1/start": _output,
            "GET /exec/e1/json": respond({"ExitCode": 0}),
            "GET /containers/json": respond([]),
            "GET /version": respond({**version, "Components": []}),
        },
    )
    yield server
    server.close()


@pytest.mark.parametrize(
    "line",
    ["run --rm busybox true", "run -d busybox", "exec c1 true", "version", "ps", "--version"],
)
def test_only_what_is_needed_is_imported(daemon: WireDaemon, line: str) -> None:
    loaded = modules_of(line.split(), daemon.host)
    foreign = {name for name in loaded if not name.startswith("pierhead")} - FREE
    assert not foreign
    if line != "--version":
        assert daemon.requests


@pytest.mark.parametrize(
    ("line", "most"), [("run --rm busybox true", 19), ("exec c1 true", 17), ("version", 20)]
)
def test_few_modules_of_our_own(daemon: WireDaemon, line: str, most: int) -> None:
    """Every module costs about 0.2 ms, so a new one on these paths should be worth it."""
    loaded = modules_of(line.split(), daemon.host)
    own = {name for name in loaded if name.startswith("pierhead")}
    assert len(own) <= most, sorted(own)


def test_a_build_imports_little(daemon: WireDaemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    loaded = modules_of(["build", "-q", str(tmp_path)], daemon.host)
    assert not {name for name in loaded if not name.startswith("pierhead")} - FREE - PATTERNS
    own = {name for name in loaded if name.startswith("pierhead")}
    assert len(own) <= 38, sorted(own)


def test_no_template_language_for_a_plain_table(daemon: WireDaemon) -> None:
    loaded = modules_of(["ps"], daemon.host)
    assert not any(name.startswith("pierhead.cli.gotemplate.parser") for name in loaded)


def test_no_round_trip_too_many(daemon: WireDaemon) -> None:
    daemon.pier("run", "--rm", "busybox", "true")
    assert sorted(daemon.seen()) == sorted(
        [
            "POST /containers/create",
            "POST /containers/c1/attach",
            "POST /containers/c1/wait",
            "POST /containers/c1/start",
        ]
    )
    assert json.loads(daemon.requests[0].body) == {
        "Image": "busybox",
        "Cmd": ["true"],
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {"NetworkMode": "default", "AutoRemove": True},
    }
