from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from pierhead.linux import loop


def test_the_configuration_has_the_kernel_s_layout() -> None:
    config = loop._config(7, 512)
    assert len(config) == 4 + 4 + 232 + 64
    assert struct.unpack_from("=2I", config) == (7, 512)
    flags = struct.unpack_from("=I", config, 8 + 5 * 8 + 3 * 4)[0]
    assert flags == 1 | 4  # read-only, goes by itself


def test_a_device_that_another_took_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[str] = []
    numbers = iter((3, 4))
    real_open = os.open

    def fake_open(path: Any, flags: int, mode: int = 0o777) -> int:
        opened.append(path)
        return real_open("/dev/null", os.O_RDONLY)

    def ioctl(fd: int, request: int, argument: object = 0) -> int:
        if request == loop._LOOP_CTL_GET_FREE:
            return next(numbers)
        if opened[-1] == "/dev/loop3":
            raise OSError(errno.EBUSY, "busy")
        return 0

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "open", fake_open)
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    fd, path = loop.attach(0)
    assert path == "/dev/loop4"
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_refusal_names_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open
    monkeypatch.setattr(os, "open", lambda *arguments: real_open("/dev/null", os.O_RDONLY))

    def ioctl(fd: int, request: int, argument: object = 0) -> int:
        if request == loop._LOOP_CTL_GET_FREE:
            return 5
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="/dev/loop5"):
        loop.attach(0)
    assert len(os.listdir("/proc/self/fd")) == before
