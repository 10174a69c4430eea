"""A scripted daemon at the other end of a socket pair: the door answers whatever it asks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.build.answers import Answers
from pierhead.cli.build.door import BuildFailed, Door
from pierhead.cli.errors import CliError
from pierhead.client import build_wire as wire
from pierhead.client.http import Connection, Hijacked


class Display:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def update(self, events: list[dict[str, Any]]) -> None:
        self.events += events

    def refresh(self) -> None:
        pass


class Client:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def hijack(self, path: str) -> Hijacked:
        assert path == "/pierhead/build"
        return Hijacked(Connection(self.sock), False)


class Daemon:
    """The other end: sends frames, reads frames."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._frames = self._read()

    def _read(self) -> Iterator[tuple[int, int, bytes]]:
        decoder = wire.Decoder()
        while data := self.sock.recv(65536):
            yield from decoder.feed(data)

    def send(self, kind: int, channel: int, value: Any) -> None:
        self.sock.sendall(wire.json_frame(kind, channel, value))

    def next(self) -> tuple[int, int, bytes]:
        return next(self._frames)

    def collect(self, channel: int, *, grant: int = 0) -> tuple[bytes, int]:
        """Data of a channel up to its last frame, and that frame's kind."""
        data = b""
        while True:
            kind, number, payload = self.next()
            assert number == channel
            data += payload
            if kind != wire.DATA:
                return data, kind
            if grant:
                self.sock.sendall(wire.frame(wire.WINDOW, channel, grant.to_bytes(4, "big")))


Script = Callable[[Daemon], None]


class Target:
    def __init__(self) -> None:
        self.data = b""
        self.state = ""

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> None:
        self.state = "finished"

    def abandon(self) -> None:
        self.state = "abandoned"


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def run(tmp_path: Path, target: Target) -> Callable[[Script], tuple[Any, Display]]:
    def play(script: Script) -> tuple[Any, Display]:
        ours, theirs = socket.socketpair()
        daemon = Daemon(theirs)
        failures: list[BaseException] = []

        def serve() -> None:
            try:
                kind, _, payload = daemon.next()
                assert kind == wire.START and wire.decode(payload) == {"tags": ["x"]}
                script(daemon)
            except BaseException as error:
                failures.append(error)
            finally:
                theirs.close()

        thread = threading.Thread(target=serve)
        thread.start()
        display = Display()
        answers = Answers(
            None,  # type: ignore[arg-type]
            directories={"context": str(tmp_path)},
            secrets={},
            agents={"default": str(tmp_path / "agent")},
            outputs={0: lambda: target},
        )
        try:
            result = Door(Client(ours), display, answers).run({"tags": ["x"]})  # type: ignore[arg-type]
        finally:
            thread.join(30)
            ours.close()
        assert not failures, failures
        return result, display

    return play


def test_events_and_the_result(run: Callable[[Script], tuple[Any, Display]]) -> None:
    def script(daemon: Daemon) -> None:
        daemon.send(wire.EVENTS, 0, [{"type": "started"}, {"type": "done"}])
        daemon.send(wire.RESULT, 0, {"ref": "r"})

    result, display = run(script)
    assert result == {"ref": "r"} and len(display.events) == 2


def test_a_failure(run: Callable[[Script], tuple[Any, Display]]) -> None:
    with pytest.raises(BuildFailed, match="no") as failed:
        run(lambda daemon: daemon.send(wire.FAILED, 0, {"kind": "canceled", "message": "no"}))
    assert failed.value.canceled


def test_a_daemon_that_leaves(run: Callable[[Script], tuple[Any, Display]]) -> None:
    with pytest.raises(CliError, match="closed the connection in mid-build"):
        run(lambda daemon: None)


def test_a_small_file_is_one_frame(
    run: Callable[[Script], tuple[Any, Display]], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"hello")
    (tmp_path / "gone").touch()

    def script(daemon: Daemon) -> None:
        daemon.send(wire.ASK, 5, {"op": "local", "name": "context"})
        data, kind = daemon.collect(5)
        assert kind == wire.LAST and wire.unpack_entries(data)[0][0] == b"a"
        daemon.send(wire.ASK, 6, {"op": "content", "of": 5, "path": "a"})
        assert daemon.next() == (wire.LAST, 6, b"hello")
        (tmp_path / "gone").unlink()
        daemon.send(wire.ASK, 7, {"op": "content", "of": 5, "path": "gone"})
        kind, _, payload = daemon.next()
        assert kind == wire.FAIL and wire.decode(payload)["kind"] == "not_found"
        daemon.send(wire.ASK, 8, {"op": "secret", "id": "x"})
        assert daemon.next()[0] == wire.FAIL
        daemon.send(wire.RESULT, 0, {})

    run(script)


