from __future__ import annotations

import os
import signal
from pathlib import Path

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
