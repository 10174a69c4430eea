from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pierhead.engine.containers import signalling
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.signalling import parent_of, send_signal
from pierhead.linux import process
from support.containers import World


async def test_only_our_own_child_is_hit(world: World, tmp_path: Path) -> None:
    made = await world.create()
    assert not send_signal(made, signal.SIGKILL)  # no process
    child = process.spawn(["sleep", "60"])
    made.status.pid = child.pid
    made.status.conmon_pid = 1  # a reused pid: its parent is not the conmon we know
    assert not send_signal(made, signal.SIGKILL)
    made.status.conmon_pid = os.getpid()
    assert parent_of(child.pid) == os.getpid()
    assert send_signal(made, signal.SIGTERM)
    assert await child.wait() == -signal.SIGTERM
    assert not send_signal(made, signal.SIGTERM)
    made.status.pid = 0


def test_parent_of_nobody() -> None:
    assert parent_of(2**22 + 1) is None


@pytest.mark.parametrize(
    ("stat", "gone"),
    [
        ("S 1 2 2 0 -1 4194560", False),
        ("R 1 2 2 0 -1 4194564", True),  # PF_EXITING: it runs, but has no namespaces any more
        ("Z 1 2 2 0 -1 4194564", True),
    ],
)
async def test_a_process_on_its_way_out_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch, stat: str, gone: bool
) -> None:
    made = await world.create()
    assert signalling.is_gone(made)  # it does not run
    made.status.phase, made.status.pid = Phase.RUNNING, os.getpid()
    assert not signalling.is_gone(made)
    monkeypatch.setattr(signalling, "_stat", lambda pid: stat.encode().split())
    assert signalling.is_gone(made) == gone
    made.status.phase, made.status.pid = Phase.EXITED, 0