def test_a_large_file_keeps_to_its_window(
    run: Callable[[Script], tuple[Any, Display]], tmp_path: Path
) -> None:
    data = bytes(range(256)) * 40_000  # 10 MB, the window is 4
    (tmp_path / "big").write_bytes(data)
    (tmp_path / "small").write_bytes(b"s")

    def script(daemon: Daemon) -> None:
        daemon.send(wire.ASK, 5, {"op": "local", "name": "context"})
        daemon.collect(5)
        daemon.send(wire.ASK, 6, {"op": "content", "of": 5, "path": "big"})
        got = b""
        while len(got) < wire.WINDOW_BYTES:
            kind, number, payload = daemon.next()
            assert (kind, number) == (wire.DATA, 6)
            got += payload
        assert len(got) == wire.WINDOW_BYTES
        # Nothing more of it comes, and another one isn't held up by it.
        daemon.send(wire.ASK, 7, {"op": "content", "of": 5, "path": "small"})
        assert daemon.next() == (wire.LAST, 7, b"s")
        daemon.sock.sendall(wire.frame(wire.WINDOW, 6, (1 << 30).to_bytes(4, "big")))
        rest, _ = daemon.collect(6)
        assert got + rest == data
        daemon.send(wire.RESULT, 0, {})

    run(script)


def test_an_output(run: Callable[[Script], tuple[Any, Display]], target: Target) -> None:
    def script(daemon: Daemon) -> None:
        daemon.send(wire.ASK, 5, {"op": "receive", "number": 0})
        daemon.sock.sendall(wire.frame(wire.DATA, 5, b"ab") + wire.frame(wire.LAST, 5, b"c"))
        assert daemon.next() == (wire.LAST, 5, b"")
        daemon.send(wire.RESULT, 0, {})

    run(script)
    assert (target.data, target.state) == (b"abc", "finished")


def test_half_an_output_is_given_up(
    run: Callable[[Script], tuple[Any, Display]], target: Target
) -> None:
    def script(daemon: Daemon) -> None:
        daemon.send(wire.ASK, 5, {"op": "receive", "number": 0})
        daemon.sock.sendall(wire.frame(wire.DATA, 5, b"ab"))
        daemon.send(wire.FAILED, 0, {"message": "no"})

    with pytest.raises(BuildFailed):
        run(script)
    assert target.state == "abandoned"


def test_an_ssh_agent(run: Callable[[Script], tuple[Any, Display]], tmp_path: Path) -> None:
    agent = socket.socket(socket.AF_UNIX)
    agent.bind(str(tmp_path / "agent"))
    agent.listen()

    def script(daemon: Daemon) -> None:
        daemon.send(wire.ASK, 5, {"op": "ssh", "id": "default"})
        assert daemon.next() == (wire.LAST, 5, b"")
        daemon.send(wire.ASK, 6, {"op": "ssh-connect", "id": "default"})
        peer, _ = agent.accept()
        daemon.sock.sendall(wire.frame(wire.DATA, 6, b"who"))
        assert peer.recv(10) == b"who"
        peer.sendall(b"me")
        assert daemon.next() == (wire.DATA, 6, b"me")
        peer.close()
        assert daemon.next()[:2] == (wire.LAST, 6)
        daemon.send(wire.RESULT, 0, {})

    run(script)
    agent.close()


def test_a_closed_channel_is_forgotten(
    run: Callable[[Script], tuple[Any, Display]], tmp_path: Path
) -> None:
    def script(daemon: Daemon) -> None:
        daemon.send(wire.ASK, 5, {"op": "local", "name": "context"})
        daemon.collect(5)
        daemon.sock.sendall(wire.frame(wire.CLOSE, 5))
        daemon.send(wire.ASK, 6, {"op": "content", "of": 5, "path": "a"})
        assert daemon.next()[0] == wire.FAIL
        daemon.send(wire.RESULT, 0, {})

    run(script)


def test_cancel_from_another_thread(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    daemon = Daemon(theirs)
    answers = Answers(None, directories={}, secrets={}, agents={}, outputs={})  # type: ignore[arg-type]
    door = Door(Client(ours), Display(), answers)  # type: ignore[arg-type]

    def serve() -> None:
        daemon.next()
        door.cancel()
        assert daemon.next()[0] == wire.CANCEL
        daemon.send(wire.FAILED, 0, {"kind": "canceled", "message": "x"})

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(BuildFailed):
        door.run({})
    thread.join(30)
    theirs.close()
