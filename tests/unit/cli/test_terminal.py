from __future__ import annotations

import os
import pty
import termios

import pytest

from pierhead.cli.terminal import DetachKeys, RawMode, is_terminal, parse_detach_keys, size


def test_raw_and_back() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    raw = RawMode(slave)
    raw.enter()
    during = termios.tcgetattr(slave)
    assert not during[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
    raw.restore()
    raw.restore()
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_no_terminal() -> None:
    read, write = os.pipe()
    raw = RawMode(read)
    raw.enter()
    raw.restore()
    assert not is_terminal(read)
    assert size(read) == (0, 0)
    os.close(read)
    os.close(write)
    assert not is_terminal(read)


def test_size() -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (33, 101))
    assert is_terminal(slave)
    assert size(slave) == (33, 101)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("typed", "sent", "found"),
    [
        ([b"abc"], b"abc", False),
        ([b"a\x10\x11b"], b"a", True),
        ([b"a\x10", b"\x11"], b"a", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_detach_keys(typed: list[bytes], sent: bytes, found: bool) -> None:
    keys = DetachKeys(b"\x10\x11")
    out, ended = b"", False
    for data in typed:
        part, ended = keys.feed(data)
        out += part
    assert (out, ended) == (sent, found)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-a,b", b"\x01b"),
        ("ctrl-@,ctrl-[", b"\x00\x1b"),
        ("ctrl-_", b"\x1f"),
    ],
)
def test_parse_detach_keys(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "foo", "a,,b", "ctrl-ab"])
def test_no_detach_keys(text: str) -> None:
    with pytest.raises(ValueError, match="Unknown character"):
        parse_detach_keys(text)
