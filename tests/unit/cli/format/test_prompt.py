from __future__ import annotations

import os
import pty

import pytest

from pierhead.cli.format import prompt
from support.fake_cli import FakeCli, FakeClient


@pytest.fixture
def cli() -> FakeCli:
    return FakeCli("x", FakeClient({}, "1.56"), {}, "")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [(b"y\n", True), (b" Y \n", True), (b"yes\n", False), (b"n\n", False), (b"", False)],
)
def test_only_y_is_a_yes(
    cli: FakeCli, typed: bytes, answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = [typed[at : at + 1] for at in range(len(typed))]
    monkeypatch.setattr(prompt.posix, "read", lambda fd, size: rest.pop(0) if rest else b"")
    assert prompt.confirm(cli, "Sure?") is answer  # type: ignore[arg-type]
    assert b"".join(cli.written) == b"Sure? [y/N] "


def test_passwords_are_not_shown(cli: FakeCli) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        cli.out = lambda text: os.write(1, text.encode())  # type: ignore[method-assign]
        line = prompt.hidden_line(cli, "Password: ")  # type: ignore[arg-type]
        os.write(1, b"got " + line.encode()[::-1] + b"\n")
        os._exit(0)
    shown = b""
    while b"Password: " not in shown:  # the echo is off before the question is there
        shown += os.read(terminal, 100)
    os.write(terminal, b"secret\n")
    while b"got" not in shown or not shown.endswith(b"\n"):
        shown += os.read(terminal, 100)
    os.waitpid(pid, 0)
    assert b"secret" not in shown
    assert b"got terces" in shown
