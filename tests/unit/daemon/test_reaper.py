"""Orphans are reaped, children that somebody waits for are left to him."""

from __future__ import annotations

import os
import time

from pierhead.daemon.reaper import Reaper, _zombies


def zombie() -> int:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    while pid not in _zombies():
        time.sleep(0.01)
    return pid


async def test_only_the_second_sweep_reaps() -> None:
    pid = zombie()
    reaper = Reaper()
    reaper._sweep()
    assert pid in _zombies()  # whoever waits for it has had his chance until the next one
    reaper._sweep()
    assert pid not in _zombies()
    if reaper._timer is not None:
        reaper._timer.cancel()


async def test_nothing_to_do_means_no_timer() -> None:
    reaper = Reaper()
    reaper._sweep()
    assert reaper._timer is None
