"""One pierd per data root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.daemon.lock import Lock, PidFile
from pierhead.errors import Unavailable


def test_the_second_one_learns_who_is_first(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(Unavailable, match=rf"another pierd \(pid {os.getpid()}\)"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_pidfile(tmp_path: Path) -> None:
    pidfile = PidFile(tmp_path / "run" / "pierd.pid")
    pidfile.write()
    pidfile.write()  # ours already
    assert (tmp_path / "run" / "pierd.pid").read_text() == f"{os.getpid()}\n"
    pidfile.remove()
    assert not (tmp_path / "run" / "pierd.pid").exists()
    pidfile.remove()


def test_a_stale_pid_does_not_stand_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "pierd.pid"
    for stale in ("4194000", "1", "rubbish", ""):
        path.write_text(stale)
        PidFile(path).write()
        assert path.read_text().strip() == str(os.getpid())
    path.write_text("1")
    PidFile(path).remove()
    assert path.exists()  # not ours
