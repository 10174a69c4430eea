from __future__ import annotations

import pytest

from pierhead.engine.containers import pause, start
from pierhead.engine.containers.model import Phase
from pierhead.errors import Conflict
from pierhead.runtime.crun import RuntimeFailed
from support.containers import World


async def test_there_and_back(world: World) -> None:
    made = await world.create()
    with pytest.raises(Conflict, match="is not running"):
        await pause.pause(world.ctx, made)
    await start.start(world.ctx, made)
    with pytest.raises(Conflict, match="is not paused"):
        await pause.unpause(world.ctx, made)
    await pause.pause(world.ctx, made)
    assert made.status.phase is Phase.PAUSED
    with pytest.raises(Conflict, match="is already paused"):
        await pause.pause(world.ctx, made)
    await pause.unpause(world.ctx, made)
    assert made.status.phase is Phase.RUNNING
    assert world.events.actions[-2:] == ["pause", "unpause"]


async def test_a_runtime_that_refuses_changes_nothing(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    world.runtime.fail = "freezer is broken"
    with pytest.raises(RuntimeFailed):
        await pause.pause(world.ctx, made)
    assert made.status.phase is Phase.RUNNING
