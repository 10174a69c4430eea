"""Sessions on a real (pseudo) terminal: raw mode, size, detaching."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
import time
from pathlib import Path

import pytest

from pierhead.cli.container.session import check_tty, detach_keys
from pierhead.cli.errors import CliError
from support.fake_cli import FakeCli, FakeClient
from support.wire_daemon import MAIN, WireDaemon, WireRequest, respond

RAW_STREAM = (
    b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    b"Content-Type: application/vnd.docker.raw-stream\r\n\r\n"
)


class Terminal:
    """A process on a pseudo terminal of 33 rows and 101 columns."""

    def __init__(self, *argv: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, (33, 101))
            os.execv(sys.executable, [sys.executable, "-IS", str(MAIN), *argv])
        self.seen = b""

    def expect(self, text: bytes) -> None:
        end = time.monotonic() + 10
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 4096)

    def type(self, data: bytes) -> None:
        os.write(self.fd, data)

    def settings(self) -> int:
        return int(termios.tcgetattr(self.fd)[3])

    def wait(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


class Shell:
    """A container with a terminal that shouts back what is typed and ends at ``x``."""

    def __init__(self, folder: Path) -> None:
        self.typed = b""
        self.daemon = WireDaemon(
            folder,
            {
                "POST /containers/create": respond({"Id": "c1"}, "201 Created"),
                "POST /containers/c1/attach": self.attach,
                "POST /containers/c1/wait": self.wait,
                "POST /containers/c1/start": respond(b"", "204 No Content"),
                "POST /containers/c1/resize": respond(b""),
                "POST /containers/c/exec": respond({"Id": "e1"}, "201 Created"),
                "POST /exec/e1/start": self.attach,
                "POST /exec/e1/resize": respond(b""),
            },
        )

    def attach(self, request: WireRequest) -> None:
        request.sock.sendall(RAW_STREAM + b"ready> ")
        while data := request.sock.recv(100):
            self.typed += data
            request.sock.sendall(data.upper())
            if b"x" in data:
                break
        request.sock.close()

    def wait(self, request: WireRequest) -> bytes:
        head, _, rest = respond({"StatusCode": 6}).partition(b"\r\n\r\n")
        request.sock.sendall(head + b"\r\n\r\n")
        while b"x" not in self.typed:
            time.sleep(0.01)
        return rest


def test_run_on_a_terminal(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    terminal = Terminal("-H", shell.daemon.host, "run", "-it", "i")
    before = terminal.settings()
    terminal.expect(b"ready> ")
    assert not terminal.settings() & (termios.ICANON | termios.ECHO | termios.ISIG)
    terminal.type(b"ab\x03")
    terminal.expect(b"AB\x03")  # once: no local echo; and ^C is only a byte
    termios.tcsetwinsize(terminal.fd, (20, 50))
    for _ in range(200):
        if "h=20&w=50" in [one.query for one in shell.daemon.requests]:
            break
        time.sleep(0.02)
    terminal.type(b"x")
    assert terminal.wait() == 6
    assert terminal.settings() == before | termios.ECHO | termios.ICANON
    sizes = [one.query for one in shell.daemon.requests if one.path.endswith("resize")]
    assert (sizes[0], sizes[-1]) == ("h=33&w=101", "h=20&w=50")
    assert shell.daemon.requests[0].json()["HostConfig"]["ConsoleSize"] == [33, 101]
    shell.daemon.close()


def test_detaching_from_run_is_no_failure(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    terminal = Terminal("-H", shell.daemon.host, "run", "-it", "--detach-keys", "a,b", "i")
    terminal.expect(b"ready> ")
    terminal.type(b"1ab")
    assert terminal.wait() == 0
    for _ in range(500):  # the daemon's thread may not have read it yet
        if shell.typed:
            break
        time.sleep(0.01)
    assert shell.typed == b"1"
    assert terminal.settings() & termios.ECHO
    shell.daemon.close()


def test_detaching_from_exec_is_told(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    terminal = Terminal("-H", shell.daemon.host, "exec", "-it", "c", "sh")
    terminal.expect(b"ready> ")
    terminal.type(b"\x10\x11")
    terminal.expect(b"read escape sequence")
    assert terminal.wait() == 1
    shell.daemon.close()


def test_no_terminal() -> None:
    check_tty(False, True)
    check_tty(True, False)
    with pytest.raises(CliError, match="the input device is not a TTY"):
        check_tty(True, True)


def test_detach_keys_come_from_the_flag_or_the_config() -> None:
    cli = FakeCli("attach", FakeClient({}, "1.56"), {"detachKeys": "ctrl-a"}, "")
    assert detach_keys(cli, "")[0] == "ctrl-a"  # type: ignore[arg-type]
    assert detach_keys(cli, "b")[0] == "b"  # type: ignore[arg-type]
    with pytest.raises(CliError, match="invalid detach keys"):
        detach_keys(cli, "foo")  # type: ignore[arg-type]
