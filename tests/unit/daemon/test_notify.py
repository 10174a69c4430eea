"""sd_notify."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pierhead.daemon import notify


def test_messages_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify.ready()
        assert b"READY=1\nMAINPID=" in manager.recv(1024)
        notify.reloading()
        assert b"MONOTONIC_USEC=" in manager.recv(1024)
        notify.stopping()
        assert manager.recv(1024).startswith(b"STOPPING=1")


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify.notify("READY=1") is False
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/socket")
    assert notify.notify("READY=1") is False
